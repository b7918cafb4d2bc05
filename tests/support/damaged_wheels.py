"""Damaged wheels. They are laid out by hand, so that the same bytes come of it with any zlib."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from support.damaged_cases import Case, damaged, patch, read, skipped
from support.damaged_libraries import HUGE
from support.device_code import asset, pack_elf

NAME = b"x/_C.so"
#: A library with a fatbin that NVIDIA's fatbinary wrote: PTX alone.
ELF = pack_elf({".nv_fatbin": asset("libmixed.so")[18224:18576]})
REAL_READ = "compute_60:1"
#: Where a member's bytes start when it is the first.
CONTENT_AT = 30 + len(NAME)


class Part(NamedTuple):
    """A member, its headers as they would be if nothing lied."""

    name: bytes
    local: bytes
    central: bytes
    data: bytes


def deflate_stored(content: bytes) -> bytes:
    """Deflate without compressing: one stored block."""
    return b"\1" + struct.pack("<HH", len(content), len(content) ^ 0xFFFF) + content


def deflated_zeros(size: int) -> bytes:
    """Deflate zeros with the fixed code, 258 of them in 13 bits: what small bombs are made of."""
    bits = "110" + "00110000" + "1100010100000" * ((size - 1) // 258) + "0000000"
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def part(name: bytes, content: bytes, data: bytes | None = None, method: int = 8) -> Part:
    """Lay out one member; `data` is what it has in the archive, deflated in one block unless given."""
    if data is None:
        data = deflate_stored(content) if method == 8 else content
    sizes = struct.pack("<III", zlib.crc32(content), len(data), len(content))
    local = struct.pack("<4sHHHHH", b"PK\3\4", 20, 0, method, 0, 0x21) + sizes + struct.pack("<HH", len(name), 0)
    central = struct.pack("<4sHHHHHH", b"PK\1\2", 20, 20, 0, method, 0, 0x21) + sizes
    return Part(name, local, central + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0), data)


def archive(*parts: Part, end: bytes = b"", extra: bytes = b"") -> bytes:
    """Put members together; `extra` is what the first entry of the directory has behind its name."""
    body = directory = b""
    for number, one in enumerate(parts):
        entry = patch(one.central, 42, "I", len(body))
        entry = patch(entry, 30, "H", len(extra)) + one.name + extra if number == 0 else entry + one.name
        directory += entry
        body += one.local + one.name + one.data
    return body + directory + (end or end_record(len(parts), len(directory), len(body)))


def end_record(count: int, size: int, offset: int) -> bytes:
    """Lay out the end record."""
    return struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


def wide_end(count: int, size: int, offset: int, record_at: int) -> bytes:
    """Lay out the three records at the end of a 64-bit archive."""
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, record_at, 1)
    return record + locator + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


WHEEL = archive(part(NAME, ELF))
DIRECTORY_AT = WHEEL.index(b"PK\1\2")
END_AT = len(WHEEL) - 22
SIZE = END_AT - DIRECTORY_AT


def wheel_cases() -> Iterator[Case]:
    """All of them."""
    yield from _cut()
    yield from _lying_ends()
    yield from _lying_entries()
    yield from _lying_members()
    yield from _bombs()


def _cut() -> Iterator[Case]:
    for size, where in (
        (0, "at-start"), (20, "in-member-header"), (200, "in-member"), (DIRECTORY_AT, "before-directory"),
        (DIRECTORY_AT + 30, "in-directory"), (END_AT, "before-end"), (END_AT + 21, "in-end"),
    ):  # fmt: skip
        yield damaged(f"wheel-cut-{where}.whl", WHEEL[:size], size, "no end of a zip archive")
    yield damaged("wheel-front-missing.whl", WHEEL[40:], END_AT - 40, "runs past the end record")
    yield damaged("wheel-words-in-front.whl", b"#!/bin/sh\n" + WHEEL, DIRECTORY_AT, "not one")
    yield read("wheel-words-behind.whl", WHEEL + b"\n\n", REAL_READ)


def _lying_ends() -> Iterator[Case]:
    body = WHEEL[:END_AT]
    for count, where in ((0, "0"), (2, "2"), (0xFFFE, "65534"), (0xFFFF, "65535")):
        content = body + end_record(count, SIZE, DIRECTORY_AT)
        yield damaged(f"wheel-count-{where}.whl", content, DIRECTORY_AT, "1 entries where the end record tells of")
    for size, offset, at, says in (
        (SIZE - 1, DIRECTORY_AT, DIRECTORY_AT, "runs past the end of the central directory"),
        (SIZE + 1, DIRECTORY_AT, END_AT, "runs past the end record"),
        (0xFFFFFFFE, DIRECTORY_AT, END_AT, "runs past the end record"),
        (SIZE, 0xFFFFFFFE, END_AT, "runs past the end record"),
        (SIZE, 0, 0, "not one"),
        (0, DIRECTORY_AT, DIRECTORY_AT, "0 entries where"),
    ):
        name = f"wheel-directory-{size}-at-{offset}.whl"
        yield damaged(name, body + end_record(1, size, offset), at, says)
    yield read("wheel-64-bit.whl", body + wide_end(1, SIZE, DIRECTORY_AT, END_AT), REAL_READ)
    locator_at = END_AT + 56
    for record_at, at, says in (
        (END_AT - 8, END_AT - 8, "no 64-bit end record here"),
        (locator_at, locator_at, "behind what points to it"),
        (HUGE, locator_at, "behind what points to it"),
    ):
        name = f"wheel-64-bit-end-at-{record_at}.whl"
        yield damaged(name, body + wide_end(1, SIZE, DIRECTORY_AT, record_at), at, says)
    for count, size, offset, at, says in (
        (1 << 32, SIZE, DIRECTORY_AT, END_AT, "4294967296 members"),
        (HUGE, SIZE, DIRECTORY_AT, END_AT, f"{HUGE} members"),
        (2, SIZE, DIRECTORY_AT, DIRECTORY_AT, "1 entries where"),
        (1, HUGE, DIRECTORY_AT, END_AT, "runs past the end record"),
        (1, SIZE, HUGE, END_AT, "runs past the end record"),
        (1, HUGE, HUGE, END_AT, "runs past the end record"),
    ):
        name = f"wheel-64-bit-{count}-members-{size}-at-{offset}.whl"
        yield damaged(name, body + wide_end(count, size, offset, END_AT), at, says)


def _lying_entries() -> Iterator[Case]:
    def lying(name: str, at: int, layout: str, value: int, offset: int, says: str) -> Case:
        return damaged(f"wheel-{name}.whl", patch(WHEEL, DIRECTORY_AT + at, layout, value), offset, says)

    yield lying("entry-magic", 0, "I", 0, DIRECTORY_AT, "not one")
    yield lying("name-past-directory", 28, "H", 0xFFFF, DIRECTORY_AT, "runs past the end of the central directory")
    yield lying("extra-past-directory", 30, "H", 0xFFFF, DIRECTORY_AT, "runs past the end of the central directory")
    yield lying("comment-past-directory", 32, "H", 0xFFFF, DIRECTORY_AT, "runs past the end of the central directory")
    yield lying("member-past-end", 42, "I", 0x7FFFFFFF, 0x7FFFFFFF, "runs into the central directory")
    yield lying("member-elsewhere", 42, "I", 8, 8, "runs into the central directory")
    yield lying("compressed-more", 20, "I", 0x7FFFFFFF, 0, "runs into the central directory")
    yield lying("compressed-less", 20, "I", 100, CONTENT_AT, "ends after")
    yield lying("compressed-0", 20, "I", 0, CONTENT_AT, "ends after 0 of")
    yield lying("larger-than-said", 24, "I", len(ELF) - 1, CONTENT_AT, "is longer than the")
    yield lying("smaller-than-said", 24, "I", len(ELF) + 1, CONTENT_AT, f"ends after {len(ELF)} of")
    yield lying("checksum", 16, "I", 1, CONTENT_AT, "checksum")
    yield lying("other-method", 10, "H", 0, 0, "claims two different sizes")
    yield lying("64-bit-sizes-missing", 24, "I", 0xFFFFFFFF, DIRECTORY_AT, "lacks the 64-bit sizes")
    for flags, method, says in ((1, 8, "encrypted"), (0, 12, "method 12"), (0, 99, "method 99")):
        content = patch(WHEEL, DIRECTORY_AT + 8, "HH", flags, method)
        yield skipped(f"wheel-{says.replace(' ', '-')}.whl", content, says)
    for name in (
        b"../evil.so",
        b"a/../../x.so",
        b"/etc/evil.so",
        b"\\evil.so",
        b"a\\..\\b.so",
        b"C:evil.so",
        b"a\0.so",
    ):
        text = "".join(chr(byte) if chr(byte).isalnum() else "_" for byte in name)
        yield damaged(f"wheel-name-{text}.whl", archive(part(name, ELF)), _after(ELF, name), "leads out of the wheel")
    wide = patch(patch(part(NAME, ELF).central, 20, "II", 0xFFFFFFFF, 0xFFFFFFFF), 42, "I", 0)
    honest = part(NAME, ELF)._replace(central=wide)
    sizes = struct.pack("<QQ", len(ELF), len(deflate_stored(ELF)))
    yield read("wheel-64-bit-sizes.whl", archive(honest, extra=struct.pack("<HH", 1, 16) + sizes), REAL_READ)
    for extra, at, says, where in (
        (struct.pack("<HH", 1, 8) + sizes[:8], DIRECTORY_AT, "lacks the 64-bit sizes", "cut"),
        (struct.pack("<HH", 1, 0xFFFF), DIRECTORY_AT, "lacks the 64-bit sizes", "past-end"),
        # Found by the fuzzer: a length that is a multiple of 8, of which fewer bytes are there.
        (struct.pack("<HH", 1, 24) + sizes[:12], DIRECTORY_AT, "lacks the 64-bit sizes", "fewer-than-said"),
        (struct.pack("<HHQQ", 1, 16, HUGE, len(ELF)), 0, "claims to inflate", "inflated-2-64"),
        (struct.pack("<HHQQ", 1, 16, len(ELF), HUGE), 0, "runs into the central directory", "compressed-2-64"),
        (b"\0\0\0\0" * 50, DIRECTORY_AT, "lacks the 64-bit sizes", "zeros"),
    ):
        yield damaged(f"wheel-64-bit-sizes-{where}.whl", archive(honest, extra=extra), at, says)


def _after(content: bytes, name: bytes) -> int:
    """Tell where the directory starts behind one member."""
    return 30 + len(name) + len(deflate_stored(content))


def _lying_members() -> Iterator[Case]:
    yield damaged("wheel-local-name.whl", patch(WHEEL, 30, "B", 0x79), 0, "the header here is not that of")
    yield damaged("wheel-local-method.whl", patch(WHEEL, 8, "H", 0), 0, "the header here is not that of")
    yield damaged("wheel-local-magic.whl", patch(WHEEL, 0, "I", 0), 0, "the header here is not that of")
    # The local sizes may be missing, as in archives that were written to a pipe: the directory's count.
    yield read("wheel-local-sizes.whl", patch(WHEEL, 14, "III", 0, 0xFFFFFFFF, 0xFFFFFFFF), REAL_READ)
    extra = patch(WHEEL, 28, "H", 0xFFFF)
    yield damaged("wheel-local-extra.whl", extra, CONTENT_AT + 0xFFFF, "the file ends after")
    for data, says, where in (
        (b"\7" + bytes(30), "does not inflate", "block-type-3"),
        (b"\1\5\0\5\0abcde", "does not inflate", "stored-length"),
        (b"\3\2" + bytes(30), "does not inflate", "distance-too-far"),
        (b"\5" + b"\xff" * 30, "does not inflate", "bad-tables"),
        (deflate_stored(ELF)[:300], "ends after", "cut"),
        (b"", "ends after 0 of", "nothing"),
    ):
        yield damaged(f"wheel-deflate-{where}.whl", archive(part(NAME, ELF, data)), CONTENT_AT, says)
    yield read("wheel-deflate-and-more.whl", archive(part(NAME, ELF, deflate_stored(ELF) + bytes(50))), REAL_READ)
    yield read("wheel-stored.whl", archive(part(NAME, ELF, method=0)), REAL_READ)
    broken = patch(ELF, len(ELF) - 2 * 64 + 32, "Q", HUGE)
    yield damaged("wheel-damaged-library.whl", archive(part(NAME, broken)), 64, "runs past the end of the file")
    yield damaged("wheel-damaged-stored.whl", archive(part(NAME, broken, method=0)), 64, "runs past the end of the")
    yield damaged("wheel-cut-library.whl", archive(part(NAME, ELF[:200])), len(ELF) - 192, "a section table")
    yield skipped("wheel-empty-library.whl", archive(part(NAME, b"")), "an empty file")
    yield skipped("wheel-text-as-library.whl", archive(part(NAME, b"text")), "neither an ELF file")
    second = _after(ELF, NAME)
    yield damaged("wheel-same-name-twice.whl", archive(part(NAME, ELF), part(NAME, b"")), second, "a second member")
    shared = archive(part(NAME, ELF), part(b"x/_D.so", b""))
    at = shared.rindex(b"PK\1\2")
    yield damaged("wheel-one-member-twice.whl", patch(shared, at + 42, "I", 0), 0, "overlaps the member")
    yield damaged("wheel-member-in-member.whl", patch(shared, at + 42, "I", 100), 100, "overlaps the member")


def _bombs() -> Iterator[Case]:
    def claiming(name: bytes, size: int, data: bytes) -> Part:
        one = part(name, b"", data)
        return one._replace(central=patch(one.central, 24, "I", size))

    zeros = deflated_zeros(1_000_001)
    checksum = zlib.crc32(bytes(1_000_001))
    honest = claiming(NAME, 1_000_001, zeros)
    honest = honest._replace(central=patch(honest.central, 16, "I", checksum))
    yield skipped("wheel-bomb-small.whl", archive(honest), "neither an ELF file")
    yield damaged("wheel-bomb-understated.whl", archive(claiming(NAME, 1000, zeros)), CONTENT_AT, "is longer than")
    yield damaged("wheel-bomb-4-gb.whl", archive(claiming(NAME, 0xFFFFFFF0, zeros)), 0, "claims to inflate from")
    many = [claiming(b"x/%d.so" % number, 60_000_000, b"\0" * 20) for number in range(3)]
    content = archive(*many)
    yield damaged("wheel-bomb-of-many.whl", content, content.index(b"PK\1\2"), "all members claim to inflate")
