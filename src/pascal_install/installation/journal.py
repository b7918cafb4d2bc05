"""The way back: what an install sets aside, and where it stands, in PREFIX/.pascal-install/journal-N.

    manifest.json   written once, before anything moves: what was there, what comes, each file by its path
    state.json      the step; written aside, synced, then renamed
    files/          what was set aside, moved by rename: instant, and no further disk space
    debris/         the same for broken trees and for what killed installs left; gone for good with the commit
    reserve         room that the way back needs on a disk that has become full meanwhile

A step counts only when state.json says so, and each way back can be started again from any point, so that after a kill
the environment can always be brought to the state before. Steps: `set-aside`, `install`, `verify`, `committed`, and on
the way back `undo`, `put-back`, `undone`.
"""

from __future__ import annotations

import os

from pascal_install.errors import DataError, InstallerError, TargetError
from pascal_install.read_json import read_json
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from pascal_install.model.interpreter import Target

SCHEMA = 1
HOME = ".pascal-install"
_RESERVE_BYTES = 256 * 1024


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


class Journal:
    """One install's journal on disk."""

    def __init__(self, folder: str, on_step: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.on_step = on_step

    @property
    def number(self) -> int:
        """Its place in the order of installs."""
        return int(os.path.basename(self.folder).rpartition("-")[2])

    @property
    def step(self) -> str:
        """The step that is safe on disk; empty where the install had not begun to change anything."""
        path = os.path.join(self.folder, "state.json")
        if not os.path.exists(path):
            return ""
        return str(_read(path, ("step",))["step"])

    def reach(self, step: str) -> None:
        """Write down that a step is reached."""
        _write(os.path.join(self.folder, "state.json"), {"schema": SCHEMA, "step": step})
        if self.on_step:
            self.on_step(step)

    @property
    def manifest(self) -> Manifest:
        """Read the manifest. Raises DataError where it is damaged."""
        read = _read(os.path.join(self.folder, "manifest.json"), Manifest._fields)
        steps = tuple(tuple(str(part) for part in step) for step in read["steps"])
        lists = {key: tuple(str(path) for path in read[key]) for key in Manifest._fields[2:]}
        return Manifest(created_at=str(read["created_at"]), steps=steps, **lists)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest down; nothing has moved yet."""
        for folder in (self._files, self._debris):
            os.makedirs(folder, exist_ok=True)
        from pascal_install.fetch.disk import writing

        with writing(self._reserve), open(self._reserve, "wb") as file:
            file.write(os.urandom(_RESERVE_BYTES))  # no file system can store this in less
        _write(os.path.join(self.folder, "manifest.json"), {"schema": SCHEMA, **manifest._asdict()})

    @property
    def _reserve(self) -> str:
        return os.path.join(self.folder, "reserve")

    def _free_reserve(self) -> None:
        try:
            os.unlink(self._reserve)
        except FileNotFoundError:
            return

    @property
    def _files(self) -> str:
        return os.path.join(self.folder, "files")

    @property
    def _debris(self) -> str:
        return os.path.join(self.folder, "debris")

    def set_aside(self) -> None:
        """Move everything that goes out of the way."""
        manifest = self.manifest
        _check_writable(manifest, self.folder)
        self.reach("set-aside")
        for paths, folder in ((manifest.aside, self._files), (manifest.debris, self._debris)):
            for place, path in enumerate(paths):
                if os.path.lexists(path):
                    _move(path, os.path.join(folder, str(place)))
        _prune((*manifest.aside, *manifest.debris), manifest.roots)

    def commit(self) -> None:
        """Keep the new state. What was whole before stays here for `rollback`; debris goes."""
        self._free_reserve()
        if self.step != "committed":
            self.reach("committed")
        _remove_tree(self._debris)

    def undo(self) -> None:
        """Bring back the state before, from whichever step; may be called again after a kill."""
        step = self.step
        if step in ("", "undone"):
            self.drop()
            return
        manifest = self.manifest
        _check_writable(manifest, self.folder)
        self._free_reserve()
        if step == "committed":
            _remove_tree(self._debris)  # where the commit was killed before it came to that
            self.reach("undo")
        if step not in ("set-aside", "put-back"):
            if step in ("install", "verify"):
                _remove_folders(_made_by(manifest))
            _remove(manifest.brought)
            _prune(manifest.brought, manifest.roots)
            self.reach("put-back")
        for paths, folder in ((manifest.aside, self._files), (manifest.debris, self._debris)):
            for place, path in enumerate(paths):
                kept = os.path.join(folder, str(place))
                if os.path.lexists(kept):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    _move(kept, path)
        lost = set() if os.path.isdir(self._debris) else _of_debris_alone(manifest)
        for existed in manifest.folders:
            if existed not in lost:
                os.makedirs(existed, exist_ok=True)
        self.reach("undone")
        self.drop()

    def drop(self) -> None:
        """Take the journal away; from its first moment on it no longer counts."""
        if self.step not in ("", "undone"):
            self.reach("undone")
        _remove_tree(self.folder)

    def kept_bytes(self) -> int:
        """Tell how much disk the way back takes."""
        try:
            with os.scandir(self._files) as entries:
                return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
        except FileNotFoundError:
            return 0


def journals(target: Target) -> tuple[Journal, ...]:
    """Find the journals of an environment, oldest first."""
    home = os.path.join(target.prefix, HOME)
    try:
        names = os.listdir(home)
    except FileNotFoundError:
        return ()
    numbers = sorted(int(name[8:]) for name in names if name.startswith("journal-") and name[8:].isdigit())
    return tuple(Journal(os.path.join(home, f"journal-{number}")) for number in numbers)


def open_journals(target: Target) -> tuple[Journal, ...]:
    """Find the journals of installs that were killed, newest first: the way back goes in that order."""
    return tuple(journal for journal in reversed(journals(target)) if journal.step != "committed")


def last_committed(target: Target) -> Journal | None:
    """Find the journal that `rollback` would follow."""
    committed = [journal for journal in journals(target) if journal.step == "committed"]
    return committed[-1] if committed else None


def tidy(target: Target) -> None:
    """Take away what no way back needs: all committed journals but the last, and the debris of that one."""
    committed = [journal for journal in journals(target) if journal.step == "committed"]
    for journal in committed[:-1]:
        journal.drop()
    if committed:
        committed[-1].commit()


def begin(target: Target, manifest: Manifest, on_step: Callable[[str], None]) -> Journal:
    """Open a journal with its manifest on disk. Nothing has moved yet."""
    existing = journals(target)
    number = existing[-1].number + 1 if existing else 1
    journal = Journal(os.path.join(target.prefix, HOME, f"journal-{number}"), on_step)
    from pascal_install.fetch.disk import writing

    try:
        with writing(journal.folder):
            os.makedirs(journal.folder)
        journal.write_manifest(manifest)
    except BaseException:
        _remove_tree(journal.folder)
        raise
    return journal


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
    kept = [path for path in candidates if path not in taken and os.path.lexists(path) and not _is_folder(path)]
    kept += [path for path in compiled_forms(kept) if path not in candidates and path not in taken]
    parents = {os.path.dirname(path) for path in (*kept, *gone, *brought)}
    folders = tuple(sorted(folder for folder in _with_parents(parents, roots) if os.path.isdir(folder)))
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


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _with_parents(folders: Iterable[str], roots: Sequence[str]) -> set[str]:
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


def _move(source: str, destination: str) -> None:
    try:
        _rename(source, destination)
    except OSError as error:
        raise _immovable(source, error) from error


def _rename(source: str, destination: str) -> None:
    try:
        os.replace(source, destination)
    except OSError as error:
        if getattr(error, "errno", None) == 18 or getattr(error, "winerror", None) == 17:  # another file system
            import shutil

            shutil.move(source, destination)
            return
        raise


def _check_writable(manifest: Manifest, folder: str) -> None:
    """Raise TargetError before anything moves where some folder belongs to another: half of a change is none."""
    paths = (*manifest.aside, *manifest.debris, *manifest.brought)
    parents = {folder, *map(os.path.dirname, paths), *(path for path in manifest.debris if _is_folder(path))}
    closed = sorted(parent for parent in parents if os.path.isdir(parent) and not os.access(parent, os.W_OK | os.X_OK))
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise TargetError(
            f"{closed[0]}{more} cannot be written",
            code="read-only",
            cause="folders of this environment are read-only or belong to another user, as after an install with sudo",
            hints=("run this as their owner, or give them back with chown -R",),
        )


def _immovable(path: str, error: OSError) -> InstallerError:
    """Word what keeps a file from being moved or taken away."""
    return InstallerError(
        f"cannot move {path}",
        code="file-locked",
        cause=str(error),
        hints=("end the programs that use this environment",),
    )


def _made_by(manifest: Manifest) -> set[str]:
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


def _of_debris_alone(manifest: Manifest) -> set[str]:
    """Find the folders that held debris alone: once that is gone, an empty metadata folder would be debris too."""
    held = _with_parents((*manifest.debris, *map(os.path.dirname, manifest.debris)), manifest.roots)
    return held - _with_parents(map(os.path.dirname, manifest.aside), manifest.roots)


def _remove_folders(folders: Iterable[str]) -> None:
    import shutil

    for folder in folders:
        if os.path.isdir(folder):
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise _immovable(folder, error) from error


def _remove_tree(folder: str) -> None:
    """Take a folder of ours away, as far as that goes."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _remove(paths: Sequence[str]) -> None:
    """Take files away, with their compiled forms; of metadata folders all that is in them."""
    _remove_folders({os.path.dirname(path) for path in paths if os.path.dirname(path).endswith(".dist-info")})
    for path in (*compiled_forms(paths), *paths):
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _immovable(path, error) from error


def _prune(paths: Iterable[str], roots: Sequence[str]) -> None:
    """Take away the folders of these files that have become empty, deepest first."""
    parents = {os.path.dirname(path) for path in paths}
    parents |= {os.path.join(parent, "__pycache__") for parent in parents}
    for folder in sorted(_with_parents(parents, roots), key=len, reverse=True):
        try:
            os.rmdir(folder)
        except OSError:
            continue


def _write(path: str, document: dict[str, Any]) -> None:
    """Write a file aside, sync it, and rename it: after a power cut it is the old one or this one."""
    import json

    from pascal_install.fetch.disk import writing

    with writing(path):
        with open(f"{path}.part", "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.part", path)
    if os.name == "posix":
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: str, fields: Sequence[str]) -> dict[str, Any]:
    """Read a journal's file. Raises DataError where it is not one of this schema."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            read = read_json(file.read())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read", code="bad-journal", cause=str(error)) from error
    if not isinstance(read, dict) or read.get("schema") != SCHEMA or any(field not in read for field in fields):
        raise DataError(
            f"{path} is not a journal of this version",
            code="bad-journal",
            cause=f"expected schema {SCHEMA} with {', '.join(fields)}",
            hints=("use the pascal-install that wrote it",),
        )
    return read
