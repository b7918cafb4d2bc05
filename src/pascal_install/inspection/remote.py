"""Wheels that lie on a server, read by ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import unquote, urlsplit

from pascal_install.binary.source import DamagedError
from pascal_install.binary.wheelzip import Member, content_chunks, read_directory_place, read_members
from pascal_install.errors import NetworkError
from pascal_install.inspection.names import may_hold_code
from pascal_install.inspection.report import Report
from pascal_install.inspection.wheel import read_wheel
from pascal_install.model.cuda import ComputeCapability
from pascal_install.value import NamedTuple

#: Told how many bytes have been fetched, and how many there are to fetch at most; first with nothing fetched.
Progress = Callable[[int, int], None]

# What comes with the first request: the end record, and most directories. Those of torch's wheels take a megabyte, 0.13
# to 0.23 % of the wheel: their rest takes one more request, and not a byte too many.
_TAIL = 1 << 16
#: How much of a wheel is fetched at a time.
BLOCK = 1 << 23
_QUICK_BLOCK = 1 << 20
_MAX_METADATA = 1 << 22
# Local headers repeat the name and may add fields of their own.
_HEADER_ROOM = 512


class Remote(Protocol):
    """What a server says of a file."""

    @property
    def url(self) -> str:
        """Where it lies in the end, redirects followed."""

    @property
    def size_bytes(self) -> int | None:
        """Its size."""

    @property
    def accepts_ranges(self) -> bool | None:
        """Whether parts of it can be asked for."""


class RangeFetcher(Protocol):
    """The part of `fetch.Fetcher` that is used here."""

    def get_end(self, url: str, length: int, /) -> tuple[Remote, bytes]:
        """Ask about a file, and fetch its end; without bytes where the server gives no ends."""

    def get_range(self, url: str, start: int, end_exclusive: int, /) -> bytes:
        """Fetch a part of it."""


class Listing(NamedTuple):
    """What the directory of a remote wheel tells, and what it cost."""

    subject: str
    size_bytes: int
    members: tuple[Member, ...]
    metadata: bytes
    requests: int
    fetched_bytes: int


def list_url(url: str, fetcher: RangeFetcher) -> Listing:
    """List a remote wheel's members and read its METADATA: in three requests at most, where the server gives ends."""
    source = RemoteSource(url, fetcher)
    try:
        members = read_members(source, read_directory_place(source), lambda _: True)
        metadata = b""
        for member in members:
            folder, _, name = member.name.partition("/")
            if name == "METADATA" and folder.endswith(".dist-info") and member.size_bytes <= _MAX_METADATA:
                source.read_ahead(_HEADER_ROOM + member.compressed_size, (member,))
                metadata = b"".join(content_chunks(source, member))
    except DamagedError as error:
        raise error.of(source.subject) from error
    return Listing(source.subject, source.size_bytes, members, metadata, source.requests, source.fetched_bytes)


def inspect_url(
    url: str,
    fetcher: RangeFetcher,
    gpus: Sequence[ComputeCapability] = (),
    *,
    quick: bool = False,
    deep: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Inspect a remote wheel. Only members that may hold device code are fetched, with `quick` only their starts.

    Raises NetworkError, with the code `no-ranges` for a server that gives whole files only, and DamagedError.
    """
    source = RemoteSource(url, fetcher)
    try:
        members = read_members(source, read_directory_place(source), may_hold_code)
        source.read_ahead(_QUICK_BLOCK if quick else BLOCK, members, progress)
        return read_wheel(source.subject, source, members, gpus, quick=quick, deep=deep)
    except DamagedError as error:
        raise error.of(source.subject) from error


class RemoteSource:
    """A remote file as a source. Its end is fetched at once and kept; of the rest, one block at a time."""

    def __init__(self, url: str, fetcher: RangeFetcher) -> None:
        #: The file's name: the rest of the address may hold secrets.
        self.subject = unquote(urlsplit(url).path.rpartition("/")[2])
        self.requests = 0
        self._fetcher = fetcher
        found, self._tail = fetcher.get_end(url, _TAIL)
        # A host that gives no ends is asked twice.
        self.requests += 1 if self._tail else 2
        self.fetched_bytes = len(self._tail)
        self._url = found.url
        if found.size_bytes is None or found.accepts_ranges is False:
            host = urlsplit(url).hostname or "the server"
            raise NetworkError(
                f"{self.subject} cannot be read in parts",
                code="no-ranges",
                cause=f"{host} gives whole files only (no range requests)",
                hints=("download the wheel and inspect the file",),
            )
        self.size_bytes = found.size_bytes
        self._ahead = 0
        self._ends: list[int] = []
        self._progress: Progress | None = None
        self._to_fetch = 0
        self._block_at, self._block = 0, b""
        self._tail_at = self.size_bytes - (len(self._tail) or min(self.size_bytes, _TAIL))
        self._tail = self._tail or self._fetch(self._tail_at, self.size_bytes)

    def read_ahead(self, block: int, members: Sequence[Member], progress: Progress | None = None) -> None:
        """Fetch blocks of this size from now on, but not beyond the end of a member."""
        self._ahead = block
        self._ends = sorted(
            min(member.header_offset + _HEADER_ROOM + member.compressed_size, self._tail_at) for member in members
        )
        self._progress = progress
        self._to_fetch = self.fetched_bytes + sum(member.compressed_size for member in members)
        # Small wheels came with the list.
        if progress and any(member.header_offset < self._tail_at for member in members):
            progress(0, self._to_fetch)

    def read_at(self, offset: int, length: int) -> bytes:
        """See `binary.source.Source`."""
        end = min(offset + length, self.size_bytes)
        if end <= offset:
            return b""
        if offset >= self._tail_at:
            return self._tail[offset - self._tail_at : end - self._tail_at]
        if end > self._tail_at:
            return self.read_at(offset, self._tail_at - offset) + self._tail[: end - self._tail_at]
        if not (self._block_at <= offset and end <= self._block_at + len(self._block)):
            member_end = next((member_end for member_end in self._ends if member_end >= end), end)
            self._block = self._fetch(offset, max(end, min(offset + self._ahead, member_end)))
            self._block_at = offset
        return self._block[offset - self._block_at : end - self._block_at]

    def _fetch(self, start: int, end: int) -> bytes:
        content = self._fetcher.get_range(self._url, start, end)
        self.requests += 1
        self.fetched_bytes += len(content)
        if len(content) != end - start:
            raise NetworkError(
                f"{self.subject} was cut off", cause=f"asked for {end - start} bytes at {start}, got {len(content)}"
            )
        if self._progress:
            self._progress(min(self.fetched_bytes, self._to_fetch), self._to_fetch)
        return content
