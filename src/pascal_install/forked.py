"""A check in two halves, one of them in a copy of this process: half the wait where a second processor is free."""

from __future__ import annotations

import os
import sys

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def both(check: Callable[[int], bool]) -> bool:
    """Tell whether `check(0)` and `check(1)` hold, which change nothing and wait for nothing.

    False too where the copy was killed or could not end its half: whoever needs to be sure checks again.
    """
    copy = _fork()
    if copy is None:
        return check(0) and check(1)
    if not copy:
        code = 1
        try:
            code = 0 if check(1) else 1
        finally:
            # At once, whatever was raised: the buffers, the `finally`s and the messages are the parent's.
            os._exit(code)
    try:
        holds = check(0)
    finally:
        code = _wait_for(copy)
    return holds and code == 0


def _fork() -> int | None:
    """Make the copy: 0 in itself. None where that cannot be: on Windows, beside threads, which it would not have."""
    if sys.platform == "win32":
        return None
    import _thread

    # The one count that has every thread, and threading takes long to load.
    if _thread._count() or os.cpu_count() == 1:  # noqa: SLF001
        return None
    try:
        return os.fork()
    except OSError:  # no room for another process
        return None


def _wait_for(copy: int) -> int:
    try:
        return os.waitpid(copy, 0)[1]
    except ChildProcessError:  # with SIGCHLD ignored, the system keeps no word of how a child ended
        return -1
