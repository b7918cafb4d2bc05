"""What a disk can do to a file that is written, in words."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator

from pascal_install.errors import InstallerError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextlib.contextmanager
def writing(path: str, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn an OSError into an InstallerError that says where, and for a full disk how much is missing."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(path, needed_bytes) from error
        raise InstallerError(f"cannot write {path}", code="cannot-write", cause=error.strerror or str(error)) from error


def full(path: str, needed_bytes: int | None) -> InstallerError:
    """Word a disk without room for what is still to come."""
    needed = "" if needed_bytes is None else f"needed {needed_bytes / 1e6:.1f} MB, "
    return InstallerError(
        f"there is not enough room for {path}",
        code="disk-full",
        cause=f"{needed}free {free_bytes(path) / 1e6:.1f} MB",
        hints=("free some space, or put the cache elsewhere: PASCAL_INSTALL_CACHE_DIR=DIR",),
    )


def free_bytes(path: str) -> int:
    """Give the free space where a path is, or will be."""
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free
