"""Sections of a library, whatever its format, and the names of those that hold device code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pascal_install.binary.source import DamagedError, Source
from pascal_install.value import NamedTuple

#: The same sections by their names in ELF and, cut to eight characters, in PE files.
FATBIN_SECTIONS = (".nv_fatbin", ".nv_fatb")
RELFATBIN_SECTIONS = ("__nv_relfatbin", "__nv_rel")

_WRAPPER_SECTIONS = (".nvFatBinSegment", ".nvFatBi")
_WRAPPER_SIZE = 24
_ADDRESS = 8
_WRAPPER_START = bytes.fromhex("b1436246")
_READ_SLOTS = 1 << 12

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


def written_wrappers(source: Source, sections: Iterable[Section], *, padded: bool) -> int:
    """Count the wrappers of a fatbin in their sections one by one. Raises DamagedError where the file ends before.

    Those without an address wrap nothing: 225 of 818 in libtorch_cuda of torch 1.12.1. (Or a relocation fills it in;
    then they prove nothing.) In `padded` sections only what is one counts: linkers for Windows leave zeros in between.
    """
    found = 0
    for section in sections:
        if section.name in _WRAPPER_SECTIONS:
            if section.offset + section.size > source.size_bytes:
                number = section.size // _WRAPPER_SIZE
                raise DamagedError(section.offset, f"wrappers for {number} fatbins run past the end of the file")
            found += sum(
                any(address) if magic == _WRAPPER_START else not padded
                for magic, address in _slots(source, section, 8 if padded else _WRAPPER_SIZE)
            )
    return found


def _slots(source: Source, section: Section, step: int) -> Iterator[tuple[bytes, bytes]]:
    """Give what stands where a wrapper may be: its magic and its address."""
    end = section.offset + section.size // step * step
    for start in range(section.offset, end, _READ_SLOTS * step):
        # The last one may need some bytes more than its step.
        chunk = source.read_at(start, _READ_SLOTS * step + _WRAPPER_SIZE)
        for at in range(0, min(_READ_SLOTS * step, end - start), step):
            yield chunk[at : at + 4], chunk[at + _ADDRESS : at + _ADDRESS + 8]


def check_wrappers(sections: Iterable[Section], fatbins: int, wrappers: int) -> None:
    """Check that there is a fatbin for each wrapper: fewer means that a section was cut, or read wrongly.

    Those kept as plain data count: libtorch_cuda_cpp of torch 1.13 has cuDNN's in it, with their wrappers.
    """
    if wrappers > fatbins:
        at = next(section.offset for section in sections if section.name in _WRAPPER_SECTIONS)
        raise DamagedError(at, f"wrappers for {wrappers} fatbins, and there are {fatbins}")
