"""Damaged ELF files, Windows libraries, archives and fatbins."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from support.damaged_cases import Case, damaged, patch, read, skipped
from support.device_code import CUBIN, LTO, PTX, asset, pack_archive, pack_elf, pack_entry, pack_fatbin, pack_pe

HUGE = (1 << 64) - 1
WRAPPER = struct.pack("<IIQQ", 0x466243B1, 1, 0, 0)

#: A fatbin that NVIDIA's fatbinary wrote: two cubins and PTX, compressed with LZ4.
REAL = asset("libcompressed.so")[400:2336]
REAL_READ = "sm_60:1 sm_61:1 compute_61:1"
ELF = pack_elf({".nv_fatbin": REAL, ".nvFatBinSegment": WRAPPER})
FATBIN_AT = 64
TABLE_AT = len(ELF) - 4 * 64
NAMES_AT = struct.unpack_from("<Q", ELF, TABLE_AT + 3 * 64 + 24)[0]
#: Lines of the section table.
CODE, WRAPPERS, NAMES = TABLE_AT + 64, TABLE_AT + 2 * 64, TABLE_AT + 3 * 64
WRAPPERS_AT = struct.unpack_from("<Q", ELF, WRAPPERS + 24)[0]


def elf_cases() -> Iterator[Case]:
    """Truncations at each table, and tables that lie."""
    for size, offset, where in (
        (5, 0, "in-ident"), (63, 0, "in-header"), (64, TABLE_AT, "behind-header"), (1000, TABLE_AT, "in-code"),
        (TABLE_AT, TABLE_AT, "before-table"), (len(ELF) - 1, TABLE_AT, "in-table"),
    ):  # fmt: skip
        yield damaged(f"elf-cut-{where}.so", ELF[:size], offset, "the file ends after")
    for name in ("libmixed.so", "libpascal.so", "kernels.o"):
        real = asset(name)
        table = int.from_bytes(real[40:48], "little")
        yield damaged(f"elf-cut-real-{name}", real[:4096], table, "a section table needs")
    for value, where in ((len(ELF), "end"), (1 << 32, "4-gb"), (1 << 63, "2-63"), (HUGE, "2-64")):
        yield damaged(f"elf-table-at-{where}.so", patch(ELF, 40, "Q", value), value, "a section table needs")
    yield damaged("elf-table-in-header.so", patch(ELF, 40, "Q", 1), 1, "bytes of section names")
    yield skipped("elf-no-table.so", patch(ELF, 40, "Q", 0), "without a section table")
    yield damaged("elf-line-size-0.so", patch(ELF, 58, "H", 0), 58, "section headers of 0 bytes")
    yield damaged("elf-line-size-40.so", patch(ELF, 58, "H", 40), 58, "section headers of 40 bytes")
    yield damaged("elf-65535-sections.so", patch(ELF, 60, "H", 0xFFFF), TABLE_AT, "a section table needs")
    none = patch(ELF, 60, "H", 0)
    yield damaged("elf-2-32-sections.so", patch(none, TABLE_AT + 32, "Q", 1 << 32), TABLE_AT, "4294967296 sections")
    yield damaged("elf-2-64-sections.so", patch(none, TABLE_AT + 32, "Q", HUGE), TABLE_AT, f"{HUGE} sections")
    yield damaged("elf-0-sections.so", none, 62, "there are 0")
    yield damaged("elf-names-nowhere.so", patch(ELF, 62, "H", 4), 62, "section 4 should hold the names")
    far = patch(patch(ELF, 62, "H", 0xFFFF), TABLE_AT + 40, "I", 0xFFFFFFFF)
    yield damaged("elf-names-in-section-2-32.so", far, 62, "section 4294967295 should hold the names")
    yield damaged("elf-names-too-long.so", patch(ELF, NAMES + 32, "Q", 1 << 40), TABLE_AT, "bytes of section names")
    yield damaged("elf-names-past-end.so", patch(ELF, NAMES + 24, "Q", HUGE), HUGE, "the table of section names")
    yield damaged("elf-name-past-names.so", patch(ELF, CODE, "I", 0xFFFFFFFF), NAMES_AT, "a section's name at")
    for at, value, where in ((24, len(ELF), "offset-end"), (24, HUGE, "offset-2-64"), (32, HUGE, "size-2-64")):
        offset = value if at == 24 else FATBIN_AT
        yield damaged(f"elf-section-{where}.so", patch(ELF, CODE + at, "Q", value), offset, "runs past the end")
    yield damaged("elf-section-shorter.so", patch(ELF, CODE + 32, "Q", 1000), FATBIN_AT, "past the end of what holds")
    yield damaged("elf-section-longer.so", patch(ELF, CODE + 32, "Q", 1944), FATBIN_AT + 1936, "header is cut off")
    yield damaged("elf-section-in-header.so", patch(ELF, CODE + 24, "Q", 0), 0, "expected a fatbin")
    twice = pack_elf({".nv_fatbin": REAL, "__nv_relfatbin": REAL})
    yield damaged("elf-sections-overlap.so", patch(twice, len(twice) - 104, "Q", 64), 64, "overlap")
    same = pack_elf({".nv_fatbin": REAL, "x": b"", ".nv_fatbin2": REAL})
    at = len(same) - 2 * 64
    same = patch(same, at, "I", 1)
    yield read("elf-two-sections-of-one-name.so", same, "sm_60:2 sm_61:2 compute_61:2")
    # A wrapper without an address wraps nothing, or leaves it to a relocation.
    filled = patch(ELF, WRAPPERS_AT + 8, "Q", FATBIN_AT)
    yield damaged("elf-wrappers-lie.so", patch(filled, WRAPPERS + 32, "Q", 48), WRAPPERS_AT, "wrappers for 2 fatbins")
    yield damaged("elf-wrappers-2-64.so", patch(ELF, WRAPPERS + 32, "Q", HUGE), WRAPPERS_AT, "wrappers for")
    yield skipped("elf-32-bit.so", patch(ELF, 4, "B", 1), "32-bit")
    yield skipped("elf-big-endian.so", patch(ELF, 5, "B", 2), "big-endian")
    yield skipped("elf-other-machine.so", patch(ELF, 18, "H", 8), "machine 8")
    cubin = asset("libpascal.so")
    yield skipped("elf-bare-cubin.o", cubin[at : at + 1024] if (at := cubin.index(b"\x7fELF", 400)) else b"", "cubin")
    yield skipped("elf-empty.so", b"", "an empty file")
    yield skipped("elf-linker-script.so", b"/* GNU ld script */\nINPUT(libfoo.so.1)\n", "neither an ELF")


def fatbin_cases() -> Iterator[Case]:
    """Containers that lie, each as the section of a sound library."""

    def library(name: str, code: bytes) -> tuple[str, bytes]:
        return f"fatbin-{name}.so", pack_elf({".nv_fatbin": code})

    def lying(name: str, at: int, layout: str, value: int, offset: int, says: str) -> Case:
        return damaged(*library(name, patch(REAL, at, layout, value)), FATBIN_AT + offset, says)

    second = 16 + sum(struct.unpack_from("<IQ", REAL, 20))
    yield lying("magic", 0, "B", 0, 0, "expected a fatbin")
    yield lying("version-2", 4, "H", 2, 0, "expected a fatbin")
    yield lying("header-24", 6, "H", 24, 0, "expected a fatbin")
    yield lying("size-2-64", 8, "Q", HUGE, 0, "past the end of what holds it")
    yield lying("size-one-more", 8, "Q", len(REAL) - 15, 0, "past the end of what holds it")
    yield lying("size-0", 8, "Q", 0, 16, "expected a fatbin")
    yield lying("size-in-entry", 8, "Q", 40, 16, "header is cut off")
    yield lying("size-in-payload", 8, "Q", 200, 16, "past the end of its fatbin")
    for value, says in ((0, "too small"), (47, "too small"), (0xFFFFFFFF, "past the end of its fatbin")):
        yield lying(f"entry-header-{value}", 20, "I", value, 16, says)
    for value, where in ((HUGE, "2-64"), ((1 << 64) - 64, "back-to-start"), (1 << 63, "2-63"), (2000, "past-end")):
        yield lying(f"payload-{where}", 24, "Q", value, 16, "past the end of its fatbin")
    for value in (0, 9, 10_000, 0xFFFFFFFF):
        yield lying(f"architecture-{value}", 16 + 28, "I", value, 44, "which cannot be")
    yield lying("second-entry-payload", second + 8, "Q", 1 << 40, second, "past the end of its fatbin")
    yield lying("second-entry-header", second + 4, "I", 8, second, "too small")
    yield damaged(*library("cut-in-header", REAL + REAL[:12]), FATBIN_AT + len(REAL), "header is cut off")
    yield damaged(*library("words-behind", REAL + b"\1" * 16), FATBIN_AT + len(REAL), "expected a fatbin")
    yield damaged(*library("zeros-not-in-words", REAL + bytes(7) + REAL), FATBIN_AT + len(REAL), "expected a fatbin")
    yield read(*library("zeros-behind", REAL + bytes(1000)), REAL_READ)
    yield read(*library("zeros-between", REAL + bytes(24) + REAL), "sm_60:2 sm_61:2 compute_61:2")
    # Payloads are stepped over, so what is said of their inflated size does nothing.
    for at, layout, value, where in (
        (16, "I", 0xFFFFFFFF, "compressed-2-32"), (56, "Q", HUGE, "inflated-2-64"), (56, "Q", 0, "inflated-0"),
        (20, "I", 0xFFFFFFFF, "options-far"), (32, "I", 0xFFFFFFFF, "name-far"),
    ):  # fmt: skip
        yield read(*library(where, patch(REAL, 16 + at, layout, value)), REAL_READ)
    payload = bytearray(REAL)
    payload[16 + 64 + 40 : second] = b"\xff" * (second - 120)
    yield read(*library("payload-is-noise", bytes(payload)), REAL_READ)
    yield read(*library("empty", pack_fatbin()), "")
    yield read(*library("other-kinds", pack_fatbin(pack_entry(LTO, 0), pack_entry(99, HUGE >> 32))), "")
    tiny = pack_fatbin(*[pack_entry(CUBIN, 61, payload=0, header=48)] * 80)
    yield read(*library("80-entries-without-payload", tiny), "sm_61:80")
    newest = pack_fatbin(pack_entry(PTX, 61, version=(0xFFFF, 0xFFFF)))
    yield read(*library("ptx-65535", newest), "compute_61:1")


def windows_cases() -> Iterator[Case]:
    """Windows libraries; REAL stands at 512, behind the headers."""
    image = pack_pe({".text": b"\xc3", ".nv_fatb": REAL, ".nvFatBi": WRAPPER})
    table = 64 + 24 + struct.unpack_from("<H", image, 64 + 20)[0]
    code = table + 40
    code_at = struct.unpack_from("<I", image, code + 20)[0]
    yield read("pe-sound.dll", image, REAL_READ)
    yield damaged("pe-cut-in-dos-header.dll", image[:40], 60, "a DOS header")
    yield damaged("pe-cut-in-header.dll", image[:80], 68, "a COFF header")
    yield damaged("pe-cut-in-optional-header.dll", image[:89], 88, "a PE header")
    yield damaged("pe-cut-in-table.dll", image[: table + 100], table, "a section table")
    yield damaged("pe-cut-in-code.dll", image[: code_at + 100], code_at, "runs past the end")
    for value, where in ((0, "itself"), (0xFFFFFFFF, "far")):
        yield skipped(f"pe-header-at-{where}.dll", patch(image, 60, "I", value), "a DOS program")
    yield skipped("pe-other-machine.dll", patch(image, 68, "H", 0x14C), "32-bit or foreign")
    yield skipped("pe-32-bit.dll", patch(image, 88, "H", 0x10B), "32-bit")
    yield damaged("pe-65535-sections.dll", patch(image, 70, "H", 0xFFFF), table, "a section table needs")
    yield damaged("pe-optional-size.dll", patch(image, 84, "H", 0xFFFF), 88 + 0xFFFF, "a section table needs")
    yield damaged("pe-section-in-headers.dll", patch(image, code + 20, "I", 64), code, "within the headers")
    yield damaged("pe-section-past-end.dll", patch(image, code + 20, "I", 1 << 31), 1 << 31, "runs past the end")
    both = patch(image, code + 8, "I4xI", 0xFFFFFFFF, 0xFFFFFFFF)
    yield damaged("pe-section-size-2-32.dll", both, code_at, "runs past the end")
    # The smaller of the two sizes is what the loader maps.
    yield read("pe-raw-size-2-32.dll", patch(image, code + 16, "I", 0xFFFFFFFF), REAL_READ)
    yield read("pe-virtual-size-2-32.dll", patch(image, code + 8, "I", 0xFFFFFFFF), REAL_READ)
    wrappers_at = struct.unpack_from("<I", image, code + 60)[0]
    # Linkers for Windows leave zeros behind wrappers: only what is written counts.
    padded = patch(image, code + 48, "I", 72)
    yield read("pe-wrappers-padded.dll", padded, REAL_READ)
    for number in range(3):
        padded = patch(padded, wrappers_at + 24 * number, "IIQ", 0x466243B1, 1, 4096)
    yield damaged("pe-wrappers-lie.dll", padded, wrappers_at, "wrappers for 3 fatbins")
    twice = pack_pe({".nv_fatb": REAL, "__nv_rel": REAL})
    at = struct.unpack_from("<I", twice, table + 20)[0]
    yield damaged("pe-sections-overlap.dll", patch(twice, table + 60, "I", at + 8), at + 8, "overlap")


def archive_cases() -> Iterator[Case]:
    """Static archives; the second member lies behind the first and its header of 60 bytes."""
    small = pack_elf({".nv_fatbin": REAL})
    archive = pack_archive({"a.o": small, "b.o": ELF})
    second = 8 + 60 + len(small) + len(small) % 2

    def lying(name: str, at: int, field: bytes, says: str, offset: int = 8) -> Case:
        return damaged(f"ar-{name}.a", archive[:at] + field + archive[at + len(field) :], offset, says)

    yield read("ar-sound.a", archive, "sm_60:2 sm_61:2 compute_61:2")
    yield skipped("ar-nothing.a", archive[:8], "without 64-bit objects")
    yield skipped("ar-thin.a", b"!<thin>\n" + archive[8:200], "a thin archive")
    yield damaged("ar-cut-in-member-header.a", archive[: second + 30], second, "a member's header")
    yield damaged("ar-cut-in-member.a", archive[: second + 1000], second, "past the end of the file")
    yield lying("size-past-end", 8 + 48, b"9999999999", "past the end of the file")
    yield lying("size-negative", 8 + 48, b"-60       ", "without its size")
    yield lying("size-empty", 8 + 48, b"          ", "without its size")
    yield lying("end-mark", 8 + 58, b"  ", "end mark")
    yield lying("long-name-past-member", 8, b"#1/9999999999   ", "longer than the member")
    yield lying("second-size-past-end", second + 48, b"1000000   ", "past the end of the file", second)
    yield lying("member-damaged", second + 60 + FATBIN_AT + 20, b"\1\0\0\0", "too small", second + 60 + FATBIN_AT + 16)
    yield damaged("ar-size-0.a", archive[:56] + b"0         " + archive[66:], 68, "without its size")
    inner = pack_archive({"in.a": pack_archive({"a.o": small})})
    yield skipped("ar-in-ar.a", inner, "without 64-bit objects")
    coff = struct.pack("<HHIIIHH", 0x8664, 0xFFFF, 0, 0, 0, 0, 0)
    yield damaged("ar-windows-object.lib", pack_archive({"a.obj": coff}), 68 + 20, "a section table needs")
