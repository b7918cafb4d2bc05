"""Wheels, read as zip archives without unpacking: where the members lie, and what they inflate to.

`zipfile` reads only from files it opens itself, keeps an object for every member and trusts sizes. Here everything is
bounded by what is read: no member inflates past the size it claims, and no claim goes beyond what deflate can do.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pascal_install.binary.source import DamagedError, Source, UnsupportedError, read_exactly
from pascal_install.value import NamedTuple

STORED, DEFLATED = 0, 8

_END = struct.Struct("<4sHHHHIIH")
_END_MAGIC = b"PK\x05\x06"
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
#: From the flags on; magic, versions, times, disk and attributes are stepped over.
_ENTRY = struct.Struct("<HH4xIIIHHH8xI")
_ENTRY_SIZE = 46
_LOCAL = struct.Struct("<4s4xH16xHH")

_MAX_COMMENT = 1 << 16
_MAX_DIRECTORY = 1 << 26
_MAX_MEMBERS = 1 << 18
_INPUT_CHUNK = 1 << 18
_OUTPUT_CHUNK = 1 << 18
# Libraries deflate to a tenth at best; deflate itself ends at 1 to 1032.
_MAX_RATIO = 200
_ALWAYS_ALLOWED = 1 << 26


class Member(NamedTuple):
    """One line of the central directory."""

    name: str
    method: int
    encrypted: bool
    crc: int
    compressed_size: int
    size_bytes: int
    header_offset: int

    @property
    def unreadable(self) -> str:
        """Why its content cannot be read, or nothing."""
        if self.encrypted:
            return "encrypted"
        return "" if self.method in (STORED, DEFLATED) else f"compressed with method {self.method}"


class Directory(NamedTuple):
    """Where the central directory lies, and how many members it has."""

    offset: int
    size: int
    members: int


def read_directory_place(source: Source) -> Directory:
    """Find the central directory by the record at the end of the file. Raises DamagedError."""
    size = source.size_bytes
    tail_at = max(0, size - _END.size - _MAX_COMMENT)
    # Most archives have no comment: try that before reading 64 KB.
    for start in dict.fromkeys((max(0, size - _END.size), tail_at)):
        tail = source.read_at(start, size - start)
        at = tail.rfind(_END_MAGIC)
        if at >= 0 and len(tail) - at >= _END.size:
            break
    else:
        raise DamagedError(size, "no end of a zip archive; a wheel is one")
    end_at = start + at
    _, _, _, _, count, directory_size, offset, _ = _END.unpack_from(tail, at)
    if count == 0xFFFF or 0xFFFFFFFF in (directory_size, offset):
        place = _read_end64(source, end_at)
        if place:
            count, directory_size, offset, end_at = place
    if offset + directory_size > end_at:
        raise DamagedError(end_at, f"a directory of {directory_size} bytes at {offset} runs past the end record")
    if directory_size > _MAX_DIRECTORY or count > _MAX_MEMBERS:
        raise DamagedError(end_at, f"{count} members in a directory of {directory_size} bytes; no wheel has that many")
    return Directory(offset, directory_size, count)


def read_members(source: Source, directory: Directory, wanted: Callable[[str], bool]) -> tuple[Member, ...]:
    """Read the central directory; only members whose name is wanted are kept, in the order of the file.

    Raises DamagedError, also for names that lead out of the wheel and for members that overlap.
    """
    content = read_exactly(source, directory.offset, directory.size, "the central directory")
    members = []
    at = count = 0
    while at < len(content):
        offset = directory.offset + at
        if len(content) - at < _ENTRY_SIZE or content[at : at + 4] != b"PK\x01\x02":
            raise DamagedError(offset, "an entry of the central directory is cut off or not one")
        flags, method, crc, compressed, size, name_size, extra_size, comment_size, header_at = _ENTRY.unpack_from(
            content, at + 8
        )
        name_at = at + _ENTRY_SIZE
        raw_name = content[name_at : name_at + name_size]
        extra = content[name_at + name_size : name_at + name_size + extra_size]
        at = name_at + name_size + extra_size + comment_size
        count += 1
        if at > len(content):
            raise DamagedError(offset, "an entry runs past the end of the central directory")
        name = raw_name.decode("utf-8", "replace")
        if _leads_out(name):
            raise DamagedError(offset, f"a member's name leads out of the wheel: {name[:100]!r}")
        if wanted(name):
            if 0xFFFFFFFF in (compressed, size, header_at):
                size, compressed, header_at = _wide_sizes(extra, offset, size, compressed, header_at)
            members.append(Member(name, method, bool(flags & 1), crc, compressed, size, header_at))
    if count != directory.members:
        raise DamagedError(directory.offset, f"{count} entries where the end record tells of {directory.members}")
    members.sort(key=lambda member: member.header_offset)
    _check_places(members, directory)
    return tuple(members)


def data_offset(source: Source, member: Member) -> int:
    """Tell where a member's bytes start, from its local header. Raises DamagedError."""
    local = read_exactly(source, member.header_offset, _LOCAL.size, "a member's header")
    magic, method, name_size, extra_size = _LOCAL.unpack(local)
    name = source.read_at(member.header_offset + _LOCAL.size, name_size)
    if magic != b"PK\x03\x04" or method != member.method or name.decode("utf-8", "replace") != member.name:
        raise DamagedError(member.header_offset, f"the header here is not that of {member.name}")
    start: int = member.header_offset + _LOCAL.size + name_size + extra_size
    return start


