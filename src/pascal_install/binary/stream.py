"""Device code of a library that comes as a stream, such as a deflated member of a wheel.

An ELF file tells at its end where its sections are. So the fatbins are found on the way by their magic and hopped over,
and when the section table has come by, it is checked that they fill the sections exactly. Where they do not, and for
files that need more than one look, the stream is started again; that is rare, slow and right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from pascal_install.binary import elf
from pascal_install.binary.fatbin import EMPTY, HEADER_START, Fatbin, FatbinSection, Tally, try_fatbin
from pascal_install.binary.library import HEAD_SIZE, Library, read_library, recognise
from pascal_install.binary.sections import FATBIN_SECTIONS, RELFATBIN_SECTIONS, Section, wrapped_fatbins
from pascal_install.binary.source import BytesSource, UnsupportedError
from pascal_install.value import NamedTuple

# Up to this size a file is inflated as a whole; then nothing is sought, and nothing read twice.
_SMALL = 1 << 22
# What is kept behind the current place: enough for a look back at what was no fatbin.
_KEPT = 1 << 18
# The names of the sections lie beside their table, which need not be the end: patchelf puts new sections behind it.
_AROUND_TABLE = 1 << 18
# Sections that the fatbins do not fill, wrappers of plain data and --deep take one each.
_MAX_RESTARTS = 6
_MIN_CHUNK = 1 << 12
_ASKED_EACH = 256


class StreamedSource:
    """A stream as a source: cheap at growing positions; going far back starts the stream again."""

    def __init__(self, start: Callable[[], Iterator[bytes]], size_bytes: int) -> None:
        self._start = start
        self.size_bytes = size_bytes
        self._restarts = -1
        self._wanted = (0, 0)
        self._begin()

    def retain(self, start: int, end: int) -> None:
        """Keep what comes by between two places, so that it can be read at any time."""
        self._wanted = (start, end)

    def read_at(self, offset: int, length: int) -> bytes:
        """See `binary.source.Source`. Raises what the stream raises, and UnsupportedError after too many restarts."""
        at = offset - self._at
        if at >= 0 and at + length <= len(self._chunk):
            return self._chunk[at : at + length]
        end = offset + length
        if self._retained and self._retained[0][0] <= offset and end <= self._retained_end:
            return _cut(self._retained, offset, end)
        self._go_to(offset)
        pieces = [_cut((*self._kept, (self._at, self._chunk)), offset, end)]
        while self._at + len(self._chunk) < end and self._advance():
            pieces.append(self._chunk[: end - self._at])
        return b"".join(pieces)

    def find(self, pattern: bytes, start: int) -> int | None:
        """Find the first place of a pattern from `start` on."""
        self._go_to(start)
        if start < self._at:
            behind = b"".join(chunk for _, chunk in self._kept) + self._chunk
            first = self._at + len(self._chunk) - len(behind)
            hit = behind.find(pattern, start - first)
        else:
            first = self._at
            hit = self._chunk.find(pattern, start - first)
        while hit < 0:
            edge = self._chunk[-(len(pattern) - 1) :]
            first = self._at + len(self._chunk) - len(edge)
            if not self._advance():
                return None
            hit = (edge + self._chunk[: len(pattern) - 1]).find(pattern, max(0, start - first))
            if hit < 0:
                first = self._at
                hit = self._chunk.find(pattern, max(0, start - first))
        return first + hit

    def drain(self) -> None:
        """Go to the end, where the stream checks itself."""
        while self._advance():
            pass

    def _begin(self) -> None:
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            raise UnsupportedError("too scattered to be read inside a wheel")
        self._chunks = self._start()
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._retained: list[tuple[int, bytes]] = []
        self._retained_end = 0
        self._at = 0
        self._chunk = b""

    def _go_to(self, offset: int) -> None:
        """Have the chunk at hand, or kept, that holds `offset`; at the end of the stream there may be none."""
        if offset < (self._kept[0][0] if self._kept else self._at):
            self._begin()
        while self._at + len(self._chunk) <= offset and self._advance():
            pass

    def _advance(self) -> bool:
        pieces: list[bytes] = []
        size = 0
        while size < _MIN_CHUNK and (piece := next(self._chunks, None)) is not None:
            pieces.append(piece)
            size += len(piece)
        if not size:
            return False
        self._kept.append((self._at, self._chunk))
        self._kept_bytes += len(self._chunk)
        while self._kept_bytes - len(self._kept[0][1]) >= _KEPT:
            at, chunk = self._kept.popleft()
            self._kept_bytes -= len(chunk)
            if at < self._wanted[1] and at + len(chunk) > self._wanted[0]:
                self._retained.append((at, chunk))
                self._retained_end = at + len(chunk)
        self._at += len(self._chunk)
        self._chunk = b"".join(pieces) if len(pieces) > 1 else pieces[0]
        return True


def _cut(chunks: Iterable[tuple[int, bytes]], start: int, end: int) -> bytes:
    """Take the bytes between two places out of chunks that follow each other."""
    return b"".join(
        chunk[max(0, start - at) : end - at] for at, chunk in chunks if at < end and at + len(chunk) > start
    )


class Streamed(NamedTuple):
    """The device code of a streamed library; not `complete` where a proof let the reading stop early."""

    library: Library
    complete: bool


def read_streamed(
    source: StreamedSource, *, deep: bool = False, proves: Callable[[FatbinSection], bool] | None = None
) -> Streamed:
    """Read the device code of a library from a stream, to its end: only there its checksum is known to hold.

    With `proves` reading stops as soon as it says that the fatbins so far are enough. Those may be plain data: which
    section they belong to stands at the end of the file. Raises as `read_library`, and what the stream raises.
    """
    head = source.read_at(0, HEAD_SIZE)
    kind = recognise(head)
    if source.size_bytes <= _SMALL:
        library = read_library(BytesSource(source.read_at(0, source.size_bytes)), deep=deep)
    elif kind == "elf":
        streamed = _read_elf(source, deep=deep, proves=proves)
        if not streamed.complete:
            return streamed
        library = streamed.library
    else:
        library = read_library(source, deep=deep)
    source.drain()
    return Streamed(library, complete=True)


def _read_elf(source: StreamedSource, *, deep: bool, proves: Callable[[FatbinSection], bool] | None) -> Streamed:
    header = elf.read_header(source)
    source.retain(header.section_offset - _AROUND_TABLE, header.section_offset + _AROUND_TABLE)
    hits: list[tuple[int, Fatbin]] = []
    so_far = Tally()
    offset = elf.HEADER_SIZE
    while (at := source.find(HEADER_START, offset)) is not None:
        fatbin = try_fatbin(source, at, source.size_bytes, so_far)
        offset = fatbin.end if fatbin else at + len(HEADER_START)
        if fatbin is None:
            continue
        hits.append((at, fatbin))
        # To sum up costs as much as there is: with every one of the first fatbins, then ever more rarely.
        is_due = len(hits) < _ASKED_EACH or len(hits) & (len(hits) - 1) == 0
        if proves and is_due and proves(so_far.section()):
            return Streamed(Library("elf", header.machine, so_far.section(), EMPTY), complete=False)
    sections = elf.read_sections(source, header)
    library = _sorted_out(header.machine, sections, hits, deep=deep)
    return Streamed(library or read_library(source, deep=deep), complete=True)


def _sorted_out(
    machine: str, sections: tuple[Section, ...], hits: list[tuple[int, Fatbin]], *, deep: bool
) -> Library | None:
    """Share the fatbins out among the sections; None where they do not fill them, or are fewer than their wrappers."""
    tallies = {FATBIN_SECTIONS: Tally(), RELFATBIN_SECTIONS: Tally()}
    rest = dict(hits)
    for section in sections:
        tally = next((tally for names, tally in tallies.items() if section.name in names), None)
        at = section.offset
        while tally and at < section.offset + section.size:
            fatbin = rest.pop(at, None)
            if fatbin is None or fatbin.end > section.offset + section.size:
                return None
            tally.add(fatbin)
            at = fatbin.end
    data = Tally()
    for fatbin in rest.values():
        data.add(fatbin)
    executable, relocatable = (tally.section() for tally in tallies.values())
    if wrapped_fatbins(sections) > len(hits):
        return None
    return Library("elf", machine, executable, relocatable, data.section() if deep else None)
