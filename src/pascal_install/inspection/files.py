"""Files on disk as sources of bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from types import TracebackType


class FileSource:
    """An open file, read at any position. Use it as a context manager.

    Headers lie far apart, so the kernel is told not to read ahead: of libtorch_cuda.so, 903 MB, it then fetches 9 MB
    from a cold disk instead of 278. Where the system cannot do this (Windows) reads go through seek.
    """

    def __init__(self, path: str) -> None:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        self._file = os.open(path, flags)
        status = os.fstat(self._file)
        self.size_bytes = status.st_size
        self.is_regular = stat.S_ISREG(status.st_mode)
        #: Whether threads may read from it at the same time.
        self.is_shareable = hasattr(os, "pread")
        self.identity = (status.st_dev, status.st_ino)
        if self.is_regular and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)

    def expect_whole(self) -> None:
        """Tell the kernel that the file is going to be read from start to end."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    if hasattr(os, "pread"):

        def read_at(self, offset: int, length: int) -> bytes:
            """See `binary.source.Source`."""
            # Offsets in a damaged file may be larger than any that the system takes.
            return os.pread(self._file, length, offset) if offset < self.size_bytes else b""

    else:

        def read_at(self, offset: int, length: int) -> bytes:
            """See `binary.source.Source`."""
            if offset >= self.size_bytes:
                return b""
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, length)

    def is_slow(self, offset: int) -> bool:
        """Tell whether the system would have to ask the disk for this place; False where it does not say."""
        if not hasattr(os, "RWF_NOWAIT"):
            return False
        try:
            os.preadv(self._file, [bytearray(1)], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return True
        except OSError:
            # Not every file system can tell.
            return False
        return False

    def fetch_ahead(self, offsets: Sequence[int], length: int) -> None:
        """Have the system fetch these places, all at once."""
        for offset in offsets:
            os.posix_fadvise(self._file, offset, length, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> FileSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
