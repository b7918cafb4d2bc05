"""Damaged dynamic sections. The sound one wants `want@V_1` from `libc10.so`, and defines `answer@V_2`."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from support.damaged_cases import Case, damaged, patch, read, skipped
from support.damaged_libraries import HUGE

SOUND = "undefined: want@V_1; needed: libc10.so; answer: yes"
_STRINGS = b"\0want\0answer\0libc10.so\0V_1\0V_2\0"
_SYMBOLS_AT = 176
_STRINGS_AT = _SYMBOLS_AT + 72
_MARKS_AT = _STRINGS_AT + 40
_HASH_AT = _MARKS_AT + 8
_NEEDS_AT = _HASH_AT + 32
_DEFINED_AT = _NEEDS_AT + 32
_DYNAMIC_AT = _DEFINED_AT + 32


def _gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _at(name: bytes) -> int:
    return _STRINGS.index(name + b"\0")


def _pack() -> bytes:
    dynamic = (
        (1, _at(b"libc10.so")), (5, _STRINGS_AT), (6, _SYMBOLS_AT), (10, len(_STRINGS)), (0x6FFFFEF5, _HASH_AT),
        (0x6FFFFFF0, _MARKS_AT), (0x6FFFFFFE, _NEEDS_AT), (0x6FFFFFFF, 1), (0x6FFFFFFC, _DEFINED_AT), (0x6FFFFFFD, 1),
        (0, 0),
    )  # fmt: skip
    size = _DYNAMIC_AT + 16 * len(dynamic)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    segments += struct.pack("<IIQQQQQQ", 2, 6, _DYNAMIC_AT, _DYNAMIC_AT, _DYNAMIC_AT, size - _DYNAMIC_AT, 0, 8)
    symbols = bytes(24) + struct.pack("<IBBHQQ", _at(b"want"), 0x12, 0, 0, 0, 0)
    symbols += struct.pack("<IBBHQQ", _at(b"answer"), 0x12, 0, 1, 64, 1)
    marks = struct.pack("<HHHH", 0, 2, 3, 0)
    # One word of Bloom filter that lets everything by, one bucket, one chain of one.
    hashes = struct.pack("<IIIIQII", 1, 2, 1, 6, HUGE, 2, _gnu_hash(b"answer") | 1)
    needs = struct.pack("<HHIII", 1, 1, _at(b"libc10.so"), 16, 0) + struct.pack("<IHHII", 0, 0, 2, _at(b"V_1"), 0)
    defined = struct.pack("<HHHHIII", 1, 0, 3, 1, 0, 20, 0) + struct.pack("<II", _at(b"V_2"), 0) + bytes(4)
    body = header + segments + symbols + _STRINGS.ljust(40, b"\0") + marks + hashes + needs + defined
    assert len(body) == _DYNAMIC_AT
    return body + b"".join(struct.pack("<QQ", *line) for line in dynamic)


LIBRARY = _pack()
_NOWHERE = "lies in no segment of the file"


def symbol_cases() -> Iterator[Case]:
    """All of them. The two lines of the program header table lie at 64 and 120."""

    def lying(name: str, at: int, layout: str, value: int, offset: int, says: str) -> Case:
        return damaged(f"symbols-{name}.so", patch(LIBRARY, at, layout, value), offset, says)

    def tag(number: int) -> int:
        return _DYNAMIC_AT + 16 * number + 8

    yield read("symbols-sound.so", LIBRARY, SOUND)
    yield damaged("symbols-cut-in-header.so", LIBRARY[:60], 0, "an ELF header")
    yield damaged("symbols-cut-in-segments.so", LIBRARY[:150], 64, "a program header table")
    yield damaged("symbols-cut-in-dynamic.so", LIBRARY[:-20], _DYNAMIC_AT, "the dynamic section")
    yield skipped("symbols-no-segments.so", patch(LIBRARY, 56, "H", 0), "not a dynamic library")
    yield lying("65535-segments", 56, "H", 0xFFFF, 64, "a program header table")
    yield lying("segment-size", 54, "H", 8, 54, "program headers of 8 bytes")
    for value, where in ((len(LIBRARY), "end"), (HUGE, "2-64")):
        yield lying(f"segments-at-{where}", 32, "Q", value, value, "a program header table")
        yield lying(f"dynamic-at-{where}", 120 + 8, "Q", value, value, "the dynamic section")
    yield lying("dynamic-size", 120 + 32, "Q", HUGE, _DYNAMIC_AT, "a dynamic section of")
    yield lying("strings-nowhere", tag(1), "Q", HUGE, 0, _NOWHERE)
    yield lying("segment-far-away", 64 + 8, "Q", 1 << 63, (1 << 63) + _STRINGS_AT, "no name ends")
    yield lying("hash-nowhere", tag(4), "Q", 1 << 40, 0, _NOWHERE)
    yield lying("needed-name", tag(0), "Q", 1 << 40, _STRINGS_AT, "no name ends after")
    for at, where in ((0, "buckets"), (4, "first"), (8, "bloom")):
        yield lying(f"hash-{where}", _HASH_AT + at, "I", 0xFFFFFFFF, _HASH_AT, "sizes that no real file has")
    yield lying("hash-bloom-0", _HASH_AT + 8, "I", 0, _HASH_AT, "sizes that no real file has")
    yield lying("hash-chain", _HASH_AT + 24, "I", 1 << 30, _HASH_AT + 28 + 4 * ((1 << 30) - 2), "runs past the end")
    yield lying("symbol-name", _SYMBOLS_AT + 24, "I", 1 << 30, _STRINGS_AT, "no sound name")
    yield lying("strings-size", tag(3), "Q", 1 << 40, _STRINGS_AT, "no real file has that many")
    yield lying("needs-nowhere", tag(6), "Q", HUGE, 0, _NOWHERE)
    yield lying("need-parts-far", _NEEDS_AT + 8, "I", 0xFFFFFFFF, _NEEDS_AT + 0xFFFFFFFF, "a needed version")
    yield lying("need-name", _NEEDS_AT + 16 + 8, "I", 0xFFFFFFFF, _STRINGS_AT, "no name ends after")
    circle = patch(patch(LIBRARY, _NEEDS_AT + 2, "H", 0xFFFF), _NEEDS_AT + 28, "I", 1)
    yield damaged("symbols-need-parts-many.so", circle, _STRINGS_AT, "no name ends after")
    yield lying("definition-name", _DEFINED_AT + 20, "I", 0xFFFFFFFF, _STRINGS_AT, "no name ends after")
    yield lying("definition-far", _DEFINED_AT + 12, "I", 0xFFFFFFFF, _DEFINED_AT + 0xFFFFFFFF, "a version's name")
