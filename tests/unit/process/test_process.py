"""Children that misbehave in every way that a real one has been seen to."""

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pascal_install.process import ProcessTimeout, run

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", textwrap.dedent(code)]


def is_alive(pid: int) -> bool:
    """Tell whether a process goes on; one that was killed a moment ago may take another to be gone."""
    for _ in range(100):
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8"):
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.05)
    return True


def interrupt_when(words: str, seen: list[str]) -> Callable[[str], None]:
    def on_line(line: str) -> None:
        seen.append(line)
        if line.startswith(words):
            signal.raise_signal(signal.SIGINT)

    return on_line


def test_both_streams_and_the_exit_code_come_back() -> None:
    done = run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert done == (3, "out\n", "err\n")


def test_megabytes_on_both_streams_do_not_block() -> None:
    code = "import sys; sys.stderr.write('e' * 3_000_000); sys.stdout.write('o' * 3_000_000)"
    done = run(python(code), timeout_s=60)
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_invalid_utf8_is_replaced_and_characters_cut_by_a_chunk_are_not() -> None:
    code = """
        import os, time
        os.write(1, b'caf\\xc3'); time.sleep(0.05); os.write(1, b'\\xa9 \\xff\\n')
    """
    assert run(python(code)).stdout == "café �\n"


def test_lines_come_as_they_are_written_whatever_ends_them() -> None:
    seen: list[str] = []
    code = "import os; os.write(1, b'10%\\r20%\\r\\n\\ndone\\nlast'); os.write(2, b'warn\\n')"
    done = run(python(code), on_line=seen.append)
    assert sorted(seen) == ["10%", "20%", "done", "last", "warn"]
    assert done.stdout == "10%\r20%\n\ndone\nlast"


def test_a_child_gets_no_input() -> None:
    assert run(python("import sys; print(repr(sys.stdin.read()))"), timeout_s=60).stdout == "''\n"


def test_environment_and_folder_are_what_was_given(tmp_path: Path) -> None:
    done = run(
        python("import os; print(os.environ['WORD'], os.getcwd())"), env={**os.environ, "WORD": "x"}, cwd=str(tmp_path)
    )
    assert done.stdout.split() == ["x", str(tmp_path)]


def test_a_program_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "nothing")])


@posix_only
def test_a_death_by_signal_is_a_negative_code() -> None:
    assert run(python("import os; os.kill(os.getpid(), 9)")).returncode == -9


@posix_only
def test_a_timeout_ends_the_children_of_the_child_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
        import os, subprocess, sys, time
        grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
        open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{grandchild.pid}}')
        time.sleep(600)
    """
    with pytest.raises(ProcessTimeout, match="did not end within 2 s"):
        run(python(code), timeout_s=2)
    assert [is_alive(int(pid)) for pid in pids.read_text(encoding="utf-8").split()] == [False, False]


@posix_only
def test_a_child_that_ignores_every_request_is_killed() -> None:
    code = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(os.getpid(), flush=True)
        time.sleep(600)
    """
    seen: list[str] = []
    with pytest.raises(ProcessTimeout):
        run(python(code), timeout_s=1, grace_s=0.2, on_line=seen.append)
    assert not is_alive(int(seen[0]))


@posix_only
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread")
def test_ctrl_c_lets_the_child_clean_up_and_goes_on(tmp_path: Path) -> None:
    note = tmp_path / "note"
    code = f"""
        import signal, time
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            print('ready', flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            open({str(note)!r}, 'w').write('rolled back')
    """
    with pytest.raises(KeyboardInterrupt):
        run(python(code), on_line=interrupt_when("ready", []))
    assert note.read_text(encoding="utf-8") == "rolled back"


@posix_only
def test_what_on_line_raises_ends_the_child() -> None:
    seen: list[int] = []

    def refuse(line: str) -> None:
        seen.append(int(line))
        raise LookupError(line)

    with pytest.raises(LookupError):
        run(python("import os, time; print(os.getpid(), flush=True); time.sleep(600)"), on_line=refuse)
    assert not is_alive(seen[0])


@posix_only
def test_a_daemon_that_keeps_the_pipe_open_is_not_waited_for() -> None:
    code = """
        import subprocess, sys
        daemon = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)
        print(daemon.pid)
    """
    done = run(python(code), timeout_s=60)
    assert done.returncode == 0
    os.kill(int(done.stdout), signal.SIGKILL)


@posix_only
def test_a_descriptor_that_is_passed_stays_open_in_the_child() -> None:
    reading, writing = os.pipe()
    try:
        run(python(f"import os; os.write({writing}, b'held')"), pass_fds=[writing])
        assert os.read(reading, 10) == b"held"
    finally:
        os.close(reading)
        os.close(writing)
