"""Real uv, small wheels from loopback: with uv the wheels go from the network into its cache, or by the usual way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pascal_install.errors import InstallerError, NetworkError, PascalInstallError, VerificationError
from pascal_install.facts.interpreter import find_target
from pascal_install.fetch import Fetcher
from pascal_install.installation.backend import choose_pip, choose_uv
from pascal_install.installation.execute import Options, execute
from pascal_install.installation.journal import journals
from pascal_install.installation.rollback import rollback
from pascal_install.installation.selection import Selected, working
from pascal_install.installation.state import read_environment
from pascal_install.installation.uv_cache import fetch_with_uv
from pascal_install.installation.wheelstore import File
from support.installs import TAG, Recorder, World, fresh_venv, listing, make_world
from support.mirror import PYTORCH, Mirror
from support.person import GPU, make_person
from support.real_names import make_certificate
from support.wheels import wheel_filename

EXLLAMAV2 = wheel_filename("exllamav2", "0.3.2+cu124.torch2.6.0", TAG)
CUDNN = "nvidia_cudnn_cu12-9.1.0.70-py3-none-manylinux2014_x86_64.whl"


@pytest.fixture
def world(tmp_path: Path, mirror: Mirror) -> World:
    return make_world(tmp_path, mirror)


@pytest.fixture
def options(world: World) -> Options:
    environ = {**world.environ, "UV_CACHE_DIR": str(world.root / "uv-cache"), "UV_LINK_MODE": "hardlink"}
    return world.options._replace(installer="uv", environ=environ)


def stored(world: World) -> list[str]:
    """Name the wheels that we keep ourselves."""
    return sorted(path.name for path in (world.root / "cache/wheels").rglob("*.whl"))


def bodies(mirror: Mirror) -> list[str]:
    """Name the wheels that came over the wire, as often as they did."""
    requests = [one for one in mirror.requests if one.path.endswith(".whl") and one.method == "GET" and not one.range]
    return sorted(one.path.rpartition("/")[2] for one in requests)


def second(world: World) -> World:
    """Give the same with a further fresh environment."""
    python = fresh_venv(world.root / "second")
    target = find_target(str(python), environ=world.environ, cwd=str(world.root))
    return world._replace(python=python, plan=world.plan._replace(target=target))


def test_each_wheel_comes_once_and_is_written_once(world: World, options: Options) -> None:
    hooks = Recorder()
    assert execute(world.plan, options, hooks).status == "installed"
    assert stored(world) == [EXLLAMAV2], "nobody knows the hash of this one, so it comes by the usual way"
    came = bodies(world.mirror)
    assert len(came) == len(set(came)) == 26
    assert hooks.phases.index("uv-fetch") < hooks.phases.index("install")
    assert "uv-short" not in hooks.phases
    assert (world.site / "nvidia/cudnn/lib/libcudnn.so").stat().st_nlink == 2


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no folder in memory here")
def test_links_of_a_killed_install_are_taken_away(world: World, options: Options) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    killed, young, running = (
        Path("/dev/shm", f"pascal-install-links-{pid}-test{number}")
        for number, pid in enumerate((ended.pid, ended.pid, os.getpid()))
    )
    for folder in (killed, young, running):
        (folder / "place").mkdir(parents=True)
    for folder in (killed, running):
        os.utime(folder, (0, 0))
    try:
        execute(world.plan, options, Recorder())
        assert [folder.exists() for folder in (killed, young, running)] == [False, True, True]
    finally:
        for folder in (young, running):
            shutil.rmtree(folder)


def test_the_result_is_that_of_pip(world: World, options: Options) -> None:
    def state() -> tuple[str, str, set[tuple[str, str]]]:
        freeze = world.pip("freeze", "--all").stdout
        uv = [sys.executable, "-m", "uv", "pip", "freeze", "--python", str(world.python)]
        frozen = subprocess.run(uv, check=True, capture_output=True, text=True, env=world.environ).stdout
        rest = {"INSTALLER", "RECORD", "uv_cache.json"}  # pip and uv differ in these whoever fetches
        files = {
            (str(path.relative_to(world.site)), path.read_text())
            for path in world.site.glob("*.dist-info/*")
            if path.is_file() and path.name not in rest
        }
        return freeze, frozen, files

    execute(world.plan, options._replace(installer="pip"))
    by_pip = state()
    rollback(world.plan.target)
    shutil.rmtree(world.root / "cache")
    hooks = Recorder()
    execute(world.plan, options, hooks)
    assert "uv-fetch" in hooks.phases
    assert state() == by_pip
    assert not list(world.site.glob("*.dist-info/direct_url.json"))
    assert (world.site / "torch-2.6.0+cu124.dist-info/INSTALLER").read_text().strip() == "uv"
    assert world.pip("check").returncode == 0


def test_a_second_environment_is_linked_without_asking_for_a_wheel(world: World, options: Options) -> None:
    execute(world.plan, options)
    before = bodies(world.mirror)
    other = second(world)
    hooks = Recorder()
    assert execute(other.plan, options, hooks).status == "installed"
    assert "uv-fetch" not in hooks.phases
    assert bodies(world.mirror) == before
    assert (Path(other.plan.target.purelib) / "nvidia/cudnn/lib/libcudnn.so").stat().st_nlink == 3
    assert other.imports("torch", "exllamav2")


def test_what_is_damaged_in_uvs_cache_is_not_linked_again(world: World, options: Options) -> None:
    execute(world.plan, options)
    (world.site / "nvidia/cudnn/lib/libcudnn.so").write_bytes(b"")
    other = second(world)
    assert execute(other.plan, options).status == "installed"
    library = Path(other.plan.target.purelib) / "nvidia/cudnn/lib/libcudnn.so"
    assert library.read_text() == "nvidia-cudnn-cu12 9.1.0.70\n"
    assert stored(world) == sorted([EXLLAMAV2, CUDNN]), "only what is damaged comes again"


@pytest.mark.parametrize("link_mode", ["copy", "symlink"])
def test_other_ways_to_link(world: World, options: Options, link_mode: str) -> None:
    options = options._replace(environ={**options.environ, "UV_LINK_MODE": link_mode})
    assert execute(world.plan, options).status == "installed"
    assert stored(world) == [EXLLAMAV2]
    assert world.imports("torch", "exllamav2")


@pytest.mark.parametrize(
    ("fault", "family", "code"), [("flip", VerificationError, "hash-mismatch"), ("403", NetworkError, "forbidden")]
)
def test_a_file_that_does_not_come_right(
    world: World, options: Options, fault: str, family: type[PascalInstallError], code: str
) -> None:
    before = listing(world.venv)
    world.mirror.fault(fault, f"*/{CUDNN}", times=None, methods=("GET",))
    hooks = Recorder()
    with pytest.raises(family) as caught:
        execute(world.plan, options, hooks)
    assert caught.value.code == code
    assert CUDNN in f"{caught.value.summary} {caught.value.cause}"
    assert "uv-short" in hooks.phases
    assert listing(world.venv) == before
    assert journals(world.plan.target) == ()


def test_what_uv_does_not_get_comes_by_the_usual_way_and_nothing_else_does(world: World, options: Options) -> None:
    world.mirror.fault("500", f"*/{CUDNN}", times=2, methods=("GET",))
    hooks = Recorder()
    assert execute(world.plan, options, hooks).status == "installed"
    assert "uv-short" in hooks.phases
    assert CUDNN in stored(world)
    assert len(stored(world)) < 26, "what did arrive in uv's cache is taken from there"
    assert world.imports("torch", "exllamav2")


def test_the_next_run_fetches_only_what_is_missing(world: World, options: Options) -> None:
    world.mirror.fault("403", f"*/{CUDNN}", times=None, methods=("GET",))
    with pytest.raises(NetworkError):
        execute(world.plan, options)
    world.mirror.mend()
    before = len(bodies(world.mirror))
    hooks = Recorder()
    assert execute(world.plan, options, hooks).status == "installed"
    assert "uv-short" not in hooks.phases
    again = [
        one for one in world.mirror.requests if one.path.endswith(".whl") and one.method == "GET" and not one.range
    ]
    names = [one.path.rpartition("/")[2] for one in again[before:]]
    assert CUDNN in names
    assert len(names) < 25


def test_a_uv_that_cannot_read_such_locks_gets_files(world: World, options: Options, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    old = folder / "uv"
    old.write_text(
        '#!/bin/sh\ncase "$*" in *pylock*) echo "error: unexpected argument" >&2; exit 2;; esac\n'
        f'exec {sys.executable} -m uv "$@"\n'
    )
    old.chmod(0o755)
    environ = {**options.environ, "PATH": f"{folder}{os.pathsep}{options.environ['PATH']}"}
    assert execute(world.plan, options._replace(environ=environ)).status == "installed"
    assert len(stored(world)) == 26


def test_a_cache_that_vanishes_before_the_change_changes_nothing(world: World, options: Options) -> None:
    class Vanishing(Recorder):
        def on_step(self, name: str) -> None:
            super().on_step(name)
            if name == "install":
                shutil.rmtree(world.root / "uv-cache")

    before = listing(world.venv)
    with pytest.raises(InstallerError) as caught:
        execute(world.plan, options, Vanishing())
    assert "as it was before" in caught.value.hints[-1]
    assert listing(world.venv) == before
    assert execute(world.plan, options).status == "installed"


def test_what_we_have_as_a_file_is_not_fetched_again(world: World, options: Options) -> None:
    execute(world.plan, options._replace(installer="pip"))
    rollback(world.plan.target)
    came = bodies(world.mirror)
    hooks = Recorder()
    assert execute(world.plan, options, hooks).status == "installed"
    assert "uv-fetch" not in hooks.phases
    assert bodies(world.mirror) == came


def test_offline_uv_gets_files_only(world: World, options: Options) -> None:
    execute(world.plan, options)
    rollback(world.plan.target)
    # uv's cache has them; --offline says that all lies in our cache or a wheelhouse, and so it must.
    with pytest.raises(NetworkError) as caught:
        execute(world.plan, options._replace(offline=True, make_fetcher=lambda: Fetcher(offline=True)))
    assert caught.value.code == "offline"


def test_an_authority_that_only_pip_was_told_of(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    with Mirror(certificate=str(certificate.server)) as mirror:
        world = make_world(tmp_path / "world", mirror)
        environ = {key: text for key, text in world.environ.items() if "CERT" not in key and "CA_BUNDLE" not in key}
        environ |= {"PIP_CERT": str(certificate.bundle), "UV_CACHE_DIR": str(tmp_path / "uv-cache")}

        def make_fetcher() -> Fetcher:
            return Fetcher(mirrors=mirror.mirrors, cert=str(certificate.bundle))

        options = world.options._replace(installer="uv", environ=environ, make_fetcher=make_fetcher)
        hooks = Recorder()
        assert execute(world.plan, options, hooks).status == "installed"
        assert "uv-short" not in hooks.phases
        assert stored(world) == [EXLLAMAV2]


def test_a_proxy_that_only_pip_was_told_of(world: World, options: Options) -> None:
    """It plays the host itself, on plain http; the variables for proxies lead nowhere."""
    mirror = world.mirror
    environ = {**options.environ, "PIP_PROXY": mirror.url, "PIP_TRUSTED_HOST": PYTORCH}
    played = ((f"https://{PYTORCH}", f"http://{PYTORCH}"),)
    options = options._replace(environ=environ, mirrors=played)
    release, wheel = world.plan.pins[0].build
    torch = Selected("torch", release.version, File(wheel.filename, (wheel.url,), wheel.sha256, wheel.size_bytes), "")
    target = world.plan.target
    pip, hooks = choose_pip(target, environ), Recorder()
    with working(world.plan, read_environment(target), options, hooks, pip) as work:
        found = fetch_with_uv([torch], work, choose_uv(target, environ))
    assert hooks.phases == ["uv-fetch"]
    assert found["torch"].facts.version == "2.6.0+cu124"
    assert bodies(mirror) == [wheel.filename]


def test_ctrl_c_ends_uv_too(tmp_path: Path, mirror: Mirror) -> None:
    person = make_person(tmp_path, mirror)
    person.sets("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    before = listing(person.world.venv)
    mirror.fault("stall", f"*/{CUDNN}", times=None, methods=("GET",))
    running = person.starts("exllamav2", *GPU, "--installer", "uv")
    assert running.stderr is not None
    for line in running.stderr:
        if "uv fetches into its cache" in line:
            break
    while CUDNN not in bodies(mirror):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert listing(person.world.venv) == before
    mirror.mend()
    assert person.types("exllamav2", *GPU, "--installer", "uv").code == 0


def test_a_wheelhouse_is_all_that_is_used(tmp_path: Path, mirror: Mirror) -> None:
    person = make_person(tmp_path, mirror)
    person.sets("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    assert person.types("download", "exllamav2", *GPU, "-d", str(tmp_path / "wheelhouse")).code == 0
    shutil.rmtree(tmp_path / "cache")
    before = len(mirror.requests)
    wheelhouse = ("--offline", "--wheelhouse", str(tmp_path / "wheelhouse"))
    done = person.types("install", "exllamav2", *GPU, *wheelhouse, "--installer", "uv")
    assert done.code == 0, done.err
    assert "uv fetches" not in done.err
    assert len(mirror.requests) == before


def test_a_lock_too(tmp_path: Path, mirror: Mirror) -> None:
    person = make_person(tmp_path, mirror)
    person.sets("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    lock = str(tmp_path / "pylock.toml")
    assert person.types("lock", "exllamav2", *GPU, "-o", lock).code == 0
    person.forgets()
    done = person.types("install", "--from", lock, *GPU, "--installer", "uv")
    assert done.code == 0, done.err
    assert "uv fetches into its cache (26 files, " in done.err
    assert "fetching the rest" not in done.err
    assert not list(tmp_path.glob("cache-other/**/*.whl")), "the lock has the hash of every file"
    assert person.world.imports("torch", "exllamav2")
