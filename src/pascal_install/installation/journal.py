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

from pascal_install.errors import DataError
from pascal_install.installation.manifest import (
    Manifest,
    check_writable,
    made_by,
    of_debris_alone,
)
from pascal_install.installation.moving import move, prune, remove_files, remove_folders, remove_tree
from pascal_install.read_json import read_json
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pascal_install.model.interpreter import Target

SCHEMA = 1
HOME = ".pascal-install"
_RESERVE_BYTES = 256 * 1024


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
        check_writable(manifest, self.folder)
        self.reach("set-aside")
        for paths, folder in ((manifest.aside, self._files), (manifest.debris, self._debris)):
            for place, path in enumerate(paths):
                if os.path.lexists(path):
                    move(path, os.path.join(folder, str(place)))
        prune((*manifest.aside, *manifest.debris), manifest.roots)

    def commit(self) -> None:
        """Keep the new state. What was whole before stays here for `rollback`; debris goes."""
        self._free_reserve()
        if self.step != "committed":
            self.reach("committed")
        remove_tree(self._debris)

    def undo(self) -> None:
        """Bring back the state before, from whichever step; may be called again after a kill."""
        step = self.step
        if step in ("", "undone"):
            self.drop()
            return
        manifest = self.manifest
        check_writable(manifest, self.folder)
        self._free_reserve()
        if step == "committed":
            remove_tree(self._debris)  # where the commit was killed before it came to that
            self.reach("undo")
        if step not in ("set-aside", "put-back"):
            if step in ("install", "verify"):
                remove_folders(made_by(manifest))
            remove_files(manifest.brought)
            prune(manifest.brought, manifest.roots)
            self.reach("put-back")
        for paths, folder in ((manifest.aside, self._files), (manifest.debris, self._debris)):
            for place, path in enumerate(paths):
                kept = os.path.join(folder, str(place))
                if os.path.lexists(kept):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    move(kept, path)
        lost = set() if os.path.isdir(self._debris) else of_debris_alone(manifest)
        for existed in manifest.folders:
            if existed not in lost:
                os.makedirs(existed, exist_ok=True)
        self.reach("undone")
        self.drop()

    def drop(self) -> None:
        """Take the journal away; from its first moment on it no longer counts."""
        if self.step not in ("", "undone"):
            self.reach("undone")
        remove_tree(self.folder)

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
        remove_tree(journal.folder)
        raise
    return journal


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
