"""Locks between processes that vanish with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable

from pascal_install.errors import TargetError
from pascal_install.fetch.disk import writing

_POLL_S = 0.1
_NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL})

if sys.platform == "win32":
    import msvcrt

    _PLACE = 1 << 30  # beyond the content, because Windows forbids to read what is locked

    def _try(fd: int) -> None:
        os.lseek(fd, _PLACE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    def _release(fd: int) -> None:
        os.lseek(fd, _PLACE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


class FileLock:
    """Holds a file while the `with` block runs. The file stays; only the lock counts.

    A child that inherits `fileno()` holds the lock too, until it ends, where we are killed before (not on Windows).
    On a file system that knows no locks nothing is held.
    """

    def __init__(
        self,
        path: str,
        timeout_s: float | None = None,
        *,
        stop: threading.Event | None = None,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_wait` hears once who is waited for. Without `timeout_s` the waiting has no end."""
        self._path = path
        self._timeout_s = timeout_s
        self._stop = stop or threading.Event()
        self._on_wait = on_wait
        self._fd = -1

    def fileno(self) -> int:
        """Give the descriptor that carries the lock."""
        return self._fd

    def __enter__(self) -> FileLock:
        """Wait for the lock.

        Raises TargetError (`locked`) after the timeout, InstallerError (`cannot-write`) where the file cannot be made.
        A set `stop` ends the waiting without the lock: whoever gave it has to look at it.
        """
        with writing(self._path):
            self._fd = self._open()
        try:
            self._acquire()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def _open(self) -> int:
        no_link = getattr(os, "O_NOFOLLOW", 0)
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | no_link, 0o644)
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            # Another user's file, in a folder that may be shared: to hold it, it need not be written.
            with contextlib.suppress(OSError):
                return os.open(self._path, os.O_RDONLY | no_link)
            raise

    def _acquire(self) -> None:
        until = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        is_first = True
        while not self._is_taken():
            if is_first:
                self._on_wait(self._holder())
                is_first = False
            if until is not None and time.monotonic() > until:
                raise TargetError(
                    f"another pascal-install is at work ({self._holder()})",
                    code="locked",
                    cause=f"it holds {self._path}",
                    hints=("wait until it has ended, then run this again",),
                )
            if self._stop.wait(_POLL_S):
                return
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0) if sys.platform != "win32" else None

    def _is_taken(self) -> bool:
        try:
            _try(self._fd)
        except OSError as error:
            return error.errno in _UNSUPPORTED
        return True

    def _holder(self) -> str:
        with contextlib.suppress(OSError), open(self._path, encoding="ascii", errors="replace") as file:
            pid = file.read(20).strip()
            return f"process {pid}" if pid.isdigit() else "process unknown"
        return "process unknown"

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            _release(self._fd)
        os.close(self._fd)
