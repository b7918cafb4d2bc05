"""One library, object or archive: the device code in it."""

from __future__ import annotations

from collections import deque

from pascal_install.binary import ar, elf, pe
from pascal_install.binary.fatbin import HEADER_START, FatbinSection, Tally, merge, read_section, try_fatbin
from pascal_install.binary.sections import (
    FATBIN_SECTIONS,
    RELFATBIN_SECTIONS,
    Section,
    check_wrappers,
    wrapped_fatbins,
    written_wrappers,
)
from pascal_install.binary.source import DamagedError, Source, UnsupportedError, WindowSource
from pascal_install.value import NamedTuple

#: Enough of a file's start to tell what it is.
HEAD_SIZE = 64

_SCAN_CHUNK = 1 << 20


class Library(NamedTuple):
    """The device code of one file."""

    format: str
    """`elf`, `pe` or `ar`."""
    machine: str
    """`x86_64` or `aarch64`."""
    nv_fatbin: FatbinSection
    """Executable fatbins: what the CUDA runtime loads."""
    nv_relfatbin: FatbinSection
    """Relocatable fatbins, the input of the device linker."""
    data: FatbinSection | None = None
    """Fatbins kept as plain data, which neither the runtime nor cuobjdump sees; None when they were not looked for."""

    @property
    def has_code(self) -> bool:
        """Whether there is device code in the sections."""
        return bool(self.nv_fatbin.groups or self.nv_relfatbin.groups)


def read_library(source: Source, *, deep: bool = False) -> Library:
    """Read the device code of one file.

    Raises UnsupportedError with the reason when it is no 64-bit library, object or archive, DamagedError when it breaks
    its format.
    """
    kind = recognise(source.read_at(0, HEAD_SIZE))
    if kind == "ar":
        return _read_archive(source, deep=deep)
    if kind == "elf":
        header = elf.read_header(source)
        return _read_sections(source, kind, header.machine, elf.read_sections(source, header), deep=deep)
    machine, sections = pe.read_image(source)
    return _read_sections(source, kind, machine, sections, deep=deep)


def recognise(head: bytes) -> str:
    """Tell `elf`, `pe` or `ar` from a file's first bytes. Raises UnsupportedError for everything else."""
    if head.startswith(elf.MAGIC):
        return "elf"
    if head.startswith(pe.MAGIC):
        return "pe"
    if head.startswith((ar.MAGIC, ar.THIN_MAGIC)):
        return "ar"
    if not head:
        raise UnsupportedError("an empty file")
    raise UnsupportedError("neither an ELF file, nor a PE file, nor an archive")


def _read_sections(source: Source, kind: str, machine: str, sections: tuple[Section, ...], *, deep: bool) -> Library:
    tallies = {FATBIN_SECTIONS: Tally(), RELFATBIN_SECTIONS: Tally()}
    places: list[Section] = []
    # In the order of the file, because a stream cannot go back.
    for section in sorted(sections, key=lambda section: section.offset):
        for names, tally in tallies.items():
            if section.name in names:
                if places and section.offset < places[-1].offset + places[-1].size:
                    raise DamagedError(section.offset, f"two sections with device code overlap: {section.name}")
                read_section(source, section.offset, section.size, tally)
                places.append(section)
    library = Library(kind, machine, *(tally.section() for tally in tallies.values()))
    fatbins = library.nv_fatbin.fatbins + library.nv_relfatbin.fatbins
    wrappers = wrapped_fatbins(sections)
    if wrappers > fatbins:
        wrappers = written_wrappers(source, sections, padded=kind == "pe")
    if deep or wrappers > fatbins:
        data = _scan(source, places)
        check_wrappers(sections, fatbins + data.fatbins, wrappers)
        return library._replace(data=data) if deep else library
    return library


def _read_archive(source: Source, *, deep: bool) -> Library:
    libraries = []
    for member in ar.members(source):
        window = WindowSource(source, member.offset, member.size)
        head = window.read_at(0, HEAD_SIZE)
        try:
            if head.startswith(elf.MAGIC):
                libraries.append(read_library(window, deep=deep))
            elif int.from_bytes(head[:2], "little") in pe.MACHINES:
                libraries.append(_read_sections(window, "ar", *pe.read_object(window), deep=deep))
        except UnsupportedError:
            continue
        except DamagedError as error:
            raise DamagedError(member.offset + error.offset, error.cause) from error
    if not libraries:
        raise UnsupportedError("an archive without 64-bit objects")
    return Library(
        "ar",
        libraries[0].machine,
        merge(library.nv_fatbin for library in libraries),
        merge(library.nv_relfatbin for library in libraries),
        merge(library.data for library in libraries if library.data) if deep else None,
    )


def _scan(source: Source, places: list[Section]) -> FatbinSection:
    """Find fatbins outside their sections, which come in the order of the file.

    What looks like one and does not hold together is no fatbin.
    """
    tally = Tally()
    offset, size = 0, source.size_bytes
    ahead = deque(places)
    while offset < size:
        chunk = source.read_at(offset, _SCAN_CHUNK + len(HEADER_START) - 1)
        hit = chunk.find(HEADER_START)
        if hit < 0:
            offset += _SCAN_CHUNK
            continue
        at = offset + hit
        while ahead and ahead[0].offset + ahead[0].size <= at:
            ahead.popleft()
        if ahead and ahead[0].offset <= at:
            offset = ahead[0].offset + ahead[0].size
            continue
        fatbin = try_fatbin(source, at, size, tally)
        offset = fatbin.end if fatbin else at + len(HEADER_START)
    return tally.section()
