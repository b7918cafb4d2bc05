"""Locks between processes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pascal_install import process
from pascal_install.errors import InstallerError, TargetError
from pascal_install.installation.lock import FileLock
from support.environments import clean_environ

HOLDER = """
import sys, time
from pascal_install.installation.lock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env=clean_environ(PYTHONPATH=os.pathsep.join(sys.path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


def test_a_held_lock_is_told_with_its_holder_and_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waited: list[str] = []
    with holder(path) as other:
        with pytest.raises(TargetError) as caught, FileLock(str(path), 0.2, on_wait=waited.append):
            pass
        assert (caught.value.code, waited) == ("locked", [f"process {other.pid}"])
        assert str(other.pid) in caught.value.summary
        other.kill()
        other.communicate()
        with FileLock(str(path), 20):
            pass


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(5):
            with FileLock(path, 60):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are not inherited there")
def test_a_child_that_outlives_a_killed_holder_keeps_the_lock(tmp_path: Path) -> None:
    """What a killed install leaves running must have ended before the next one begins."""
    path = tmp_path / "lock"
    program = f"""
import os, sys
from pascal_install import process
from pascal_install.installation.lock import FileLock
with FileLock({str(path)!r}) as lock:
    sleeper = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
    process.run(sleeper, pass_fds=[lock.fileno()], on_line=lambda line: print(line, flush=True))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=clean_environ(PYTHONPATH=os.pathsep.join(sys.path)),
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    with pytest.raises(TargetError), FileLock(str(path), 0.2):
        pass
    os.kill(child, signal.SIGKILL)
    with FileLock(str(path), 20):
        pass


def test_a_child_without_the_descriptor_does_not_hold_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with FileLock(path):
        code = (
            "import subprocess, sys\n"
            "quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
            "sleeper = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
            "print(subprocess.Popen(sleeper, start_new_session=True, **quiet).pid)"
        )
        daemon = int(process.run([sys.executable, "-c", code]).stdout)
    try:
        with FileLock(path, 0.2):
            pass
    finally:
        os.kill(daemon, signal.SIGTERM)


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstallerError, match="cannot write"), FileLock(str(tmp_path / "nowhere" / "lock")):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links as POSIX has them")
def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content", encoding="utf-8")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InstallerError), FileLock(str(tmp_path / "lock")):
        pass
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "content"