def content_chunks(source: Source, member: Member) -> Iterator[bytes]:
    """Inflate a member piece by piece, checking size and checksum at the end. Raises DamagedError, UnsupportedError."""
    if member.unreadable:
        raise UnsupportedError(member.unreadable)
    start = data_offset(source, member)
    tools = _tools()
    checksum = produced = 0
    for chunk in _inflated(source, start, member, tools):
        produced += len(chunk)
        if produced > member.size_bytes:
            raise DamagedError(start, f"{member.name} is longer than the {member.size_bytes} bytes it claims")
        checksum = tools.crc32(chunk, checksum)
        yield chunk
    if produced != member.size_bytes:
        raise DamagedError(start, f"{member.name} ends after {produced} of {member.size_bytes} bytes")
    if checksum != member.crc:
        raise DamagedError(start, f"{member.name} does not have the checksum that the directory tells")


class _Inflater(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Tools(NamedTuple):
    """What zlib and isal have alike."""

    inflater: Callable[[int], _Inflater]
    crc32: Callable[[bytes, int], int]
    error: Any
    """The exception, which isal's own annotations give as an instance."""


def _tools() -> _Tools:
    """Take isal when it is installed: it inflates nearly twice as fast."""
    try:
        from isal import isal_zlib
    except ImportError:
        return _Tools(zlib.decompressobj, zlib.crc32, zlib.error)
    return _Tools(isal_zlib.decompressobj, isal_zlib.crc32, isal_zlib.error)


def _inflated(source: Source, start: int, member: Member, tools: _Tools) -> Iterator[bytes]:
    inflater = tools.inflater(-15)
    end = start + member.compressed_size
    for at in range(start, end, _INPUT_CHUNK):
        pending = read_exactly(source, at, min(_INPUT_CHUNK, end - at), member.name)
        if member.method == STORED:
            yield pending
            continue
        more = True
        while more:
            try:
                chunk = inflater.decompress(pending, _OUTPUT_CHUNK)
            except tools.error as error:
                raise DamagedError(at, f"{member.name} does not inflate: {error}") from error
            if chunk:
                yield chunk
            if inflater.eof:
                return
            pending = inflater.unconsumed_tail
            # A full chunk may have been cut short with all input taken: the rest waits inside.
            more = bool(pending) or len(chunk) == _OUTPUT_CHUNK


def _read_end64(source: Source, end_at: int) -> tuple[int, int, int, int] | None:
    """Read the record of the 64-bit form; None where there is none (65,535 members is a true number as well)."""
    at = end_at - _END64_LOCATOR.size
    if at < 0:
        return None
    locator = read_exactly(source, at, _END64_LOCATOR.size, "the end of the archive")
    magic, _, record_at, _ = _END64_LOCATOR.unpack(locator)
    if magic != b"PK\x06\x07":
        return None
    if record_at + _END64.size > at:
        raise DamagedError(at, f"the 64-bit end record should lie at {record_at}, behind what points to it")
    record = _END64.unpack(read_exactly(source, record_at, _END64.size, "the 64-bit end record"))
    if record[0] != b"PK\x06\x06":
        raise DamagedError(record_at, "no 64-bit end record here")
    return record[7], record[8], record[9], record_at


def _wide_sizes(extra: bytes, offset: int, size: int, compressed: int, header_at: int) -> tuple[int, int, int]:
    """Read the 64-bit numbers that stand in for those which do not fit 32 bits."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            held = min(length, len(extra) - at - 4) // 8 * 8
            numbers = iter(value for (value,) in struct.iter_unpack("<Q", extra[at + 4 : at + 4 + held]))
            try:
                wide = [next(numbers) if value == 0xFFFFFFFF else value for value in (size, compressed, header_at)]
            except StopIteration:
                break
            return wide[0], wide[1], wide[2]
        at += 4 + length
    raise DamagedError(offset, "an entry lacks the 64-bit sizes that it refers to")


def _leads_out(name: str) -> bool:
    """Tell names that would be unpacked elsewhere, on any system: `/etc/x`, `../x`, `C:x`, and those cut by a zero."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "" or parts[0][1:2] == ":" or ".." in parts or "\0" in name


def _check_places(members: list[Member], directory: Directory) -> None:
    free_from = 0
    for member in members:
        if member.header_offset < free_from:
            raise DamagedError(member.header_offset, f"{member.name} overlaps the member in front of it")
        free_from = member.header_offset + _LOCAL.size + len(member.name) + member.compressed_size
        if free_from > directory.offset:
            raise DamagedError(member.header_offset, f"{member.name} runs into the central directory")
        if member.method == STORED and member.size_bytes != member.compressed_size and not member.encrypted:
            raise DamagedError(member.header_offset, f"{member.name} is stored, and claims two different sizes")
        if member.size_bytes > max(_ALWAYS_ALLOWED, member.compressed_size * _MAX_RATIO):
            raise DamagedError(
                member.header_offset,
                f"{member.name} claims to inflate from {member.compressed_size} to {member.size_bytes} bytes",
            )
    compressed, inflated = sum(member.compressed_size for member in members), sum(one.size_bytes for one in members)
    if inflated > max(_ALWAYS_ALLOWED, compressed * _MAX_RATIO):
        raise DamagedError(directory.offset, f"all members claim to inflate from {compressed} to {inflated} bytes")
