"""A full disk, a file that cannot be moved, the folders of containers: it works, or nothing has changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pascal_install.errors import InstallerError, VerificationError
from pascal_install.installation.execute import execute
from pascal_install.installation.journal import open_journals
from support.installs import TAG, WRONG_TORCH, Recorder, listing
from support.mirror import Mirror
from support.person import GPU, Person, make_person
from support.wheels import make_torch_stub
from support.wholeness import what_is_broken

pytestmark = pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0 or shutil.which("mount") is None, reason="mounts need root"
)

ROOMY = 64 * 1024 * 1024


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount something for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def tmpfs(folder: Path, size_bytes: int) -> contextlib.AbstractContextManager[Path]:
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs")


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    """Somebody with the wrong torch; the right one has 3 MB that do not compress."""
    files = {"torch/lib/weights.bin": os.urandom(3_000_000)}
    torch = make_torch_stub("2.6.0+cu124", "cu124", TAG, ("sm_50", "sm_60", "sm_70"), files=files)
    made = make_person(tmp_path, mirror, torch=torch)
    made.world.pip("install", "--quiet", "torch")
    assert made.world.versions()["torch"] == WRONG_TORCH
    return made


@pytest.mark.parametrize(
    ("installer", "variable", "size_bytes"),
    [
        ("pip", "PASCAL_INSTALL_CACHE_DIR", 1_000_000),
        ("uv", "UV_CACHE_DIR", 1_000_000),
        ("pip", "TMPDIR", 65_536),
        ("uv", "TMPDIR", 65_536),
    ],
)
def test_a_full_disk_beside_the_environment(
    person: Person, tmp_path: Path, installer: str, variable: str, size_bytes: int
) -> None:
    before = listing(person.world.venv)
    with tmpfs(tmp_path / "small", size_bytes) as small:
        person.sets(variable, str(small))
        done = person.types("exllamav2", *GPU, "--installer", installer)
    if done.code:  # uv and pip put little into the temporary folder: it may be enough
        assert done.code == 8, done.err
        assert "room" in done.err or "space" in done.err
        assert variable in done.err or variable == "TMPDIR"
        assert listing(person.world.venv) == before
    else:
        assert variable == "TMPDIR"
        assert what_is_broken(person.world, "torch", "exllamav2") == []


@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize("room_bytes", [400_000, 2_500_000, 3_500_000])
def test_a_full_disk_under_the_environment(person: Person, tmp_path: Path, room_bytes: int, installer: str) -> None:
    """The room ends before, in and after torch's large file. Our check of the room is passed by filling it up later."""
    used = sum(path.stat().st_blocks * 512 for path in person.world.venv.rglob("*") if not path.is_symlink())
    away = tmp_path / "away"
    person.world.venv.rename(away)
    with tmpfs(person.world.venv, used + ROOMY) as venv:
        shutil.copytree(away, venv, symlinks=True, dirs_exist_ok=True)
        before = listing(venv)
        filler = venv / "filler"
        free = shutil.disk_usage(venv).free
        filler.write_bytes(b"\0" * (free - room_bytes))
        done = person.types("exllamav2", *GPU, "--installer", installer)
        filler.unlink()
        assert done.code == 8, done.err
        assert "room" in done.err or "space" in done.err or "disk is full" in done.err
        assert listing(venv) == before
        assert what_is_broken(person.world, "torch") == []


@pytest.mark.parametrize("step", ["set-aside", "install", "verify"])
def test_a_disk_that_others_fill_up_meanwhile(person: Person, step: str) -> None:
    """Not a byte is left for the journal: the way back has room of its own."""
    world = person.world
    away = world.root / "away"
    world.venv.rename(away)
    with tmpfs(world.venv, 2 * ROOMY) as venv:
        shutil.copytree(away, venv, symlinks=True, dirs_exist_ok=True)
        before = listing(venv)
        filler = venv / "filler"

        class Others(Recorder):
            def on_step(self, name: str) -> None:
                if name == step:
                    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                        while True:
                            file.write(b"\0" * 4096)
                if name in ("undone", "committed"):
                    filler.unlink(missing_ok=True)

        with contextlib.suppress(InstallerError, VerificationError):
            execute(world.plan, world.options, Others())
        filler.unlink(missing_ok=True)
        if open_journals(world.plan.target):
            pytest.fail("half of a change was left")
        assert listing(venv) == before or what_is_broken(world, "torch", "exllamav2") == []


def test_a_file_that_cannot_be_moved(person: Person) -> None:
    """chattr +i: root, too, cannot move it."""
    before = listing(person.world.venv)
    locked = person.world.site / "torch/version.py"
    done = subprocess.run(["chattr", "+i", str(locked)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    try:
        ended = person.types("exllamav2", *GPU)
    finally:
        subprocess.run(["chattr", "-i", str(locked)], check=True)
    assert ended.code in (5, 8), ended.err
    assert "version.py" in ended.err
    assert listing(person.world.venv) == before


def test_site_packages_on_a_read_only_file_system(person: Person) -> None:
    before = listing(person.world.venv)
    site = person.world.site
    with mounted(site, "--bind", str(site)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(site)], check=True)
        done = person.types("exllamav2", *GPU)
    assert done.code == 5, done.err
    assert listing(person.world.venv) == before


def test_a_cache_that_is_read_only(person: Person, tmp_path: Path) -> None:
    cache = tmp_path / "ro-cache"
    with mounted(cache, "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"):
        person.sets("PASCAL_INSTALL_CACHE_DIR", str(cache))
        done = person.types("exllamav2", *GPU)
    assert done.code == 0, done.err
    assert what_is_broken(person.world, "torch", "exllamav2") == []


def test_a_cache_on_another_file_system(person: Person, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "other", ROOMY) as other:
        person.sets("PASCAL_INSTALL_CACHE_DIR", str(other))
        done = person.types("exllamav2", *GPU)
        assert done.code == 0, done.err
        assert what_is_broken(person.world, "torch", "exllamav2") == []
        assert person.types("rollback").code == 0
        assert person.world.versions()["torch"] == WRONG_TORCH


@pytest.mark.parametrize("home", ["ro", "missing"])
def test_a_home_that_cannot_be_written(person: Person, tmp_path: Path, home: str) -> None:
    """As in containers that run as a user without one."""
    person.forgets_setting("PASCAL_INSTALL_CACHE_DIR")
    person.forgets_setting("XDG_CACHE_HOME")
    with contextlib.ExitStack() as stack:
        folder = tmp_path / "nobody"
        if home == "ro":
            stack.enter_context(mounted(folder, "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"))
        else:
            folder = Path("/proc/nobody")
        person.sets("HOME", str(folder))
        done = person.types("exllamav2", *GPU)
    assert done.code == 0, done.err
    assert what_is_broken(person.world, "torch", "exllamav2") == []


def test_a_temporary_folder_that_is_not_there(person: Person, tmp_path: Path) -> None:
    person.sets("TMPDIR", str(tmp_path / "nowhere"))
    done = person.types("exllamav2", *GPU)
    assert done.code == 0, done.err
    assert what_is_broken(person.world, "torch", "exllamav2") == []
