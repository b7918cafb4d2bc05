"""The toolkit that compiled device code, as cubins say it themselves.

Each kernel has a section of attributes; attribute 0x37, which `cuobjdump -elf` calls EIATTR_CUDA_API_VERSION, is the
CUDA version of its compiler: 124 is 12.4. Compressed cubins do not tell it.
"""

from __future__ import annotations

import struct

from pascal_install.binary.elf import HEADER, SECTION
from pascal_install.model.cuda import CudaVersion

_MAGIC = b"\x7fELF\x02\x01"
_ATTRIBUTE = struct.Struct("<BBH")
_CUDA_MACHINE = 190
#: `.nv.info`, by its type.
_ATTRIBUTES = 0x70000000
_HAS_VALUE = 4
_API_VERSION = 0x37
# Real cubins tell it in the first lines of one of their first sections; these only bound what a made-up file may cost.
_MOST_CUBINS, _MOST_SECTIONS, _MOST_LINES = 1000, 1000, 20


def toolkits(content: bytes) -> frozenset[CudaVersion]:
    """Give the CUDA versions that compiled the cubins in a library, or in the beginning of one."""
    found = set()
    at, cubins = content.find(_MAGIC, 1), 0
    while at >= 0 and cubins < _MOST_CUBINS:
        header = content[at : at + HEADER.size]
        if len(header) == HEADER.size and HEADER.unpack(header)[2] == _CUDA_MACHINE:
            cubins += 1
            number = _api_version(content, at, header)
            if number:
                found.add(CudaVersion(number // 10, number % 10))
        at = content.find(_MAGIC, at + 1)
    return frozenset(found)


def _api_version(content: bytes, start: int, header: bytes) -> int:
    """Find the version in one cubin; 0 where nothing tells it."""
    _, _, _, _, _, _, sections_at, _, _, _, _, size, number, _ = HEADER.unpack(header)
    for place in range(min(number, _MOST_SECTIONS) if size == SECTION.size else 0):
        at = start + sections_at + place * size
        line = content[at : at + size]
        if len(line) < size:
            return 0
        _, kind, _, _, offset, length, *_ = SECTION.unpack(line)
        if kind == _ATTRIBUTES:
            version = _in_attributes(content, start + offset, start + offset + length)
            if version:
                return version
    return 0


def _in_attributes(content: bytes, at: int, end: int) -> int:
    for _ in range(_MOST_LINES):
        line = content[at : at + _ATTRIBUTE.size]
        if at >= end or len(line) < _ATTRIBUTE.size:
            return 0
        form, attribute, value = _ATTRIBUTE.unpack(line)
        at += _ATTRIBUTE.size
        if form == _HAS_VALUE:
            if attribute == _API_VERSION and value == _HAS_VALUE:
                return int.from_bytes(content[at : at + value], "little")
            at += value
    return 0
