"""The parts of an ELF file that tell where device code and symbols lie."""

from __future__ import annotations

import struct

from pascal_install.binary.sections import DEVICE_SECTIONS, Section
from pascal_install.binary.source import DamagedError, Source, UnsupportedError, read_exactly
from pascal_install.value import NamedTuple

MAGIC = b"\x7fELF"
HEADER_SIZE = 64
MACHINES = {62: "x86_64", 183: "aarch64"}

#: Kinds of segments.
LOAD, DYNAMIC = 1, 2

_CUDA_MACHINE = 190
_NOBITS = 8
_SECTION_SIZE = 64
# A megabyte of section headers: objects built with one section for each function reach some ten thousand.
_MAX_SECTIONS = 1 << 18
_MAX_NAMES_BYTES = 1 << 24
_NAMES = frozenset(name.encode("ascii") for name in DEVICE_SECTIONS)
_NAME_SIZE = max(map(len, _NAMES)) + 1

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
_PROGRAM = struct.Struct("<IIQQQQQQ")


class ElfHeader(NamedTuple):
    """What the first 64 bytes tell."""

    machine: str
    program_offset: int
    program_count: int
    program_size: int
    section_offset: int
    section_count: int
    names_section: int


def read_header(source: Source) -> ElfHeader:
    """Read the file header. Raises UnsupportedError for ELF files of other kinds."""
    head = read_exactly(source, 0, HEADER_SIZE, "an ELF header")
    ident, _, machine, _, _, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = HEADER.unpack(head)
    if ident[:4] != MAGIC:
        raise DamagedError(0, "an ELF file starts with 7f454c46")
    if ident[4] != 2:
        raise UnsupportedError("a 32-bit ELF file")
    if ident[5] != 1:
        raise UnsupportedError("a big-endian ELF file")
    if machine not in MACHINES:
        raise UnsupportedError("a bare cubin" if machine == _CUDA_MACHINE else f"an ELF file for machine {machine}")
    if shoff and shentsize != _SECTION_SIZE:
        raise DamagedError(58, f"section headers of {shentsize} bytes; expected {_SECTION_SIZE}")
    return ElfHeader(MACHINES[machine], phoff, phnum, phentsize, shoff, shnum, shstrndx)


def read_sections(source: Source, header: ElfHeader) -> tuple[Section, ...]:
    """Read the section header table for what concerns device code; sections without room in the file are left out."""
    if header.section_offset == 0:
        raise UnsupportedError("an ELF file without a section table")
    count, names_at = header.section_count, header.names_section
    if count == 0 or names_at == 0xFFFF:
        # Tables of 65,280 lines and more keep their true numbers in their first line.
        first = SECTION.unpack(read_exactly(source, header.section_offset, _SECTION_SIZE, "a section table"))
        count = count or first[5]
        names_at = first[6] if names_at == 0xFFFF else names_at
    if count > _MAX_SECTIONS:
        raise DamagedError(header.section_offset, f"{count} sections; no real file has that many")
    table = read_exactly(source, header.section_offset, count * _SECTION_SIZE, "a section table")
    if names_at >= count:
        raise DamagedError(62, f"section {names_at} should hold the names, and there are {count}")
    _, _, _, _, names_offset, names_size, *_ = SECTION.unpack_from(table, names_at * _SECTION_SIZE)
    if names_size > _MAX_NAMES_BYTES:
        raise DamagedError(header.section_offset, f"{names_size} bytes of section names; no real file has that many")
    names = read_exactly(source, names_offset, names_size, "the table of section names")
    sections = []
    for name_at, kind, _, _, offset, size, *_ in SECTION.iter_unpack(table):
        if kind != _NOBITS and size:
            if name_at >= names_size > 0:
                raise DamagedError(names_offset, f"a section's name at {name_at} of {names_size} bytes of names")
            # Only as much as tells it: a name may claim to be megabytes long, and each section may have that name.
            name, end, _ = names[name_at : name_at + _NAME_SIZE].partition(b"\0")
            if end and name in _NAMES:
                sections.append(Section(name.decode("ascii"), offset, size))
    return tuple(sections)


class Segment(NamedTuple):
    """One line of the program header table."""

    kind: int
    offset: int
    address: int
    size: int


def read_segments(source: Source, header: ElfHeader) -> tuple[Segment, ...]:
    """Read the program header table: what a loader goes by."""
    if header.program_count and header.program_size != _PROGRAM.size:
        raise DamagedError(54, f"program headers of {header.program_size} bytes; expected {_PROGRAM.size}")
    table = read_exactly(source, header.program_offset, header.program_count * _PROGRAM.size, "a program header table")
    return tuple(
        Segment(kind, offset, address, size) for kind, _, offset, address, _, size, _, _ in _PROGRAM.iter_unpack(table)
    )


def file_offset(segments: tuple[Segment, ...], address: int) -> int:
    """Tell where in the file the bytes for an address lie. Raises DamagedError where they lie nowhere."""
    for segment in segments:
        if segment.kind == LOAD and segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.offset
    raise DamagedError(0, f"address {address:#x} lies in no segment of the file")
