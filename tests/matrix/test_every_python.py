"""Every Python on this machine, the real thing: pyenv's versions and the system's."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import packaging
import pytest

from pascal_install.errors import TargetError
from pascal_install.facts import probe
from pascal_install.facts.interpreter import find_target

_PROBE = Path(probe.__file__)


def _pythons() -> list[Path]:
    pyenv = sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    return [*pyenv, *(path for path in (Path("/usr/bin/python3"),) if path.exists())]


def _version(python: Path) -> tuple[int, ...]:
    done = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, check=True, text=True
    )
    return tuple(int(part) for part in done.stdout.split("."))


VERSIONS = {python: _version(python) for python in _pythons()}
SERVED = [python for python, version in VERSIONS.items() if version >= (3, 8)]
TOO_OLD = [python for python, version in VERSIONS.items() if version < (3, 8)]


def _name(python: Path) -> str:
    return python.parent.parent.name


@pytest.mark.parametrize("python", SERVED, ids=_name)
def test_tags_are_those_that_packaging_finds_in_it(python: Path) -> None:
    folder = str(Path(packaging.__file__).parent.parent)
    code = (
        "import json, sys\n"
        "if sys.version_info >= (3, 10):\n"
        f"    sys.path.insert(0, {folder!r})\n"
        "    from packaging.tags import sys_tags\n"
        "else:\n"  # our packaging does not run there: what its own pip goes by
        "    from pip._vendor.packaging.tags import sys_tags\n"
        "print(json.dumps([str(tag) for tag in sys_tags()]))"
    )
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, check=True, text=True)
    target = find_target(str(python), environ={}, cwd="/")
    major, minor = VERSIONS[python][:2]
    older = {f"cp{major}{minor}-none-any"} if minor < 10 else set()  # an older packaging left that one out
    assert set(target.tags) == {*json.loads(done.stdout), *older}
    assert len(target.tags) == len(set(target.tags))


@pytest.mark.parametrize("python", SERVED, ids=_name)
def test_it_is_described_as_it_describes_itself(python: Path) -> None:
    code = "import sys, sysconfig; print(sys.prefix, sysconfig.get_path('purelib'), sysconfig.get_path('platlib'))"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, check=True, text=True)
    target = find_target(str(python), environ={}, cwd="/")
    assert [target.prefix, target.purelib, target.platlib] == done.stdout.split()
    assert target.version[:2] == VERSIONS[python]
    assert not target.is_virtual


@pytest.mark.parametrize("python", SERVED, ids=_name)
def test_what_is_installed_is_what_its_own_metadata_reader_finds(python: Path) -> None:
    target = find_target(str(python), environ={}, cwd="/")
    code = (
        "import json, sys; from importlib.metadata import distributions; "
        "print(json.dumps([[d.metadata['Name'], d.version] for d in distributions(path=sys.argv[1:])]))"
    )
    done = subprocess.run(
        [python, "-I", "-c", code, *{target.purelib, target.platlib}], capture_output=True, check=True, text=True
    )
    theirs = {(name.lower().replace("_", "-").replace(".", "-"), version) for name, version in json.loads(done.stdout)}
    assert {(one.name, one.version) for one in target.installed} == theirs


@pytest.mark.parametrize("python", SERVED, ids=_name)
def test_an_environment_made_by_it(python: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        [python, "-m", "venv", "--without-pip", tmp_path / "env"], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"{python} makes no environments: {made.stderr.strip()}")
    target = find_target(str(tmp_path / "env"), environ={}, cwd="/")
    assert target.prefix == str(tmp_path / "env")
    assert target.is_virtual
    assert target.installed == ()
    assert not target.externally_managed


@pytest.mark.parametrize("python", TOO_OLD, ids=_name)
def test_an_old_one_is_understood_well_enough_to_be_refused(python: Path) -> None:
    with pytest.raises(TargetError) as caught:
        find_target(str(python), environ={}, cwd="/")
    assert caught.value.code == "python-version"
    assert ".".join(map(str, VERSIONS[python])) in caught.value.summary


def test_the_probe_needs_no_syntax_of_newer_pythons() -> None:
    """The Pythons here are a sample: this holds for those that are missing too."""
    tree = ast.parse(_PROBE.read_text(), feature_version=(3, 7))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.NamedExpr)
    assert not [node for node in ast.walk(tree) if isinstance(node, newer)]
    assert all(byte < 128 for byte in _PROBE.read_bytes())
