"""Children that run another program: the only module that starts any (`forked` copies this one).

Each child leads a process group of its own, so that an interrupt reaches its children too and nothing goes on working
in an environment behind our back.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time

from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

_POLL_S = 0.2
_ORPHAN_GRACE_S = 2.0


class Completed(NamedTuple):
    """How a child ended, and what it said."""

    returncode: int
    """Negative where a signal ended it: -9 is SIGKILL."""
    stdout: str
    stderr: str


class ProcessTimeout(Exception):  # noqa: N818 - named for what happened, as TimeoutError's own family is
    """A child did not end in time; it and its children have been ended."""

    def __init__(self, args: Sequence[str], timeout_s: float) -> None:
        super().__init__(f"{args[0]} did not end within {timeout_s:g} s")
        self.timeout_s = timeout_s


def run(
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout_s: float | None = None,
    on_line: Callable[[str], None] | None = None,
    pass_fds: Sequence[int] = (),
    grace_s: float = 5.0,
) -> Completed:
    """Run a child to its end, without input, and give what it wrote.

    `env` replaces the environment. `on_line` gets each line of either stream as it comes, in this thread, blank lines
    left out; a carriage return ends a line too. Bytes that are no UTF-8 are replaced. `pass_fds` (not on Windows) stay
    open in the child: a lock that it inherits is held until it ends, even where we are killed before.

    Raises OSError where the child cannot be started, and ProcessTimeout. On a timeout, on Ctrl-C and on anything that
    `on_line` raises, the child and its children are asked to stop, made to after `grace_s`, and the exception goes on.
    """
    child = _start(args, env, cwd, pass_fds)
    try:
        return _follow(child, args, timeout_s, on_line)
    except BaseException:
        _end(child, grace_s)
        raise
    finally:
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def _start(
    args: Sequence[str], env: Mapping[str, str] | None, cwd: str | None, pass_fds: Sequence[int]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - no shell; the callers build the arguments
        list(args),
        env=env,
        cwd=cwd,
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        creationflags=_CREATION_FLAGS,
        pass_fds=tuple(pass_fds) if os.name == "posix" else (),
    )


class _Stream:
    """What came from one pipe, and the part of a line that waits for its end."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self._line = b""

    def add(self, chunk: bytes) -> list[str]:
        """Keep a chunk; give the lines that it completes."""
        self.chunks.append(chunk)
        *whole, self._line = (self._line + chunk).replace(b"\r", b"\n").split(b"\n")
        return self._readable(whole)

    def rest(self) -> list[str]:
        """Give a last line that nothing ended."""
        return self._readable([self._line])

    @staticmethod
    def _readable(lines: list[bytes]) -> list[str]:
        return [line.decode("utf-8", "replace") for line in lines if line.strip()]

    def text(self) -> str:
        return b"".join(self.chunks).decode("utf-8", "replace").replace("\r\n", "\n")


def _follow(
    child: subprocess.Popen[bytes],
    args: Sequence[str],
    timeout_s: float | None,
    on_line: Callable[[str], None] | None,
) -> Completed:
    """Drain both pipes until they and the child end. One thread a pipe reads, so that neither can fill and block."""
    arriving: queue.SimpleQueue[tuple[_Stream, bytes]] = queue.SimpleQueue()
    out, err = _Stream(), _Stream()
    for stream, pipe in ((out, child.stdout), (err, child.stderr)):
        if pipe is not None:
            threading.Thread(target=_read, args=(pipe, stream, arriving), daemon=True).start()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    orphans_until: float | None = None
    is_open = 2
    while is_open:
        if deadline is not None and timeout_s is not None and time.monotonic() > deadline:
            raise ProcessTimeout(args, timeout_s)
        try:
            stream, chunk = arriving.get(timeout=_POLL_S)
        except queue.Empty:
            # The child is gone but something that it left behind keeps a pipe open: that is not waited for.
            if child.poll() is not None:
                orphans_until = orphans_until or time.monotonic() + _ORPHAN_GRACE_S
                if time.monotonic() > orphans_until:
                    break
            continue
        if not chunk:
            is_open -= 1
        lines = stream.add(chunk) if chunk else stream.rest()
        for line in lines if on_line is not None else ():
            on_line(line)  # type: ignore[misc]  # mypy does not see the condition above
    try:
        returncode = child.wait(None if deadline is None else max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired as error:
        raise ProcessTimeout(args, timeout_s or 0) from error
    return Completed(returncode, out.text(), err.text())


def _read(pipe: IO[bytes], stream: _Stream, arriving: queue.SimpleQueue[tuple[_Stream, bytes]]) -> None:
    chunk = b"-"
    while chunk:
        try:
            chunk = pipe.read(65536) or b""
        except (OSError, ValueError):  # closed under us
            chunk = b""
        arriving.put((stream, chunk))


def _end(child: subprocess.Popen[bytes], grace_s: float) -> None:
    """Stop the child's group: as Ctrl-C would (pip and uv then clean up behind them), then without asking."""
    for ask in (_interrupt, _terminate):
        ask(child)
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # a second Ctrl-C: no more patience
            pass
        break
    _kill(child)
    child.wait()


if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP

    def _interrupt(child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            os.kill(child.pid, signal.CTRL_BREAK_EVENT)

    def _terminate(child: subprocess.Popen[bytes]) -> None:
        """Windows knows nothing between asking and killing."""

    def _kill(child: subprocess.Popen[bytes]) -> None:
        tree = ["taskkill", "/T", "/F", "/PID", str(child.pid)]
        subprocess.run(tree, check=False, capture_output=True)  # noqa: S603 - a number is all that varies

else:
    _CREATION_FLAGS = 0

    def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)

    def _interrupt(child: subprocess.Popen[bytes]) -> None:
        _signal(child, signal.SIGINT)

    def _terminate(child: subprocess.Popen[bytes]) -> None:
        _signal(child, signal.SIGTERM)

    def _kill(child: subprocess.Popen[bytes]) -> None:
        """Kill what is left of the group; the child itself may be gone while its own children are not."""
        _signal(child, signal.SIGKILL)
