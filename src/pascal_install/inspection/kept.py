"""Readings of remote wheels, kept in a folder: what was read once is never fetched again.

A wheel is known by its SHA-256, a library in it by its CRC-32 and sizes: the wheels of one release often carry the
same libraries, and then only the first of them is fetched. What is kept are counts, not verdicts, so rules may change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from pascal_install import cache
from pascal_install.binary.coverage import Binary, may_decide
from pascal_install.binary.fatbin import EMPTY, FatbinSection, Group
from pascal_install.binary.library import Library
from pascal_install.binary.source import DamagedError
from pascal_install.binary.wheelzip import Member
from pascal_install.inspection.remote import BLOCK, Progress, RangeFetcher, RemoteSource
from pascal_install.inspection.wheel import library_members, read_wheel
from pascal_install.model.cuda import CodeTarget

_KIND = "readings"
#: Raised when the same bytes are read differently.
_READER = [1]


class KeptReadings:
    """The folder. What cannot be read there was never kept; where nothing can be written, nothing is."""

    def __init__(self, cache_dir: str) -> None:
        self._cache_dir = cache_dir

    def wheel(self, sha256: str) -> tuple[Binary, ...] | None:
        """Give the libraries of a wheel that can decide, if all of them are kept."""
        listed = self._load(f"wheel-{sha256}")
        if not isinstance(listed, list):
            return None
        found = []
        for member, size_bytes, key in listed:
            library = self._library(key)
            if library is None:
                return None
            found.append(Binary(member, size_bytes, library))
        return tuple(found)

    def read(
        self, url: str, sha256: str, fetcher: RangeFetcher, progress: Progress | None = None
    ) -> tuple[Binary, ...]:
        """Read the libraries of a remote wheel that can decide what it serves, and keep them.

        Raises NetworkError and DamagedError as `inspect_url` does.
        """
        kept = self.wheel(sha256)
        if kept is not None:
            return kept
        source = RemoteSource(url, fetcher)
        try:
            members = library_members(source)
        except DamagedError as error:
            raise error.of(source.subject) from error
        first = may_decide([member.name for member in members])
        chosen = [member for member in members if member.name in first]
        binaries = self._read(source, chosen, progress)
        if not any(binary.library.nv_fatbin.groups for binary in binaries):
            others = [member for member in members if member.name not in first]
            binaries += self._read(source, others, progress)
            chosen += others
        keys = {member.name: _key(member) for member in chosen}
        self._store(f"wheel-{sha256}", [[one.member, one.size_bytes, keys[one.member]] for one in binaries])
        return tuple(binaries)

    def _read(self, source: RemoteSource, members: Sequence[Member], progress: Progress | None) -> list[Binary]:
        kept = {member.name: library for member in members if (library := self._library(_key(member))) is not None}
        missing = [member for member in members if member.name not in kept]
        source.read_ahead(BLOCK, missing, progress)
        report = read_wheel(source.subject, source, missing)
        if report.damaged:
            raise report.damaged[0]
        keys = {member.name: _key(member) for member in missing}
        for binary in report.binaries:
            self._store(f"library-{keys[binary.member]}", _to_json(binary.library))
        sizes = {member.name: member.size_bytes for member in members}
        return [*report.binaries, *(Binary(name, sizes[name], library) for name, library in kept.items())]

    def _library(self, key: str) -> Library | None:
        with contextlib.suppress(LookupError, TypeError, ValueError):
            return _from_json(self._load(f"library-{key}"))
        return None

    def _load(self, name: str) -> Any:
        return cache.read(self._cache_dir, _KIND, name, _READER)

    def _store(self, name: str, content: Any) -> None:
        cache.write(self._cache_dir, _KIND, name, _READER, content)


def _key(member: Member) -> str:
    return f"{member.crc:08x}-{member.size_bytes}-{member.compressed_size}"


def _to_json(library: Library) -> dict[str, Any]:
    groups = [[[str(target) for target in group.targets], group.fatbins] for group in library.nv_fatbin.groups]
    return {"format": library.format, "machine": library.machine, "groups": groups}


def _from_json(kept: Any) -> Library:
    groups = tuple(
        Group(tuple(CodeTarget.parse(target) for target in targets), fatbins) for targets, fatbins in kept["groups"]
    )
    return Library(kept["format"], kept["machine"], FatbinSection(groups), EMPTY)
