"""What would make an install fail, found before anything is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence

from pascal_install.errors import InstallerError, TargetError
from pascal_install.facts.interpreter import check_installable
from pascal_install.installation.journal import HOME, last_committed
from pascal_install.model.interpreter import Target
from pascal_install.report.progress import size_text

#: Bytes in an environment for each byte of wheels: torch 2.6.0 and its libraries are 3.06 GB of wheels and 5.19 GB
#: installed; what the verification compiles comes on top.
UNPACKED_FACTOR = 1.75

#: What pip and uv put into the temporary folder when the wheels lie on disk already.
_TEMPORARY_BYTES = 64 * 1024 * 1024

_DOWNLOADS, _TEMPORARY, _ENVIRONMENT = "downloads", "temporary files", "the environment"
_FORGET = "pascal-install rollback --forget"


def check_target(target: Target) -> None:
    """Raise TargetError where this environment cannot or must not be changed."""
    check_installable(target)
    folders = (target.prefix, target.purelib, target.scripts, os.path.join(target.prefix, HOME))
    closed = [folder for folder in folders if not _writable(folder)]
    if closed:
        raise TargetError(
            f"{target.prefix} is not writable",
            code="read-only",
            cause=", ".join(closed),
            hints=(
                "run this as the environment's owner, or choose another environment with --python",
                "where parts of it belong to another user (an install with sudo): give them back with chown -R",
            ),
        )


def _writable(folder: str) -> bool:
    """Tell whether files can be made in a folder, or the folder itself made."""
    existing = folder
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    if not os.access(existing, os.W_OK | os.X_OK):
        return False
    try:
        # root may write anywhere, but not on a read-only file system; statvfs tells that apart.
        return not os.statvfs(existing).f_flag & os.ST_RDONLY
    except AttributeError:  # Windows
        return True


def check_space(
    target: Target,
    cache: str,
    temporary: str,
    download_bytes: int,
    unpacked_bytes: int,
    variable: str = "PASCAL_INSTALL_CACHE_DIR",
) -> None:
    """Raise InstallerError where cache, temporary folder or environment has too little room; shared disks add up.

    `variable` is what puts the cache elsewhere.
    """
    wanted = (
        (_DOWNLOADS, cache, download_bytes),
        (_TEMPORARY, temporary, _TEMPORARY_BYTES),
        (_ENVIRONMENT, os.path.join(target.prefix, HOME), unpacked_bytes if target.prefix else 0),
    )
    disks: dict[int, list[tuple[str, str, int]]] = {}
    for label, folder, size_bytes in wanted:
        if size_bytes:
            existing = _existing(folder)
            disks.setdefault(os.stat(existing).st_dev, []).append((label, existing, size_bytes))
    for parts in disks.values():
        free = shutil.disk_usage(parts[0][1]).free
        needed = sum(size_bytes for _, _, size_bytes in parts)
        if needed > free:
            labels = [label for label, _, _ in parts]
            raise InstallerError(
                f"too little room on the disk of {parts[0][1]}: {size_text(needed)} needed, {size_text(free)} free",
                code="disk-space",
                cause=", ".join(f"{label} {size_text(size_bytes)} in {folder}" for label, folder, size_bytes in parts),
                hints=("free some space, then run this again", *_ways_out(labels, target, variable)),
            )


def _ways_out(labels: Sequence[str], target: Target, variable: str) -> Iterator[str]:
    """Say what helps beside deleting something: each folder has its own."""
    if _DOWNLOADS in labels:
        yield f"or put the cache elsewhere: {variable}=DIR"
    if _TEMPORARY in labels:
        yield "or put temporary files elsewhere: TMPDIR=DIR"
    kept = last_committed(target) if _ENVIRONMENT in labels else None
    if kept is not None and kept.kept_bytes():
        yield f"or give up the way back of the last install ({size_text(kept.kept_bytes())}): {_FORGET}"


def _existing(folder: str) -> str:
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def total(sizes: Iterable[int | None]) -> int:
    """Add up the sizes that are known."""
    return sum(size for size in sizes if size)
