"""What one install moves, writes and must leave alone: written down before anything moves."""

from __future__ import annotations

import os

from pascal_install.errors import TargetError
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Manifest(NamedTuple):
    """All that the way back needs to know."""

    created_at: str
    """UTC, ISO 8601."""
    steps: tuple[tuple[str, ...], ...]
    """(kind, name, version before, version after, where the new one came from)."""
    aside: tuple[str, ...]
    """Files that are moved to files/ under their place in this list."""
    debris: tuple[str, ...]
    """Files and folders that are moved to debris/ in the same way."""
    brought: tuple[str, ...]
    """Files that the installer will write."""
    folders: tuple[str, ...]
    """Folders that exist before, among those of the files above."""
    roots: tuple[str, ...]
    """Folders that are never taken away, even when empty."""


def make_manifest(
    created_at: str,
    steps: Iterable[tuple[str, ...]],
    *,
    aside: Iterable[str],
    debris: Iterable[str],
    brought: Iterable[str],
    roots: Sequence[str],
) -> Manifest:
    """Complete the lists: compiled forms go with their file, and what the installer will overwrite too."""
    brought = tuple(dict.fromkeys(brought))
    gone = tuple(path for path in dict.fromkeys(debris) if os.path.lexists(path))
    taken = set(gone)
    candidates = dict.fromkeys((*aside, *brought))
    kept = [path for path in candidates if path not in taken and os.path.lexists(path) and not is_folder(path)]
    kept += [path for path in compiled_forms(kept) if path not in candidates and path not in taken]
    parents = {os.path.dirname(path) for path in (*kept, *gone, *brought)}
    folders = tuple(sorted(folder for folder in with_parents(parents, roots) if os.path.isdir(folder)))
    return Manifest(created_at, tuple(steps), tuple(kept), gone, brought, folders, tuple(roots))


def compiled_forms(paths: Iterable[str]) -> list[str]:
    """Find the .pyc files of .py files: importing writes them, and no RECORD lists them."""
    stems: dict[str, set[str]] = {}
    for path in paths:
        if path.endswith(".py"):
            folder, name = os.path.split(path)
            stems.setdefault(os.path.join(folder, "__pycache__"), set()).add(name[:-3])
    found = []
    for cache, names in stems.items():
        try:
            entries = os.listdir(cache)
        except (FileNotFoundError, NotADirectoryError):
            continue
        found += [os.path.join(cache, entry) for entry in entries if entry.endswith(".pyc") and _stem(entry) in names]
    return found


def _stem(compiled: str) -> str:
    """Give `module` for `module.cpython-312.opt-1.pyc`."""
    return compiled.partition(".cpython-")[0].partition(".pyc")[0]


def is_folder(path: str) -> bool:
    """Tell a folder from a link to one."""
    return os.path.isdir(path) and not os.path.islink(path)


def with_parents(folders: Iterable[str], roots: Sequence[str]) -> set[str]:
    """Add each folder's parents, up to the roots."""
    stop = set(roots)
    found: set[str] = set()
    for folder in folders:
        current = folder
        while current not in found and current not in stop and len(current) > 1:
            found.add(current)
            parent = os.path.dirname(current)
            if parent == current:
                break
            current = parent
    return found


def check_writable(manifest: Manifest, folder: str) -> None:
    """Raise TargetError before anything moves where some folder belongs to another: half of a change is none."""
    paths = (*manifest.aside, *manifest.debris, *manifest.brought)
    parents = {folder, *map(os.path.dirname, paths), *(path for path in manifest.debris if is_folder(path))}
    closed = sorted(parent for parent in parents if os.path.isdir(parent) and not os.access(parent, os.W_OK | os.X_OK))
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise TargetError(
            f"{closed[0]}{more} cannot be written",
            code="read-only",
            cause="folders of this environment are read-only or belong to another user, as after an install with sudo",
            hints=("run this as their owner, or give them back with chown -R",),
        )


def made_by(manifest: Manifest) -> set[str]:
    """Find the topmost folders that only an unfinished install made: a killed pip leaves files that no list names."""
    before = {*manifest.folders, *manifest.roots}
    found = set()
    for parent in {os.path.dirname(path) for path in manifest.brought}:
        current = parent
        while current not in before and os.path.dirname(current) != current:
            if os.path.dirname(current) in before:
                found.add(current)
            current = os.path.dirname(current)
    return found


def of_debris_alone(manifest: Manifest) -> set[str]:
    """Find the folders that held debris alone: once that is gone, an empty metadata folder would be debris too."""
    held = with_parents((*manifest.debris, *map(os.path.dirname, manifest.debris)), manifest.roots)
    return held - with_parents(map(os.path.dirname, manifest.aside), manifest.roots)
