"""Finding and describing the target: real virtual environments, and programs that only look like a Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import pascal_install
from pascal_install.errors import TargetError
from pascal_install.facts import probe
from pascal_install.facts.interpreter import check_installable, find_target
from pascal_install.facts.probe import FACTS, MARKER
from pascal_install.facts.tags import describe_platform
from pascal_install.model.interpreter import Target
from support.environments import make_venv

MARKED = "[externally-managed]\nError-de=Nein\nError=Use apt.\n\n  Really.\n"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target") / "env"
    make_venv(folder, with_pip=False)
    return folder


@pytest.fixture
def own_venv(tmp_path: Path) -> Path:
    make_venv(tmp_path / "own", with_pip=False)
    return tmp_path / "own"


def find(python: str = "", *, cwd: Path = Path("/"), cache: Path | str = "", **environ: str) -> Target:
    return find_target(python, environ={"PATH": "/nonexistent", **environ}, cwd=str(cwd), cache_dir=str(cache))


def fails(python: str = "", *, cwd: Path = Path("/"), **environ: str) -> TargetError:
    with pytest.raises(TargetError) as caught:
        find(python, cwd=cwd, **environ)
    return caught.value


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    path.chmod(0o755)
    return path


def fake_python(path: Path, **facts: object) -> Path:
    """A program that answers as the probe does, with some facts that no Python on this machine has."""
    answer = {**FACTS, "executable": str(path), **facts}
    return program(
        path,
        f"#!{sys.executable}\nimport json, sys\nprint()\nprint({MARKER!r})\nprint({json.dumps(answer)!r})\n"
        f"print({MARKER!r})\n",
    )


def site_packages(venv: Path) -> Path:
    return venv / f"lib/python{VERSION}/site-packages"


# Which Python is meant


def test_the_order_of_what_nobody_named(venv: Path, tmp_path: Path) -> None:
    conda, local = tmp_path / "conda", tmp_path / ".venv"
    make_venv(local, with_pip=False)
    (conda / "bin").mkdir(parents=True)
    (conda / "bin/python").symlink_to(Path(sys.executable).resolve())
    both = {"VIRTUAL_ENV": str(venv), "CONDA_PREFIX": str(conda)}
    assert find(cwd=tmp_path, **both).source == "$VIRTUAL_ENV"
    assert find(cwd=tmp_path, **both).prefix == str(venv)
    assert find(cwd=tmp_path, CONDA_PREFIX=str(conda)).source == "$CONDA_PREFIX"
    here = find(cwd=tmp_path)
    assert (here.source, here.prefix) == ("./.venv", str(local))
    assert find(cwd=tmp_path / "conda").source == "running"


def test_the_running_python_starts_no_child(tmp_path: Path) -> None:
    code = (
        "import sys; from pascal_install.facts.interpreter import find_target\n"
        f"target = find_target(environ={{}}, cwd={str(tmp_path)!r})\n"
        "assert target.executable == sys.executable and target.prefix == sys.prefix\n"
        "assert 'pascal_install.process' not in sys.modules"
    )
    source = str(Path(pascal_install.__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": source})


def test_a_second_look_is_served_from_the_cache(venv: Path, tmp_path: Path) -> None:
    """The hot path of every plan: no child, no packaging, no pathlib."""
    code = (
        "import sys; from pascal_install.facts.interpreter import find_target\n"
        f"target = find_target({str(venv)!r}, environ={{}}, cwd='/', cache_dir={str(tmp_path)!r})\n"
        "heavy = {'subprocess', 'packaging', 'pathlib'} & set(sys.modules)\n"
        "print(target.prefix, len(target.tags) > 100, *sorted(heavy))"
    )
    source = str(Path(pascal_install.__file__).parent.parent)

    def look() -> str:
        args = [sys.executable, "-S", "-c", code]
        packages = os.pathsep.join([source, *(path for path in sys.path if "site-packages" in path)])
        done = subprocess.run(args, check=True, env={"PYTHONPATH": packages}, capture_output=True, text=True)
        return done.stdout.strip()

    assert look().startswith(f"{venv} True packaging")
    assert look() == f"{venv} True"


def test_the_cache_notices_another_python_at_the_same_place(tmp_path: Path) -> None:
    """A real program, not a script: scripts are never kept."""
    folder = tmp_path / "env"
    make_venv(folder, with_pip=False)
    assert find(str(folder), cache=tmp_path / "cache").is_virtual
    (folder / "pyvenv.cfg").unlink()
    assert not find(str(folder), cache=tmp_path / "cache").is_virtual


def test_a_broken_cache_is_no_matter(venv: Path, tmp_path: Path) -> None:
    fresh = find(str(venv), cache=tmp_path)
    for file in tmp_path.rglob("*.json"):
        file.write_text('{"key": ')
    assert find(str(venv), cache=tmp_path) == fresh
    for file in tmp_path.rglob("*.json"):
        file.write_text("[]")
    assert find(str(venv), cache=tmp_path) == fresh


def test_a_cache_that_cannot_be_written_is_no_matter(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert find(str(venv), cache=tmp_path / "file").prefix == str(venv)


def test_named_by_folder_relative_path_or_name(venv: Path) -> None:
    assert find(str(venv)).prefix == str(venv)
    assert find("env", cwd=venv.parent).prefix == str(venv)
    assert find("./env/bin/python", cwd=venv.parent).prefix == str(venv)
    by_name = find(f"python{VERSION}", PATH=f"/nonexistent:{venv}/bin")
    assert (by_name.prefix, by_name.source) == (str(venv), "--python")


def test_a_version_passes_over_pythons_of_another_one(venv: Path, tmp_path: Path) -> None:
    fake_python(tmp_path / f"bin/python{VERSION}", version=[3, 9, 1])
    program(tmp_path / f"broken/python{VERSION}", "#!/bin/sh\nexit 3\n")
    path = f"{tmp_path}/broken:{tmp_path}/bin:{venv}/bin"
    assert find(VERSION, PATH=path).prefix == str(venv)
    assert find(".".join(map(str, sys.version_info[:3])), PATH=path).prefix == str(venv)


def test_a_free_threaded_version_is_another_one(tmp_path: Path) -> None:
    fake_python(tmp_path / "bin/python3.13", version=[3, 13, 1])
    fake_python(tmp_path / "bin/python3.13t", version=[3, 13, 1], free_threaded=True)
    threaded = find("3.13t", PATH=f"{tmp_path}/bin")
    assert threaded.abi == "cp313t"
    assert threaded.tags[0].startswith("cp313-cp313t-")
    assert not any("-abi3-" in tag for tag in threaded.tags)
    assert find("3.13", PATH=f"{tmp_path}/bin").abi == "cp313"


def test_a_version_that_only_pyenv_has(tmp_path: Path) -> None:
    for name, version in (("3.12.1", [3, 12, 1]), ("3.12.11", [3, 12, 11]), ("3.13.0t", [3, 13, 0])):
        fake_python(tmp_path / f"versions/{name}/bin/python", version=version, free_threaded=name.endswith("t"))
    assert find("3.12", PYENV_ROOT=str(tmp_path)).version == (3, 12, 11)
    assert find("3.12.1", PYENV_ROOT=str(tmp_path)).version == (3, 12, 1)
    assert find("3.13t", PYENV_ROOT=str(tmp_path)).abi == "cp313t"
    assert fails("3.13", PYENV_ROOT=str(tmp_path)).code == "python-not-found"


@pytest.mark.parametrize("python", ["3.99", "no-such-python", "/no/such/python", "/etc"])
def test_what_is_not_there(python: str, tmp_path: Path) -> None:
    error = fails(python, PYENV_ROOT=str(tmp_path), HOME=str(tmp_path))
    assert error.code == "python-not-found"
    assert python in error.summary


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_without_a_python_is_not_passed_over(variable: str, tmp_path: Path) -> None:
    environ = {variable: str(tmp_path)}
    error = fails("", cwd=tmp_path, **environ)
    assert error.code == "python-not-found"
    assert variable in error.cause


def test_a_local_environment_without_a_python(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    assert find(cwd=tmp_path).source == "running"  # a folder of that name alone is no environment
    (tmp_path / ".venv/pyvenv.cfg").touch()
    assert fails(cwd=tmp_path).code == "python-not-found"


# What answers


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("#!/bin/sh\nexit 0\n", "not-a-python"),
        ("#!/bin/sh\necho Segmentation fault >&2\nexit 139\n", "python-broken"),
        ("#!/bin/sh\nkill -SEGV $$\n", "python-broken"),
        ("#!/no/such/interpreter\n", "not-a-python"),
        ("\x7fELF and nothing else", "not-a-python"),
    ],
)
def test_programs_that_are_no_python(body: str, code: str, tmp_path: Path) -> None:
    assert fails(str(program(tmp_path / "python", body))).code == code


def test_a_crash_shows_how_and_its_last_words(tmp_path: Path) -> None:
    error = fails(str(program(tmp_path / "python", "#!/bin/sh\necho no libpython3.so >&2\nexit 127\n")))
    assert "exit code 127" in error.cause
    assert "no libpython3.so" in error.cause


def test_a_python_that_cannot_be_executed(tmp_path: Path) -> None:
    path = program(tmp_path / "python", "#!/bin/sh\n")
    path.chmod(0o644)
    assert fails(str(path)).code == "not-a-python"


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"implementation": "pypy", "version": [3, 10, 14]}, "not-cpython"),
        ({"implementation": "graalpy", "version": [3, 11, 7]}, "not-cpython"),
        ({"version": [3, 7, 16]}, "python-version"),
        ({"version": [2, 7, 18]}, "python-version"),
        ({"version": [3, 16, 0]}, "python-version"),
        ({"pointer_bits": 32}, "not-64-bit"),
        ({"platform": "win32", "pointer_bits": 32}, "not-64-bit"),
        ({"libc": "musl"}, "musl"),
        ({"platform": "macosx-14.0-arm64"}, "macos"),
        ({"platform": "linux-riscv64"}, "unsupported-platform"),
        ({"platform": "freebsd-14.1-release-amd64"}, "unsupported-platform"),
    ],
)
def test_pythons_that_no_wheel_is_made_for(facts: Mapping[str, object], code: str, tmp_path: Path) -> None:
    assert fails(str(fake_python(tmp_path / "python", **facts))).code == code


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"platform": "linux-aarch64", "libc": "glibc 2.28"}, "cp312-cp312-manylinux_2_28_aarch64"),
        ({"platform": "win-amd64", "libc": ""}, "cp312-cp312-win_amd64"),
        ({"libc": ""}, "cp312-cp312-manylinux_2_17_x86_64"),
        ({"debug": True, "libc": "glibc 2.36"}, "cp312-cp312d-manylinux_2_36_x86_64"),
    ],
)
def test_tags_of_other_pythons(facts: Mapping[str, object], expected: str, tmp_path: Path) -> None:
    path = fake_python(tmp_path / "python", **{"platform": "linux-x86_64", "version": [3, 12, 3], **facts})
    target = find(str(path))
    assert target.best_tag == expected
    assert "py3-none-any" in target.tags


def test_noise_at_the_start_does_not_spoil_the_answer(own_venv: Path) -> None:
    (site_packages(own_venv) / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "print('{\"implementation\": \"noise\"}', end='')\n"
        "sys.stderr.write('more noise\\n')\n"
        "atexit.register(print, 'good bye')\n"
        "sys.stdout = open(os.devnull, 'w')\n"
    )
    (site_packages(own_venv) / "noise.pth").write_text("import sys; sys.__stdout__.write('from a .pth')\n")
    assert find(str(own_venv)).prefix == str(own_venv)


def test_the_persons_python_variables_do_not_reach_the_probe(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not the json you want')\n")
    (tmp_path / "usercustomize.py").write_text("raise SystemExit('usercustomize ran')\n")
    target = find(str(venv), PYTHONPATH=str(tmp_path), PYTHONHOME=str(tmp_path), PYTHONUSERBASE=str(tmp_path))
    assert target.prefix == str(venv)


def test_what_a_venv_is(venv: Path) -> None:
    target = find(str(venv))
    assert target.executable == str(venv / "bin/python")
    assert target.version == tuple(sys.version_info[:3])
    assert (target.purelib, target.scripts) == (str(site_packages(venv)), str(venv / "bin"))
    assert target.is_virtual
    assert target.libc.startswith("glibc 2.")
    assert target.installed == ()
    assert target.pip_version == ""
    check_installable(target)


def test_what_is_installed_is_read_anew_each_time(own_venv: Path, tmp_path: Path) -> None:
    assert find(str(own_venv), cache=tmp_path / "cache").installed == ()
    (site_packages(own_venv) / "pip-26.3.dist-info").mkdir()
    assert find(str(own_venv), cache=tmp_path / "cache").pip_version == "26.3"


# Whether it may be changed


def refuses(target: Target) -> TargetError:
    with pytest.raises(TargetError) as caught:
        check_installable(target)
    return caught.value


def test_an_externally_managed_python_is_left_alone(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/EXTERNALLY-MANAGED").write_text(MARKED)
    outside = find(str(fake_python(tmp_path / "python", stdlib=str(tmp_path / "lib"), base_prefix=sys.prefix)))
    assert outside.externally_managed == "Use apt.\n\nReally."
    error = refuses(outside)
    assert error.code == "externally-managed"
    assert error.hints[0].endswith("-m venv .venv")
    inside = find(str(fake_python(tmp_path / "python", stdlib=str(tmp_path / "lib"), base_prefix="/usr")))
    assert inside.is_virtual
    assert not inside.externally_managed


def test_a_marker_without_a_message_still_counts(tmp_path: Path) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    target = find(str(fake_python(tmp_path / "python", stdlib=str(tmp_path), base_prefix=sys.prefix)))
    assert refuses(target).code == "externally-managed"


def test_site_packages_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    path = fake_python(tmp_path / "python", purelib=str(tmp_path / "python/site"), base_prefix="/usr")
    assert refuses(find(str(path))).code == "read-only"


def test_a_read_only_file_system_is_seen_even_by_root(own_venv: Path) -> None:
    """A bind mount of site-packages onto itself, read-only, in a mount namespace that ends with the child."""
    code = (
        "from pascal_install.facts.interpreter import find_target\n"
        f"print(find_target({str(own_venv)!r}, environ={{}}, cwd='/').writable)"
    )
    site = site_packages(own_venv)
    source = str(Path(pascal_install.__file__).parent.parent)
    script = (
        f'mount --bind {site} {site} && mount -o remount,ro,bind {site} || exit 77; exec {sys.executable} -c "$CODE"'
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": source, "CODE": code}
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script], env=env, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode in (1, 77) and "False" not in done.stdout:
        pytest.skip(f"no private mounts here: {done.stderr.strip()}")
    assert done.stdout.strip() == "False"


def test_another_machine_cannot_be_installed_into() -> None:
    assert refuses(describe_platform("win_amd64", "3.12")).code == "not-this-machine"


def test_musl_is_told_by_the_loader_that_the_executable_asks_for(tmp_path: Path) -> None:
    """A program linked as on Alpine stands in for sys.executable; the probe itself runs on glibc."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    (tmp_path / "python.c").write_text("int main(void) { return 0; }")
    loader = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"
    subprocess.run([compiler, loader, "-o", tmp_path / "python", tmp_path / "python.c"], check=True)
    code = (
        "import os, runpy, sys\n"
        f"sys.executable = {str(tmp_path / 'python')!r}\n"
        "del os.confstr\n"
        f"print(runpy.run_path({probe.__file__!r})['FACTS']['libc'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "musl"
