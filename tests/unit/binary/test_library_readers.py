"""ELF, PE and archives: what is read, what is skipped with its reason, what is damage."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from pascal_install.binary.fatbin import EMPTY
from pascal_install.binary.library import read_library
from pascal_install.binary.source import BytesSource, DamagedError, UnsupportedError
from support.device_code import ASSETS, CUBIN, CUOBJDUMP, asset, counts, library, pack_elf, pack_entry, pack_fatbin
from support.fuzzing import read_any_library, read_stream

FATBIN = pack_fatbin(pack_entry(CUBIN, 60), pack_entry(CUBIN, 61))


def test_the_fixtures_are_those_that_were_built() -> None:
    for line in (ASSETS / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256(asset(name)).hexdigest() == digest, name


@pytest.mark.parametrize("name", sorted(CUOBJDUMP))
def test_real_libraries_read_as_cuobjdump_reads_them(name: str) -> None:
    assert counts(library(asset(name))) == CUOBJDUMP[name]


def test_relocatable_code_is_kept_apart() -> None:
    found = library(asset("librelocatable.so"))
    relocatable = {str(target): number for target, number in found.nv_relfatbin.entries}
    assert (found.nv_fatbin.fatbins, found.nv_relfatbin.fatbins) == (1, 2)
    assert relocatable == {"sm_60": 2, "sm_61": 2, "compute_61": 2}


def test_an_object_file_is_read() -> None:
    found = library(asset("kernels.o"))
    assert counts(found) == {"sm_60": 1, "sm_61": 1, "compute_61": 1}
    assert found.nv_relfatbin.fatbins == 1


def test_a_windows_library_is_read_over_its_padding() -> None:
    found = library(asset("pascal.dll"))
    assert (found.format, found.machine, found.nv_fatbin.fatbins) == ("pe", "x86_64", 2)
    assert counts(found) == {"sm_60": 1, "sm_61": 1, "sm_70": 1, "sm_75": 1, "compute_61": 1}


def test_an_archive_sums_up_its_members() -> None:
    found = library(asset("libkernels.a"))
    assert (found.format, found.machine) == ("ar", "x86_64")
    assert (found.nv_fatbin.fatbins, found.nv_relfatbin.fatbins) == (1, 1)


def test_windows_objects_in_an_archive_are_read() -> None:
    table = struct.pack("<8sIIIIIIHHI", b".nv_fatb", 0, 0, len(FATBIN), 60, 0, 0, 0, 0, 0x40)
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0, 0) + table + FATBIN
    member = b"%-48s%-10d`\n" % (b"kernels.obj/", len(coff))
    assert counts(library(b"!<arch>\n" + member + coff)) == {"sm_60": 1, "sm_61": 1}


@pytest.mark.parametrize(("machine", "name"), [(62, "x86_64"), (183, "aarch64")])
def test_both_machines_are_read(machine: int, name: str) -> None:
    found = library(pack_elf({".nv_fatbin": FATBIN}, machine=machine))
    assert (found.machine, counts(found)) == (name, {"sm_60": 1, "sm_61": 1})


def test_tables_of_many_sections_are_read() -> None:
    # From 65,280 sections on, as in objects with one section for each function, the counts stand in the first line.
    content = bytearray(pack_elf({".nv_fatbin": FATBIN}))
    shoff = int.from_bytes(content[40:48], "little")
    content[60:62] = b"\0\0"
    content[62:64] = b"\xff\xff"
    struct.pack_into("<Q", content, shoff + 32, 3)
    struct.pack_into("<I", content, shoff + 40, 2)
    assert counts(library(bytes(content))) == {"sm_60": 1, "sm_61": 1}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"/* GNU ld script */\nINPUT(libfoo.so.1)\n".ljust(80), "neither an ELF"),
        (b"\x7fELF\x01\x01\x01".ljust(64, b"\0"), "32-bit"),
        (b"\x7fELF\x02\x02\x01".ljust(64, b"\0"), "big-endian"),
        (pack_elf({}, machine=8), "machine 8"),
        (pack_elf({}, machine=190), "bare cubin"),
        (pack_elf({})[:40] + bytes(8) + pack_elf({})[48:], "without a section table"),
        (b"MZ" + bytes(62), "DOS"),
        (b"!<thin>\n", "thin archive"),
        (b"!<arch>\n", "without 64-bit objects"),
    ],
)
def test_other_files_are_skipped_with_their_reason(content: bytes, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        library(content)


def test_a_32_bit_windows_library_is_skipped() -> None:
    content = asset("pascal.dll").replace(b"PE\0\0\x64\x86", b"PE\0\0\x4c\x01")
    with pytest.raises(UnsupportedError, match="32-bit"):
        library(content)


@pytest.mark.parametrize("name", ["libpascal.so", "pascal.dll", "kernels.o"])
def test_every_truncation_ends_in_one_of_two_errors(name: str) -> None:
    content = asset(name)
    for size in range(0, len(content), 97):
        try:
            library(content[:size])
        except (DamagedError, UnsupportedError):
            continue
        # Only bytes that nothing refers to may be missing, at the very end.
        assert size > len(content) - 1024, size


def test_a_section_that_is_cut_short_at_a_fatbin_is_noticed_by_its_wrappers() -> None:
    wrapper = struct.pack("<IIQQ", 0x466243B1, 1, 4096, 0)
    with pytest.raises(DamagedError, match="damaged at offset"):
        library(pack_elf({".nv_fatbin": FATBIN, ".nvFatBinSegment": wrapper * 2}))


def test_a_fatbin_without_wrapper_is_sound() -> None:
    # The device linker's own, in libcurand, libcusparse and libcusolver.
    wrapper = struct.pack("<IIQQ", 0x466243B1, 1, 0, 0)
    assert library(pack_elf({".nv_fatbin": FATBIN * 2, ".nvFatBinSegment": wrapper})).nv_fatbin.fatbins == 2


@pytest.mark.parametrize("read", [read_any_library, read_stream])
def test_a_wrapper_may_be_of_a_fatbin_kept_as_data(read: Callable[[bytes], None]) -> None:
    # cuDNN linked into libtorch_cuda_cpp of torch 1.13.1: 82 fatbins in the section, 382 wrappers.
    wrapper = struct.pack("<IIQQ", 0x466243B1, 1, 4096, 0)
    content = pack_elf({".nv_fatbin": FATBIN, ".data": b"text" * 4 + FATBIN * 3, ".nvFatBinSegment": wrapper * 4})
    read(content)
    assert library(content).nv_fatbin.fatbins == 1
    with pytest.raises(DamagedError, match="damaged at offset"):
        library(pack_elf({".nv_fatbin": FATBIN, ".data": FATBIN * 3, ".nvFatBinSegment": wrapper * 5}))


@pytest.mark.parametrize("read", [read_any_library, read_stream])
def test_a_wrapper_of_nothing_is_no_damage(read: Callable[[bytes], None]) -> None:
    # torch 1.12.1's libtorch_cuda: 818 wrappers, 225 of them with neither an address nor a relocation, 593 fatbins.
    real, empty = (struct.pack("<IIQQ", 0x466243B1, 1, address, 0) for address in (4096, 0))
    content = pack_elf({".nv_fatbin": FATBIN * 2, ".nvFatBinSegment": real + empty * 5000 + real})
    read(content)
    assert library(content).nv_fatbin.fatbins == 2
    with pytest.raises(DamagedError, match="damaged at offset"):
        library(pack_elf({".nv_fatbin": FATBIN, ".nvFatBinSegment": real + empty * 5000 + real}))


def test_deep_finds_code_kept_as_data_and_reports_it_apart() -> None:
    decoy = FATBIN[:8] + b"\xff" * 8
    content = pack_elf({".rodata": b"text" + decoy + bytes(4) + FATBIN * 3, ".nv_fatbin": FATBIN})
    assert library(content).data is None
    found = library(content, deep=True)
    assert found.data is not None
    assert (found.nv_fatbin.fatbins, found.data.fatbins) == (1, 3)


def test_a_member_of_an_archive_is_damaged_at_its_place_in_the_file() -> None:
    content = bytearray(asset("libkernels.a"))
    at = content.rindex(b"\x50\xed\x55\xba")
    content[at + 20] = 1
    with pytest.raises(DamagedError) as caught:
        library(bytes(content))
    assert caught.value.offset == at + 16


def test_section_headers_of_another_size_are_damage() -> None:
    content = bytearray(pack_elf({}))
    content[58] = 40
    with pytest.raises(DamagedError, match="offset 58"):
        library(bytes(content))


def test_names_outside_of_the_table_are_damage() -> None:
    content = bytearray(pack_elf({}))
    content[62] = 9
    with pytest.raises(DamagedError, match="offset 62"):
        library(bytes(content))


@pytest.mark.parametrize(
    "names", [bytes(1 << 22), b"a" * (1 << 22), b"a" * ((1 << 22) - 1) + b"\0"], ids=["zeros", "no-end", "one-end"]
)
def test_a_table_of_endless_names_costs_no_more_than_its_size(names: bytes) -> None:
    # Each of 200,000 sections would have a name of 4 MB, and each search for its end would go through all of it.
    count = 200_000
    lines = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, count, 1, 0, 0, 0)
    lines += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 64, len(names), 0, 0, 0, 0)
    lines += struct.pack("<IIQQQQIIQQ", 0, 1, 0, 0, 64, 8, 0, 0, 0, 0) * (count - 2)
    header = pack_elf({})[:40] + struct.pack("<QIHHHHHH", 64 + len(names), 0, 64, 0, 0, 64, 0, 0xFFFF)
    source = BytesSource(header + names + lines)
    tracemalloc.start()
    found = read_library(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not found.has_code
    assert peak < 2 * len(lines) + len(names)


def test_many_small_sections_of_code_are_stepped_over_in_one_pass() -> None:
    # Each is looked at once; a search through all of them for each hit would take minutes.
    count = 20_000
    names = b"\0.nv_fatbin\0"
    code_at = 64 + 16
    body = names.ljust(16, b"\0") + pack_fatbin() * count
    lines = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, count + 2, 1, 0, 0, 0)
    lines += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 64, len(names), 0, 0, 0, 0)
    for number in range(count):
        lines += struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, code_at + 16 * number, 16, 0, 0, 0, 0)
    header = pack_elf({})[:40] + struct.pack("<QIHHHHHH", 64 + len(body), 0, 64, 0, 0, 64, 0, 0xFFFF)
    found = library(header + body + lines, deep=True)
    assert (found.nv_fatbin.fatbins, found.data) == (count, EMPTY)


def hall_of_mirrors(entries: int) -> bytes:
    """Entries that each hold a fatbin header: each of these fatbins goes on to the end, where an entry is broken."""
    content = b""
    for number in range(entries):
        fatbin = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, (entries - number - 1) * 64 + 48)
        content += pack_entry(CUBIN, 61, payload=0)[:48] + fatbin
    return content + bytes(48)


@pytest.mark.parametrize("read", [read_any_library, read_stream])
def test_what_only_looks_like_fatbins_costs_no_more_than_real_ones(read: Callable[[bytes], None]) -> None:
    read(pack_elf({".rodata": hall_of_mirrors(20), ".nv_fatbin": FATBIN}))
    with pytest.raises(DamagedError) as caught:
        read(pack_elf({".rodata": hall_of_mirrors(3000), ".nv_fatbin": FATBIN}))
    assert "looks like fatbins, and is none" in caught.value.cause


def test_a_source_may_be_an_open_stream() -> None:
    from pascal_install.binary.source import StreamSource

    with (ASSETS / "libmixed.so").open("rb") as stream:
        assert counts(read_library(StreamSource(stream))) == CUOBJDUMP["libmixed.so"]
    assert BytesSource(b"abc").read_at(2, 5) == b"c"
