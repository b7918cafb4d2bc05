"""The fatbin container: which device code a section holds, read from headers alone.

NVIDIA publishes no specification; docs/fatbin.md tells what was found out, and on how many files. A section holds
fatbins back to back. A fatbin is a header of 16 bytes and entries; 48 bytes of an entry's header tell all that is asked
here, so payloads (99.9 % of the bytes) are stepped over, compressed or not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from pascal_install.binary.source import DamagedError, SlowSource, Source
from pascal_install.model.cuda import CodeTarget, ComputeCapability, CudaVersion
from pascal_install.value import NamedTuple

MAGIC = b"\x50\xed\x55\xba"
#: Magic, version 1 and header size 16: what tells a fatbin from the constant in machine code.
HEADER_START = MAGIC + b"\x01\x00\x10\x00"

# The largest real library holds some 20,000 fatbins. The limits keep a hostile file from costing minutes or gigabytes.
MAX_ENTRIES = 1 << 20
MAX_KINDS_OF_CODE = 4096
MAX_PADDING = 1 << 28
#: Entries of things that look like a fatbin and are none. Real files have a handful, in machine code.
MAX_WASTED = 1 << 18
_MAX_AHEAD = 1 << 16

_FATBIN = struct.Struct("<IHHQ")
#: kind, version, header size, payload size, compressed size, options offset, code version, architecture, name offset,
#: name length, flags.
_ENTRY = struct.Struct("<HHIQIIIIIIQ")
_FIRST_READ = _FATBIN.size + _ENTRY.size

_PTX, _CUBIN = 1, 2
_SUFFIX_A, _SUFFIX_F = 1 << 20, 1 << 21

_Code = tuple[int, int, int, int]
"""Kind, architecture number, suffix flags, code version: an entry as it stands in the file."""


class Fatbin(NamedTuple):
    """One fatbin: its end in the file, and its entries."""

    end: int
    codes: tuple[_Code, ...]


class Group(NamedTuple):
    """Fatbins that hold code for exactly the same targets."""

    targets: tuple[CodeTarget, ...]
    fatbins: int


class FatbinSection(NamedTuple):
    """What all fatbins of one section hold."""

    groups: tuple[Group, ...] = ()
    entries: tuple[tuple[CodeTarget, int], ...] = ()
    """How many entries there are for each target, as cuobjdump lists them; cubins first, then PTX, oldest first."""
    ptx_needs: tuple[tuple[CodeTarget, CudaVersion], ...] = ()
    """For each PTX target, the CUDA version that a driver must know to compile the newest of its entries."""
    other_entries: int = 0
    """Entries that are neither cubin nor PTX, such as bitcode for link-time optimisation."""

    @property
    def fatbins(self) -> int:
        """How many fatbins there are."""
        return sum(group.fatbins for group in self.groups)


EMPTY = FatbinSection()


def read_section(source: Source, start: int, size: int, tally: Tally) -> None:
    """Count the fatbins that fill `size` bytes from `start`. Raises DamagedError."""
    end = start + size
    if end > source.size_bytes:
        raise DamagedError(start, f"a section of {size} bytes runs past the end of the file at {source.size_bytes}")
    if isinstance(source, SlowSource) and source.is_slow(start):
        _fetch_headers(source, start, end)
    offset = start
    while (offset := _skip_padding(source, offset, end)) < end:
        fatbin = read_fatbin(source, offset, end, tally.codes_left)
        tally.add(fatbin)
        offset = fatbin.end


def _fetch_headers(source: SlowSource, start: int, end: int) -> None:
    """Walk through all fatbins at once, so that a disk has many headers to fetch at a time and not one after the other.

    Nothing is checked or kept: what is damaged ends the walk, and the reading that follows tells it.
    """
    places: list[tuple[int, int]] = []
    offset = start
    while offset < end and len(places) < _MAX_AHEAD:
        head = source.read_at(offset, _FATBIN.size)
        if len(head) < _FATBIN.size or head[:8] != HEADER_START:
            break
        following = offset + _FATBIN.size + _FATBIN.unpack(head)[3]
        places.append((offset + _FATBIN.size, following))
        offset = following
    steps = 0
    while places and steps < MAX_ENTRIES:
        source.fetch_ahead([at for at, _ in places], _ENTRY.size)
        steps += len(places)
        behind = []
        for at, stop in places:
            header = source.read_at(at, _ENTRY.size)
            if len(header) == _ENTRY.size:
                _, _, header_size, payload_size, *_ = _ENTRY.unpack(header)
                if header_size >= _ENTRY.size and at + header_size + payload_size < min(stop, end):
                    behind.append((at + header_size + payload_size, stop))
        places = behind


def read_fatbin(source: Source, offset: int, limit: int, max_codes: int = MAX_ENTRIES) -> Fatbin:
    """Read the fatbin at `offset`, which must end at or before `limit`. Raises DamagedError."""
    codes: list[_Code] = []
    return Fatbin(_walk(source, offset, limit, max_codes, codes), tuple(codes))


def try_fatbin(source: Source, offset: int, limit: int, tally: Tally) -> Fatbin | None:
    """Read and count what looks like a fatbin; None where it does not hold together.

    Raises DamagedError where that happens too often: entries can be laid out so that each starts a long walk.
    """
    codes: list[_Code] = []
    try:
        end = _walk(source, offset, limit, tally.codes_left, codes)
    except DamagedError:
        tally.waste(offset, len(codes))
        return None
    return tally.add(Fatbin(end, tuple(codes)))


def _walk(source: Source, offset: int, limit: int, max_codes: int, codes: list[_Code]) -> int:
    """Add the codes of a fatbin's entries to `codes`, and give its end."""
    head = source.read_at(offset, _FIRST_READ)
    if len(head) < _FATBIN.size or limit - offset < _FATBIN.size:
        raise DamagedError(offset, "a fatbin's header is cut off")
    if head[:8] != HEADER_START:
        raise DamagedError(offset, f"expected a fatbin (50ed55ba01001000), found {head[:8].hex()}")
    end: int = offset + _FATBIN.size + _FATBIN.unpack_from(head)[3]
    if end > limit:
        raise DamagedError(offset, f"a fatbin ends at {end}, past the end of what holds it at {limit}")
    at = offset + _FATBIN.size
    header = head[_FATBIN.size :]
    while at < end:
        if len(header) < _ENTRY.size or end - at < _ENTRY.size:
            raise DamagedError(at, "an entry's header is cut off")
        kind, _, header_size, payload_size, _, _, version, number, _, _, flags = _ENTRY.unpack(header)
        if header_size < _ENTRY.size:
            raise DamagedError(at, f"an entry's header of {header_size} bytes is too small")
        following = at + header_size + payload_size
        if following > end:
            raise DamagedError(at, f"an entry ends at {following}, past the end of its fatbin at {end}")
        if (kind in (_PTX, _CUBIN)) and not 10 <= number <= 9999:
            raise DamagedError(at + 28, f"an entry is for architecture {number}, which cannot be")
        if len(codes) >= max_codes:
            raise DamagedError(at, f"more than {MAX_ENTRIES} entries")
        codes.append((kind, number, flags & (_SUFFIX_A | _SUFFIX_F), version))
        at = following
        if at < end:
            header = source.read_at(at, _ENTRY.size)
    return end


