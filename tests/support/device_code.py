"""Device code to test against: the real fixtures, and files laid out by hand where a real tool would refuse."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pascal_install.binary.fatbin import FatbinSection, Tally, read_section
from pascal_install.binary.library import Library, read_library
from pascal_install.binary.source import BytesSource
from pascal_install.binary.stream import StreamedSource

ASSETS = Path(__file__).parent.parent / "assets" / "device_code"
DAMAGED = Path(__file__).parent.parent / "assets" / "damaged"

PTX, CUBIN, LTO = 1, 2, 8
SUFFIX_A, SUFFIX_F = 1 << 20, 1 << 21

#: What cuobjdump 13.5 prints of the fixtures: the targets of `.nv_fatbin` with their number.
CUOBJDUMP = {
    "libpascal.so": {"sm_60": 2, "sm_61": 2, "compute_61": 2},
    "libstray.so": {"sm_52": 1, "sm_70": 8, "sm_75": 8, "compute_52": 1},
    "libmixed.so": {
        "sm_60": 1, "sm_61": 1, "sm_70": 1, "sm_75": 1, "sm_90a": 1, "sm_120f": 1, "compute_60": 1, "compute_61": 1,
    },
    "libcompressed.so": {"sm_60": 1, "sm_61": 2, "sm_120f": 1, "compute_61": 2},
    "librelocatable.so": {"sm_60": 1, "sm_61": 1},
    "libfastpath.so": {"sm_90a": 2},
    "libplain.so": {},
    "libkernels.a": {"sm_60": 1, "sm_61": 1, "compute_61": 1},
}  # fmt: skip


def asset(name: str) -> bytes:
    """Read one of the fixtures."""
    return (ASSETS / name).read_bytes()


def library(content: bytes, *, deep: bool = False) -> Library:
    """Read a library from memory."""
    return read_library(BytesSource(content), deep=deep)


def fatbins(content: bytes) -> FatbinSection:
    """Read a section from memory."""
    tally = Tally()
    read_section(BytesSource(content), 0, len(content), tally)
    return tally.section()


def counts(library: Library) -> dict[str, int]:
    """Give the numbers of entries in `.nv_fatbin` by their text."""
    return {str(target): number for target, number in library.nv_fatbin.entries}


def streamed(content: bytes, chunk: int = 4096) -> StreamedSource:
    """Serve bytes as a stream of chunks."""

    def start() -> Iterator[bytes]:
        return (content[at : at + chunk] for at in range(0, len(content), chunk))

    return StreamedSource(start, len(content))


def pack_entry(
    kind: int, number: int, *, flags: int = 0, version: tuple[int, int] = (8, 4), payload: int = 64, header: int = 64
) -> bytes:
    """Lay out an entry whose payload is zeros."""
    major, minor = version
    head = struct.pack("<HHIQIIHHIIIQQQ", kind, 0x0101, header, payload, 0, 0, minor, major, number, 0, 0, flags, 0, 0)
    return head[:header].ljust(header, b"\0") + bytes(payload)


def pack_fatbin(*entries: bytes) -> bytes:
    """Lay out a fatbin."""
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def pack_elf(sections: Mapping[str, bytes], *, machine: int = 62, kind: int = 3) -> bytes:
    """Lay out an ELF file that has nothing but a header, sections and their table."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    body, table, at = b"", bytes(64), 1
    for name, content in (*sections.items(), (".shstrtab", names)):
        body += bytes(-len(body) % 8)
        table += struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, 64 + len(body), len(content), 0, 0, 8, 0)
        body += content
        at += len(name) + 1
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    number = len(sections) + 2
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, kind, machine, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, number, number - 1
    )
    return header + body + table


def pack_pe(sections: Mapping[str, bytes]) -> bytes:
    """Lay out a Windows library that has nothing but headers and sections."""
    optional = struct.pack("<H", 0x20B) + bytes(110)
    header = b"MZ" + bytes(58) + struct.pack("<I", 64)
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, len(optional), 0x2022) + optional
    start = len(header) + 40 * len(sections)
    start += -start % 512
    table = body = b""
    for number, (name, data) in enumerate(sections.items()):
        raw = data + bytes(-len(data) % 512)
        at = start + len(body)
        place = 4096 * (number + 1), len(raw), at
        table += struct.pack("<8sIIIIIIHHI", name.encode(), len(data), *place, 0, 0, 0, 0, 0x40000040)
        body += raw
    return (header + table).ljust(start, b"\0") + body


def pack_archive(members: Mapping[str, bytes]) -> bytes:
    """Lay out a static archive."""
    content = b"!<arch>\n"
    for name, data in members.items():
        content += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name.encode() + b"/", 0, 0, 0, 0o644, len(data))
        content += data + b"\n" * (len(data) % 2)
    return content


def pack_wheel(members: Mapping[str, bytes], *, stored: Sequence[str] = ()) -> bytes:
    """Zip members as a wheel."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data, zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED)
    return content.getvalue()


def incompressible(size: int) -> bytes:
    """Give bytes that do not deflate: members made of them have their true size in the archive."""
    return random.Random(size).randbytes(size)
