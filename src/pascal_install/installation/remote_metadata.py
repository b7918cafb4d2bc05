"""What a wheel requires, read over the network without its body: its METADATA alone, by ranges."""

from __future__ import annotations

import io

from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.errors import VerificationError
from pascal_install.fetch import Fetcher
from pascal_install.installation.state import requires_dist
from pascal_install.model.address import redact

#: The end record, a small directory and METADATA lie together at the end of a wheel: one request for all.
_TAIL_BYTES = 256 * 1024


def remote_requires(fetcher: Fetcher, url: str) -> tuple[str, ...]:
    """Read the Requires-Dist lines of a wheel. Raises NetworkError (`no-ranges` where only the whole can be had)."""
    try:
        source = _RemoteSource(fetcher, url)
        directory = read_directory_place(source)
        members = read_members(source, directory, lambda name: name.endswith(".dist-info/METADATA"))
        metadata = b"".join(content_chunks(source, next(one for one in members if one.name.count("/") == 1)))
    except (DamagedError, UnsupportedError, StopIteration) as error:
        raise VerificationError(f"{redact(url)} is not a wheel", code="bad-wheel", cause=str(error)) from error
    return requires_dist(io.StringIO(metadata.decode("utf-8", "replace")))


class _RemoteSource:
    """A file of a host, read at any position."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self._fetcher = fetcher
        self._url = url
        self.size_bytes = fetcher.head(url).size_bytes or 0
        self._tail_at = max(self.size_bytes - _TAIL_BYTES, 0)
        self._tail = fetcher.get_range(url, self._tail_at, self.size_bytes)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read a part; the end of the file is here already."""
        if offset >= self._tail_at:
            return self._tail[offset - self._tail_at :][:length]
        return self._fetcher.get_range(self._url, offset, min(offset + length, self.size_bytes))
