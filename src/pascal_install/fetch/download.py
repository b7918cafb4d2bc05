"""One file, from a host to a path: resumed where it was cut, hashed while it is written, whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import IO

from pascal_install.errors import InstallerError, VerificationError
from pascal_install.fetch import faults
from pascal_install.fetch.disk import writing
from pascal_install.fetch.faults import FetchError
from pascal_install.fetch.patience import Patience
from pascal_install.fetch.transport import Transport, chunks, is_web_page
from pascal_install.model.address import redact
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from requests import Response

_READ_BYTES = 1024 * 1024


class Wanted(NamedTuple):
    """What a file must be; empty and None: not known."""

    url: str
    sha256: str = ""
    size_bytes: int | None = None


def download(
    transport: Transport,
    wanted: Wanted,
    path: str,
    patience: Patience,
    timeout_s: float,
    progress: Callable[[int], None] = lambda _: None,
) -> str:
    """Bring a file to `path`, whole and checked, and give its SHA-256.

    `progress` gets the bytes that came since the last call, fewer than 0 where some must come again. What a cut leaves
    lies at `path` + `.part` and is taken up by the next call. Raises FetchError, Stopped, VerificationError and
    InstallerError.
    """
    with _Part(path, wanted, progress) as part:
        is_taken_up = part.size > 0
        while True:
            try:
                _receive(transport, wanted, part, patience, timeout_s)
            except FetchError as fault:
                patience.pause(fault)
                continue
            found = part.sha256()
            if not wanted.sha256 or found == wanted.sha256.lower():
                part.finish()
                return found
            if is_taken_up:  # what an earlier run left may have been spoilt: once more, from the start
                is_taken_up = False
                part.restart()
                continue
            part.discard()
            raise VerificationError(
                f"what came from {redact(transport.place(wanted.url))} is not the file that was expected",
                code="hash-mismatch",
                cause=f"sha256 expected {wanted.sha256}\nsha256 found    {found}",
                hints=("nothing of it was kept; a proxy or a mirror may change files on the way",),
            )


def _receive(transport: Transport, wanted: Wanted, part: _Part, patience: Patience, timeout_s: float) -> None:
    """Ask once for all that is missing, and take what comes."""
    if wanted.size_bytes is not None and part.size == wanted.size_bytes:
        return
    place = transport.place(wanted.url)
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    with transport.open("GET", wanted.url, headers, wait_s=patience.left_s(timeout_s), accept=(416,)) as response:
        first, total = _extent(response)
        if response.status_code == 416:
            if part.size and total == part.size:
                return
            part.restart()
            raise faults.cut_off(place)
        if is_web_page(response):
            raise faults.login_page(place)
        if first not in (0, part.size):
            raise faults.no_ranges(place)
        if first != part.size:
            part.restart()
        _check_size(wanted, place, total)
        part.validator = _validator(response)
        expected = total if total is not None else wanted.size_bytes
        for chunk in chunks(response, decoded=False):
            _take(chunk, wanted, place, part, expected)
            patience.got(part.size)
    if expected is not None and part.size < expected:
        raise faults.cut_off(place, part.size, expected)


def _take(chunk: bytes, wanted: Wanted, place: str, part: _Part, expected: int | None) -> None:
    if part.size == 0 and chunk.lstrip()[:1] == b"<":
        raise faults.login_page(place)
    if wanted.size_bytes is not None and part.size + len(chunk) > wanted.size_bytes:
        part.restart()
        raise faults.too_large(place, wanted.size_bytes)
    part.write(chunk, expected)


def _extent(response: Response) -> tuple[int, int | None]:
    """Read where in the file an answer's body starts (-1: not told), and how large the file is."""
    if response.status_code in (206, 416):
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        first = span.partition("-")[0]
        return int(first) if first.isdigit() else -1, int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _validator(response: Response) -> str:
    """Give what If-Range accepts: a strong ETag, else the date."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _check_size(wanted: Wanted, place: str, total: int | None) -> None:
    if None in (wanted.size_bytes, total) or wanted.size_bytes == total:
        return
    raise VerificationError(
        f"{redact(place)} is not the file that was expected",
        code="size-mismatch",
        cause=f"expected {wanted.size_bytes} bytes, the host announces {total}",
        hints=("a proxy or a mirror may serve another file under this name",),
    )


class _Part:
    """The file while it is not whole: PATH.part, and what tells whether its rest is still the same file.

    A known hash tells that by itself, and then any host may give the rest. Without one, the host's word for this
    version of the file lies beside the part, but only after a clean stop: what a power cut leaves must not become the
    file.
    """

    def __init__(self, path: str, wanted: Wanted, progress: Callable[[int], None]) -> None:
        self._path = path
        self._part = path + ".part"
        self._note = path + ".part.version"
        self._needs_note = not wanted.sha256
        self._progress = progress
        self._digest = hashlib.sha256()
        self._file: IO[bytes]
        self.validator = ""
        self.size = 0

    def __enter__(self) -> _Part:
        with writing(self._part):
            self._file = open(self._part, "ab+")
            if self._needs_note:
                self._take_note()
            self._file.seek(0)
            while block := self._file.read(_READ_BYTES):
                self._digest.update(block)
                self.size += len(block)
        self._progress(self.size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._leave_note()
            with contextlib.suppress(OSError):
                self._file.close()
            if not self.size:
                self.discard()

    def _take_note(self) -> None:
        try:
            with open(self._note, encoding="utf-8") as note:
                self.validator = note.read()
            os.unlink(self._note)
        except FileNotFoundError:
            self._file.truncate(0)

    def _leave_note(self) -> None:
        if self._needs_note and self.size and self.validator:
            self._file.flush()
            os.fsync(self._file.fileno())
            with open(self._note, "w", encoding="utf-8") as note:
                note.write(self.validator)

    def write(self, chunk: bytes, total: int | None) -> None:
        """Add bytes."""
        try:
            with writing(self._path, None if total is None else total - self.size):
                self._file.write(chunk)
        except InstallerError:
            self.discard()  # a full disk is not kept full
            raise
        self._digest.update(chunk)
        self.size += len(chunk)
        self._progress(len(chunk))

    def restart(self) -> None:
        """Forget all bytes."""
        with writing(self._path):
            self._file.truncate(0)
        self._progress(-self.size)
        self._digest = hashlib.sha256()
        self.size = 0

    def sha256(self) -> str:
        """Give the hash of all bytes so far."""
        return self._digest.hexdigest()

    def finish(self) -> None:
        """Give the file its name; from then on it is whole, after a power cut too."""
        with writing(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self._path)

    def discard(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._part)
