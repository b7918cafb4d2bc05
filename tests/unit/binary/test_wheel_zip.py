"""Wheels as zip archives: sound ones, large ones, and those that lie."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zipfile
import zlib

import pytest

from pascal_install.binary import wheelzip
from pascal_install.binary.source import BytesSource, DamagedError, UnsupportedError
from pascal_install.binary.wheelzip import Member, content_chunks, read_directory_place, read_members
from support.device_code import incompressible, pack_wheel


def members(content: bytes) -> tuple[Member, ...]:
    source = BytesSource(content)
    return read_members(source, read_directory_place(source), lambda _: True)


def read(content: bytes, name: str) -> bytes:
    member = next(member for member in members(content) if member.name == name)
    return b"".join(content_chunks(BytesSource(content), member))


@pytest.mark.parametrize("chunk", [1 << 10, 1 << 18])
@pytest.mark.parametrize("isal", [True, False])
@pytest.mark.parametrize("size", [0, 1, 70_000, 1 << 18, 3_000_000])
def test_members_inflate_to_what_zipfile_gives(
    size: int, isal: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small pieces: an inflater may have taken all input and still hold output back.
    monkeypatch.setattr(wheelzip, "_OUTPUT_CHUNK", chunk)
    if not isal:
        monkeypatch.setitem(sys.modules, "isal", None)
    data = incompressible(size // 2) + bytes(size - size // 2)
    content = pack_wheel({"a/x.so": data, "a/stored.so": data[:1000]}, stored=["a/stored.so"])
    assert read(content, "a/x.so") == data
    assert read(content, "a/stored.so") == data[:1000]


def test_a_comment_behind_the_archive_is_stepped_over() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.so", b"content")
        archive.comment = b"PK\x05\x06 not the end" + bytes(3000)
    # The mark inside the comment is no end record that fits: the last one that does is taken.
    with pytest.raises(DamagedError):
        members(made.getvalue().replace(b"PK\x05\x06 not the end" + bytes(3000), b"PK\x05\x06" + b"\xff" * 3014))
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.so", b"content")
        archive.comment = b"a word" * 1000
    assert [member.name for member in members(made.getvalue())] == ["x.so"]


def test_the_64_bit_form_is_read() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.so", b"content" * 1000)
    plain = made.getvalue()
    assert read(plain, "x.so") == b"content" * 1000
    # As an archive beyond 4 GB would have it: sizes in the extra field, the end record in 64 bits.
    end = plain.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", plain, end + 10)
    entry = bytearray(plain[offset : offset + size])
    compressed, full = struct.unpack_from("<II", entry, 20)
    header_at = struct.unpack_from("<I", entry, 42)[0]
    struct.pack_into("<II", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<I", entry, 42, 0xFFFFFFFF)
    name_size, extra_size = struct.unpack_from("<HH", entry, 28)
    extra = struct.pack("<HHQQQ", 1, 24, full, compressed, header_at)
    struct.pack_into("<H", entry, 30, len(extra))
    directory = bytes(entry[: 46 + name_size]) + extra
    assert len(entry) == 46 + name_size + extra_size
    body = plain[:offset] + directory
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body), 1)
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert read(body + record + locator + tail, "x.so") == b"content" * 1000
    with pytest.raises(DamagedError):
        members(body + record[:-8] + struct.pack("<Q", 1 << 60) + locator + tail)


def test_a_hundred_thousand_members_take_little() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"pkg/data/file_{number}.py", b"")
        archive.writestr("pkg/_C.so", b"library")
    source = BytesSource(made.getvalue())
    place = read_directory_place(source)
    tracemalloc.start()
    try:
        found = read_members(source, place, lambda name: name.endswith(".so"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [member.name for member in found] == ["pkg/_C.so"]
    assert peak < 2 * place.size


@pytest.mark.parametrize(
    "name", ["../evil.so", "a/../../evil.so", "/etc/evil.so", "\\evil.so", "a\\..\\evil.so", "..", "a\0b.so"]
)
def test_names_that_lead_out_are_damage(name: str) -> None:
    content = pack_wheel({"x" * len(name): b"1"}).replace(b"x" * len(name), name.encode())
    with pytest.raises(DamagedError, match="damaged at offset") as caught:
        members(content)
    assert "leads out" in caught.value.cause


def lie(content: bytes, at: int, layout: str, *values: int) -> bytes:
    """Change fields of the first entry of the central directory."""
    entry = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    struct.pack_into(layout, changed, entry + at, *values)
    return bytes(changed)


def test_a_member_longer_or_shorter_than_it_claims_is_damage() -> None:
    content = pack_wheel({"x.so": bytes(100_000)})
    for claimed in (99_999, 100_001, 0):
        with pytest.raises(DamagedError):
            read(lie(content, 24, "<I", claimed), "x.so")


def test_an_impossible_ratio_is_damage_before_anything_is_inflated() -> None:
    content = lie(pack_wheel({"x.so": bytes(100_000)}), 24, "<I", 0xFFFFFFF0)
    with pytest.raises(DamagedError) as caught:
        members(content)
    assert "claims to inflate" in caught.value.cause


def test_a_bomb_is_refused() -> None:
    content = pack_wheel({"x.so": bytes(100_000_000)})
    assert len(content) < 110_000
    with pytest.raises(DamagedError):
        members(content)


def test_a_bomb_that_understates_its_size_stops_at_that_size() -> None:
    content = lie(pack_wheel({"x.so": bytes(50_000_000)}), 24, "<I", 1000)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="damaged at offset"):
            read(content, "x.so")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_overlapping_members_are_damage() -> None:
    # The construction of the best bombs: many entries of the directory share the same bytes.
    content = pack_wheel({"a.so": incompressible(500), "b.so": incompressible(600)})
    second = content.rindex(b"PK\x01\x02")
    changed = bytearray(content)
    struct.pack_into("<I", changed, second + 42, 40)
    with pytest.raises(DamagedError) as caught:
        members(bytes(changed))
    assert "overlaps" in caught.value.cause


@pytest.mark.parametrize(
    ("at", "layout", "value"),
    [(42, "<I", 0x7FFFFFFF), (20, "<I", 0x7FFFFFFF), (28, "<H", 0xFFFF), (0, "<I", 0), (10, "<H", 0), (16, "<I", 1)],
)
def test_entries_that_lie_are_damage(at: int, layout: str, value: int) -> None:
    content = pack_wheel({"x.so": b"content" * 100})
    with pytest.raises(DamagedError):
        read(lie(content, at, layout, value), "x.so")


def test_damaged_content_is_noticed() -> None:
    data = incompressible(100_000)
    content = bytearray(pack_wheel({"x.so": data}, stored=["x.so"]))
    content[50_000] ^= 1
    with pytest.raises(DamagedError) as caught:
        read(bytes(content), "x.so")
    assert "checksum" in caught.value.cause


def test_content_that_does_not_inflate_is_damage() -> None:
    content = bytearray(pack_wheel({"x.so": incompressible(100_000)}))
    content[40:60] = b"\xff" * 20
    with pytest.raises(DamagedError):
        read(bytes(content), "x.so")


@pytest.mark.parametrize(("flags", "method", "why"), [(1, 8, "encrypted"), (0, 12, "method 12")])
def test_what_cannot_be_read_says_so(flags: int, method: int, why: str) -> None:
    content = lie(pack_wheel({"x.so": b"content" * 100}), 8, "<HH", flags, method)
    with pytest.raises(UnsupportedError, match=why):
        read(content, "x.so")


def test_cut_archives_are_damage() -> None:
    content = pack_wheel({f"{number}.so": incompressible(100) for number in range(20)})
    for size in range(0, len(content), 13):
        with pytest.raises(DamagedError):
            members(content[:size])


def test_a_hidden_second_local_header_is_noticed() -> None:
    content = pack_wheel({"x.so": b"content"})
    with pytest.raises(DamagedError, match="damaged at offset 0"):
        read(content[:30] + b"y" + content[31:], "x.so")


def test_no_archive_is_damage() -> None:
    with pytest.raises(DamagedError) as caught:
        members(zlib.compress(incompressible(1000)))
    assert "a wheel is one" in caught.value.cause
