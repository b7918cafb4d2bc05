"""Where readers get their bytes from, and how they say that bytes are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol, runtime_checkable

from pascal_install.errors import DataError

_UNNAMED = "the file"


class DamagedError(DataError):
    """A file that breaks its own format."""

    def __init__(self, offset: int, cause: str, subject: str = _UNNAMED) -> None:
        super().__init__(f"{subject} is damaged at offset {offset}", code="damaged-binary", cause=cause)
        self.offset = offset
        self.subject = subject

    def of(self, subject: str) -> DamagedError:
        """Name the file, which a reader does not know; the first name stays."""
        return self if self.subject != _UNNAMED else DamagedError(self.offset, self.cause, subject)


class UnsupportedError(DataError):
    """A file that may be sound, but is of a kind that is not read: callers skip it with this reason."""

    default_code = "unsupported-binary"


class Source(Protocol):
    """Bytes that can be read at any position, or (see `stream`) at growing positions only."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes; fewer only where the bytes end."""


@runtime_checkable
class SlowSource(Source, Protocol):
    """A source that may have to wait for a disk, and can be told beforehand what will be read."""

    def is_slow(self, offset: int) -> bool:
        """Tell whether reading here would have to wait."""

    def fetch_ahead(self, offsets: Sequence[int], length: int) -> None:
        """Begin to fetch `length` bytes at each of the offsets, and do not wait for them."""


class BytesSource:
    """Bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source`."""
        return self._content[offset : offset + length]


class StreamSource:
    """An open, seekable stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size_bytes = stream.seek(0, 2)

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source`."""
        if offset >= self.size_bytes:
            # Offsets in a damaged file may be larger than seek takes.
            return b""
        self._stream.seek(offset)
        return self._stream.read(length)


class WindowSource:
    """A part of another source, such as a member of an archive that is not compressed."""

    def __init__(self, source: Source, start: int, size_bytes: int) -> None:
        self._source = source
        self._start = start
        self.size_bytes = size_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source`."""
        return self._source.read_at(self._start + offset, max(0, min(length, self.size_bytes - offset)))


def read_exactly(source: Source, offset: int, length: int, what: str) -> bytes:
    """Read all of `length` bytes, or say that the file ends within `what`; then nothing is read."""
    if offset + length > source.size_bytes:
        left = max(0, source.size_bytes - offset)
        raise DamagedError(offset, f"{what} needs {length} bytes, the file ends after {left}")
    content = source.read_at(offset, length)
    if len(content) != length:
        raise DamagedError(offset, f"{what} needs {length} bytes, the file ends after {len(content)}")
    return content
