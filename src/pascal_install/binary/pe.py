"""The section table of Windows libraries (PE) and of Windows objects (COFF)."""

from __future__ import annotations

import struct

from pascal_install.binary.sections import Section
from pascal_install.binary.source import DamagedError, Source, UnsupportedError, read_exactly

MAGIC = b"MZ"
MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64"}

_COFF = struct.Struct("<HHIIIHH")
_SECTION = struct.Struct("<8sIIIIIIHHI")
_PE_OFFSET_AT = 0x3C
_UNINITIALISED = 0x80


def read_image(source: Source) -> tuple[str, tuple[Section, ...]]:
    """Read the machine and the sections of a .dll, .pyd or .exe. Raises UnsupportedError for other kinds."""
    (start,) = struct.unpack("<I", read_exactly(source, _PE_OFFSET_AT, 4, "a DOS header"))
    if source.read_at(start, 4) != b"PE\0\0":
        raise UnsupportedError("a DOS program, not a PE file")
    return _read_table(source, start + 4, image=True)


def read_object(source: Source) -> tuple[str, tuple[Section, ...]]:
    """Read the machine and the sections of an object file, as static libraries hold them."""
    return _read_table(source, 0, image=False)


def _read_table(source: Source, start: int, *, image: bool) -> tuple[str, tuple[Section, ...]]:
    head = read_exactly(source, start, _COFF.size, "a COFF header")
    machine, count, _, _, _, optional_size, _ = _COFF.unpack(head)
    if machine not in MACHINES:
        raise UnsupportedError(f"a 32-bit or foreign Windows file (machine {machine:#06x})")
    if image and read_exactly(source, start + _COFF.size, 2, "a PE header") != b"\x0b\x02":
        raise UnsupportedError("a 32-bit PE file")
    table_at = start + _COFF.size + optional_size
    table = read_exactly(source, table_at, count * _SECTION.size, "a section table")
    sections = []
    for number, line in enumerate(_SECTION.iter_unpack(table)):
        name, virtual_size, _, raw_size, raw_offset, *_, flags = line
        size = min(virtual_size, raw_size) if image else raw_size
        if size == 0 or flags & _UNINITIALISED:
            continue
        if raw_offset < table_at + len(table):
            raise DamagedError(table_at + number * _SECTION.size, f"a section lies at {raw_offset}, within the headers")
        sections.append(Section(name.rstrip(b"\0").decode("ascii", "replace"), raw_offset, size))
    return MACHINES[machine], tuple(sections)
