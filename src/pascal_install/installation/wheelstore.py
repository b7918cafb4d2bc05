"""Fetched files in the cache, shared between environments and runs.

    SHA256[:2]/SHA256/FILENAME     where the hash is known before
    url/DIGEST OF THE ADDRESS/...  where it is not: the first download decides what the file is from then on

Beside each file lies FILENAME.json: what was checked when. It outlives the file, so that a hash once seen stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from pascal_install.errors import VerificationError
from pascal_install.model.address import redact
from pascal_install.value import NamedTuple

_READ_BYTES = 1024 * 1024


class File(NamedTuple):
    """A file to fetch."""

    filename: str
    urls: Sequence[str]
    """Addresses of the same bytes, the preferred one first."""
    sha256: str = ""
    """Lower-case hex; empty where nobody published it."""
    size_bytes: int | None = None


class Fetched(NamedTuple):
    """A file on disk, checked."""

    path: str
    sha256: str
    from_cache: bool


class WheelStore:
    """The files below one folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, file: File) -> str:
        """Give where a file is or will be. Raises VerificationError for a name that is none."""
        name = file.filename
        if not name or name in (".", "..") or not name.isprintable() or any(mark in name for mark in "/\\:"):
            raise VerificationError(f"{name!r} cannot be the name of a file", code="bad-name")
        if file.sha256:
            if len(file.sha256) != 64 or set(file.sha256) - set("0123456789abcdef"):
                raise VerificationError(f"{file.sha256!r} cannot be a SHA-256", code="bad-hash")
            return os.path.join(self.folder, file.sha256[:2], file.sha256, name)
        digest = hashlib.sha256(redact(file.urls[0]).encode()).hexdigest()
        return os.path.join(self.folder, "url", digest, name)

    def find(self, file: File, *, verify: bool = False) -> Fetched | None:
        """Give a file that is there and right, or None.

        A file of the size and time that it had when it was checked is taken as right; `verify`, or any difference,
        means that it is read and hashed again.
        """
        path = self.path(file)
        expected = file.sha256 or self.remembered_sha256(file)
        try:
            facts = os.stat(path)
        except OSError:
            return None
        record = _read_record(path)
        is_as_left = record.get("sha256") == expected and (facts.st_size, facts.st_mtime_ns) == (
            record.get("size_bytes"),
            record.get("mtime_ns"),
        )
        if expected and is_as_left and not verify:
            return Fetched(path, expected, from_cache=True)
        try:
            found = sha256_of(path)
        except OSError:
            return None
        if not expected or found != expected:
            return None
        self.remember(file, found)
        return Fetched(path, found, from_cache=True)

    def remembered_sha256(self, file: File) -> str:
        """Give the hash that this file had when it was first fetched, or nothing."""
        return str(_read_record(self.path(file)).get("sha256", ""))

    def remember(self, file: File, sha256: str) -> None:
        """Note that a file was checked. Where that cannot be written, it will be checked again."""
        path = self.path(file)
        with contextlib.suppress(OSError):
            facts = os.stat(path)
            record = {
                "url": redact(file.urls[0]) if file.urls else "",
                "sha256": sha256,
                "size_bytes": facts.st_size,
                "mtime_ns": facts.st_mtime_ns,
            }
            with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False, encoding="utf-8") as aside:
                json.dump(record, aside)
            os.replace(aside.name, f"{path}.json")

    def missing_bytes(self, file: File) -> int:
        """Give how much of a file is still to come, as far as its size is known."""
        with contextlib.suppress(OSError):
            return max((file.size_bytes or 0) - os.stat(f"{self.path(file)}.part").st_size, 0)
        return file.size_bytes or 0


def sha256_of(path: str) -> str:
    """Read a file and give its SHA-256."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _read_record(path: str) -> dict[str, Any]:
    try:
        with open(f"{path}.json", encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