def _skip_padding(source: Source, offset: int, end: int) -> int:
    """Step over the zero words that Windows linkers leave between and after fatbins.

    Incremental linking leaves whole objects of zeros: 12.9 MB in onnxruntime_providers_cuda.dll of 1.16.0.
    """
    start = offset
    while offset < end:
        # Most gaps are empty or some words long; the longer one is already, the longer it may become.
        length = 8 if offset == start else min(max(4096, offset - start), 65536)
        chunk = source.read_at(offset, min(length, end - offset))
        padding = len(chunk) - len(chunk.lstrip(b"\0"))
        offset += padding if padding == len(chunk) else padding // 8 * 8
        if not chunk or padding < len(chunk):
            break
        if offset - start > MAX_PADDING:
            raise DamagedError(start, f"more than {MAX_PADDING} zero bytes where a fatbin was expected")
    return offset


class Tally:
    """Counts fatbins as they come by."""

    def __init__(self) -> None:
        self.codes_left = MAX_ENTRIES
        self._waste_left = MAX_WASTED
        self._known: dict[_Code, _Code] = {}
        self._shared: dict[tuple[_Code, ...], tuple[_Code, ...]] = {}
        self._fatbins: dict[tuple[_Code, ...], int] = {}

    def add(self, fatbin: Fatbin) -> Fatbin:
        """Count one fatbin; the one given back shares its parts with those counted before."""
        self.codes_left -= len(fatbin.codes) + 1
        codes = tuple([self._known.setdefault(code, code) for code in fatbin.codes])
        if len(self._known) > MAX_KINDS_OF_CODE or self.codes_left < 0:
            raise DamagedError(fatbin.end, "more fatbins, or kinds of code, than any real file holds")
        codes = self._shared.setdefault(codes, codes)
        self._fatbins[codes] = self._fatbins.get(codes, 0) + 1
        return Fatbin(fatbin.end, codes)

    def waste(self, offset: int, entries: int) -> None:
        """Note entries that were read in vain. Raises DamagedError after too many."""
        self._waste_left -= entries + 1
        if self._waste_left < 0:
            raise DamagedError(offset, "more that looks like fatbins, and is none, than any real file holds")

    def section(self) -> FatbinSection:
        """Sum up."""
        groups: dict[tuple[CodeTarget, ...], int] = {}
        entries: dict[CodeTarget, int] = {}
        needs: dict[CodeTarget, CudaVersion] = {}
        other = 0
        targets = {code: _target(code) for code in self._known}
        for codes, number in self._fatbins.items():
            found = set()
            for code in codes:
                target = targets[code]
                if target is None:
                    other += number
                    continue
                found.add(target)
                entries[target] = entries.get(target, 0) + number
                if target.ptx:
                    needs[target] = max(needs.get(target, CudaVersion(0, 0)), _cuda_of_ptx(code[3]))
            key = tuple(sorted(found, key=_order))
            groups[key] = groups.get(key, 0) + number
        return _section(groups, entries, needs, other)


