"""Sections of a library, whatever its format, and the names of those that hold device code."""

from __future__ import annotations

from collections.abc import Iterable

from pascal_install.binary.source import DamagedError, Source
from pascal_install.value import NamedTuple

#: The same sections by their names in ELF and, cut to eight characters, in PE files.
FATBIN_SECTIONS = (".nv_fatbin", ".nv_fatb")
RELFATBIN_SECTIONS = ("__nv_relfatbin", "__nv_rel")

_WRAPPER_SECTIONS = (".nvFatBinSegment", ".nvFatBi")
_WRAPPER_SIZE = 24
_WRAPPER_START = bytes.fromhex("b1436246")
_READ_BYTES = 1 << 16

#: All that say something of device code.
DEVICE_SECTIONS = (*FATBIN_SECTIONS, *RELFATBIN_SECTIONS, *_WRAPPER_SECTIONS)


class Section(NamedTuple):
    """A section that takes room in the file."""

    name: str
    offset: int
    size: int


def wrapped_fatbins(sections: Iterable[Section]) -> int:
    """Tell for how many fatbins there is a wrapper: the runtime registers those.

    There may be fewer than fatbins: the one that the device linker adds has no wrapper in some of NVIDIA's libraries.
    """
    return sum(section.size for section in sections if section.name in _WRAPPER_SECTIONS) // _WRAPPER_SIZE


def written_wrappers(source: Source, sections: Iterable[Section]) -> int:
    """Count the wrappers in their sections one by one: linkers for Windows leave zeros between and after them."""
    found = 0
    for section in sections:
        end = section.offset + section.size if section.name in _WRAPPER_SECTIONS else section.offset
        for at in range(section.offset, end, _READ_BYTES):
            chunk = source.read_at(at, min(_READ_BYTES, end - at))
            found += sum(chunk.startswith(_WRAPPER_START, place) for place in range(0, len(chunk), 8))
    return found


def check_wrappers(sections: Iterable[Section], fatbins: int, wrappers: int | None = None) -> None:
    """Check that there is a fatbin for each wrapper: fewer means that a section was cut, or read wrongly.

    Those kept as plain data count: libtorch_cuda_cpp of torch 1.13 has cuDNN's in it, with their wrappers. `wrappers`
    is their number where it was counted; else it follows from the size of their sections.
    """
    sections = tuple(sections)
    wrappers = wrapped_fatbins(sections) if wrappers is None else wrappers
    if wrappers > fatbins:
        at = next(section.offset for section in sections if section.name in _WRAPPER_SECTIONS)
        raise DamagedError(at, f"wrappers for {wrappers} fatbins, and there are {fatbins}")
