"""Sections of a library, whatever its format, and the names of those that hold device code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pascal_install.binary.source import DamagedError

#: The same sections by their names in ELF and, cut to eight characters, in PE files.
FATBIN_SECTIONS = (".nv_fatbin", ".nv_fatb")
RELFATBIN_SECTIONS = ("__nv_relfatbin", "__nv_rel")

_WRAPPER_SECTIONS = (".nvFatBinSegment", ".nvFatBi")
_WRAPPER_SIZE = 24

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


def check_wrappers(sections: Iterable[Section], fatbins: int) -> None:
    """Check that there is a fatbin for each wrapper: fewer means that a section was cut, or read wrongly.

    Those kept as plain data count: libtorch_cuda_cpp of torch 1.13 has cuDNN's in it, with their wrappers.
    """
    sections = tuple(sections)
    wrappers = wrapped_fatbins(sections)
    if wrappers > fatbins:
        at = next(section.offset for section in sections if section.name in _WRAPPER_SECTIONS)
        raise DamagedError(at, f"wrappers for {wrappers} fatbins, and there are {fatbins}")