def merge(sections: Iterable[FatbinSection]) -> FatbinSection:
    """Add up sections, such as those of an archive's members."""
    groups: dict[tuple[CodeTarget, ...], int] = {}
    entries: dict[CodeTarget, int] = {}
    needs: dict[CodeTarget, CudaVersion] = {}
    other = 0
    for section in sections:
        for group in section.groups:
            groups[group.targets] = groups.get(group.targets, 0) + group.fatbins
        for target, number in section.entries:
            entries[target] = entries.get(target, 0) + number
        for target, cuda in section.ptx_needs:
            needs[target] = max(needs.get(target, cuda), cuda)
        other += section.other_entries
    return _section(groups, entries, needs, other)


def _section(
    groups: dict[tuple[CodeTarget, ...], int],
    entries: dict[CodeTarget, int],
    needs: dict[CodeTarget, CudaVersion],
    other: int,
) -> FatbinSection:
    return FatbinSection(
        groups=tuple(Group(*item) for item in sorted(groups.items(), key=lambda item: (-item[1], item[0]))),
        entries=tuple(sorted(entries.items(), key=lambda item: _order(item[0]))),
        ptx_needs=tuple(sorted(needs.items())),
        other_entries=other,
    )


def _order(target: CodeTarget) -> tuple[bool, CodeTarget]:
    return target.ptx, target


def _target(code: _Code) -> CodeTarget | None:
    kind, number, flags, _ = code
    if kind not in (_PTX, _CUBIN):
        return None
    suffix = "a" if flags & _SUFFIX_A else "f" if flags & _SUFFIX_F else ""
    return CodeTarget(ComputeCapability.from_number(number), suffix, kind == _PTX)


# PTX ISA, "Release Notes": the CUDA release that brought each version. Versions 7.0 to 8.5, and from 9.0 on, count in
# step with CUDA.
_CUDA_OF_PTX = {
    (6, 0): (9, 0), (6, 1): (9, 1), (6, 2): (9, 2), (6, 3): (10, 0), (6, 4): (10, 1), (6, 5): (10, 2),
    (8, 6): (12, 7), (8, 7): (12, 8), (8, 8): (12, 9),
}  # fmt: skip


def _cuda_of_ptx(version: int) -> CudaVersion:
    """Tell the CUDA version that brought a PTX ISA version; before CUDA 9 every driver of today knows it."""
    major, minor = version >> 16, version & 0xFFFF
    if (major, minor) < (6, 0):
        return CudaVersion(9, 0)
    return CudaVersion(*_CUDA_OF_PTX.get((major, minor), (major + 4, minor)))
