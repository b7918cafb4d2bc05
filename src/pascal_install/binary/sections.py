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


class Section(NamedTuple):
    """A section that takes room in the file."""

    name: str
    offset: int
    size: int


def check_wrappers(sections: Iterable[Section], fatbins: int) -> None:
    """Check that there is a fatbin for each wrapper: fewer means that a section was cut, or read wrongly.

    One more is sound: the fatbin that the device linker adds has no wrapper in some of NVIDIA's libraries.
    """
    for section in sections:
        if section.name in _WRAPPER_SECTIONS and section.size > fatbins * _WRAPPER_SIZE:
            raise DamagedError(
                section.offset, f"wrappers for {section.size // _WRAPPER_SIZE} fatbins, and there are {fatbins}"
            )
