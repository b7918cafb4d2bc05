"""What the other rooms ask of the network."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from pascal_install.errors import NetworkError, PascalInstallError, VerificationError
from pascal_install.fetch import faults
from pascal_install.fetch.download import Wanted, download
from pascal_install.fetch.faults import FetchError
from pascal_install.fetch.pages import Page, PageCache
from pascal_install.fetch.patience import ATTEMPTS, Patience
from pascal_install.fetch.transport import Settings, Transport, chunks, is_web_page
from pascal_install.model.address import Mirror
from pascal_install.value import NamedTuple

_Answer = TypeVar("_Answer")

#: Object stores: a file that is not there is a file that one may not see.
_STORES = frozenset({"download.pytorch.org", "download-r2.pytorch.org"})
_FILES = (".whl", ".zip", ".gz", ".metadata")


class RemoteFile(NamedTuple):
    """What a host says of a file without sending it."""

    status: int
    url: str
    """Where it was found, after redirects; may hold a signature, so `redact` it before it is shown."""
    size_bytes: int | None
    accepts_ranges: bool
    etag: str
    last_modified: str


class Fetcher:
    """Asks hosts for pages, parts and files. One is enough for a run; threads may share it.

    Every address goes through the mirrors first (the longest prefix wins). A passing fault is tried again, with growing
    pauses, until nothing came for `deadline_s`; what remains is a NetworkError that says what happened. Plain http is
    for loopback, trusted hosts and mirrors only, `file:` for mirrors only; any other address is a
    UsageError. Credentials come from addresses and netrc; they go to the host they were given for, and show nowhere.
    """

    def __init__(  # noqa: PLR0913 - named settings, each with a default
        self,
        *,
        mirrors: Sequence[Mirror] = (),
        offline: bool = False,
        cert: str = "",
        client_cert: str = "",
        proxy: str = "",
        trusted_hosts: Sequence[str] = (),
        timeout_s: float = 20.0,
        deadline_s: float = 90.0,
        pause_s: float = 0.5,
        cache_dir: str = "",
    ) -> None:
        """Raises UsageError for a certificate file that is not there. An empty `cache_dir` keeps no pages."""
        settings = Settings(tuple(mirrors), offline, cert, client_cert, proxy, tuple(trusted_hosts))
        self._transport = Transport(settings)
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._attempts = ATTEMPTS
        self._failed: dict[str, int] = {}  # host to the tries after which it was given up
        self._pages = PageCache(os.path.join(cache_dir, "pages") if cache_dir else "")

    def in_haste(self) -> Fetcher:
        """Give the same fetcher, which asks once and does not wait for a fault to pass."""
        hasty = copy.copy(self)
        hasty._attempts = 1  # noqa: SLF001 - a fetcher of ours
        return hasty

    def has_failed(self, url: str) -> bool:
        """Tell whether the last transfer from the host of an address ended with a fault that might have passed."""
        return _host(self._transport.place(url)) in self._failed

    def close(self) -> None:
        """Let go of all connections."""
        self._transport.close()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self, url: str) -> RemoteFile:
        """Ask what is there, without the body. Raises NetworkError; a missing file has the code `not-found`."""
        return self._persist(url, lambda patience: self._head(url, patience))

    def _head(self, url: str, patience: Patience) -> RemoteFile:
        wait_s = patience.left_s(self._timeout_s)
        headers = {"Accept-Encoding": "identity"}
        with self._transport.open("HEAD", url, headers, wait_s=wait_s, accept=(405, 501)) as response:
            if response.status_code < 400:
                return _remote_file(self._transport.place(url), response.status_code, response.url, response.headers)
        headers["Range"] = "bytes=0-0"
        with self._transport.open("GET", url, headers, wait_s=wait_s) as response:
            return _remote_file(self._transport.place(url), response.status_code, response.url, response.headers)

    def address(self, url: str) -> str:
        """Give an address for another program to fetch: mirrored, allowed, and with the credentials that it takes.

        It is not for showing. Raises NetworkError when offline, and UsageError.
        """
        return self._transport.address(url)

    def get_end(self, url: str, length: int) -> tuple[RemoteFile, bytes]:
        """Ask what is there and fetch the end of it, in one request.

        Some hosts give parts, but not from the end: then no bytes come with the answer. Raises NetworkError.
        """

        def once(patience: Patience) -> tuple[RemoteFile, bytes]:
            headers = {"Accept-Encoding": "identity", "Range": f"bytes=-{length}"}
            wait_s, accept = patience.left_s(self._timeout_s), (400, 405, 416, 501)
            with self._transport.open("GET", url, headers, wait_s=wait_s, accept=accept) as response:
                place = self._transport.place(url)
                if response.status_code in accept:
                    return self._head(url, patience), b""
                found = _remote_file(place, response.status_code, response.url, response.headers)
                span = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")[0]
                first, _, last = span.partition("-")
                if response.status_code != 206 or found.size_bytes is None or last != str(found.size_bytes - 1):
                    return found, b""
                content = b"".join(_limited(chunks(response, decoded=False), response.url, length))
            if int(first) + len(content) != found.size_bytes:
                raise faults.cut_off(place, len(content), found.size_bytes - int(first))
            return found, content

        return self._persist(url, once)

    def get_range(self, url: str, start: int, end_exclusive: int) -> bytes:
        """Fetch a part of a file; shorter only where the file ends. Raises NetworkError."""

        def once(patience: Patience) -> bytes:
            headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{end_exclusive - 1}"}
            with self._transport.open("GET", url, headers, wait_s=patience.left_s(self._timeout_s)) as response:
                if is_web_page(response):
                    raise faults.login_page(self._transport.place(url))
                span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
                if response.status_code != 206 or span.partition("-")[0] != str(start):
                    raise faults.no_ranges(self._transport.place(url))
                content = b"".join(_limited(chunks(response, decoded=False), response.url, end_exclusive - start))
            due = min(end_exclusive, int(total)) - start if total.isdigit() else end_exclusive - start
            if len(content) < due:
                raise faults.cut_off(self._transport.place(url), len(content), due)
            return content

        return self._persist(url, once)

    def get(
        self,
        url: str,
        max_bytes: int = 64_000_000,
        *,
        headers: Mapping[str, str] | None = None,
        html: bool = True,
        stays: bool = False,
    ) -> Page:
        """Fetch a page, from the cache where the host says that it did not change. Raises NetworkError.

        `html=False`: a web page is not what is asked for, so that one is a login page. `stays`: a redirect to another
        host is not followed, unless a mirror names that host.
        """
        asked = {name.lower(): text for name, text in (headers or {}).items()}
        place, accept = self._transport.place(url), asked.get("accept", "")
        kept = self._pages.load(place, accept)
        if kept is not None:
            asked |= {"if-none-match": kept.etag} if kept.etag else {"if-modified-since": kept.last_modified}

        def once(patience: Patience) -> Page:
            wait_s = patience.left_s(self._timeout_s)
            with self._transport.open("GET", url, asked, wait_s=wait_s, stays=stays) as response:
                if response.status_code == 304 and kept is not None:
                    return kept._replace(url=response.url)
                if not html and is_web_page(response):
                    raise faults.login_page(self._transport.place(url))
                return Page(
                    response.status_code,
                    response.url,
                    b"".join(_limited(chunks(response, decoded=True), response.url, max_bytes)),
                    response.headers.get("Content-Type", ""),
                    response.headers.get("ETag", ""),
                    response.headers.get("Last-Modified", ""),
                    link=response.headers.get("Link", ""),
                )

        page = self._persist(url, once)
        if not page.from_cache:
            self._pages.store(place, accept, page)
        return page

    def download(
        self,
        url: str,
        path: str,
        *,
        sha256: str = "",
        size_bytes: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> str:
        """Bring a file to `path`, whole and checked, and give its SHA-256.

        What a cut, Ctrl-C or `stop` leaves lies at `path` + `.part`; the next call goes on from there. `progress` gets
        the bytes since its last call, fewer than 0 where some must come again.

        Raises NetworkError; VerificationError (`hash-mismatch`, `size-mismatch`); InstallerError (`disk-full`,
        `cannot-write`); Stopped.
        """
        with self._patience(url, stop) as patience:
            return download(self._transport, Wanted(url, sha256, size_bytes), path, patience, self._timeout_s, progress)

    @contextlib.contextmanager
    def _patience(self, url: str, stop: threading.Event | None = None) -> Iterator[Patience]:
        """Give the tries of one transfer; only one where all were in vain before, since nobody waits for that twice."""
        place = self._transport.place(url)
        attempts = 1 if self._failed.get(_host(place), 0) > 1 else self._attempts
        try:
            yield Patience(self._deadline_s, self._pause_s, stop, attempts)
        except FetchError as fault:
            if fault.transient:
                self._failed[_host(place)] = max(attempts, self._failed.get(_host(place), 0))
            raise
        self._failed.pop(_host(place), None)

    def _persist(self, url: str, once: Callable[[Patience], _Answer]) -> _Answer:
        with self._patience(url) as patience:
            while True:
                try:
                    return once(patience)
                except FetchError as fault:
                    patience.pause(fault)


def from_any(fetcher: Fetcher, urls: Sequence[str], ask: Callable[[Fetcher, str], _Answer]) -> _Answer:
    """Ask several hosts for a file: each once, those that failed before last; then with patience where that may help.

    Raises what the first host led to, with what the others said.
    """
    failures: dict[str, PascalInstallError] = {}
    for hosts_fetcher, is_patient in ((fetcher.in_haste(), False), (fetcher, True)):
        if not is_patient and len(urls) == 1:
            continue
        for url in sorted(urls, key=fetcher.has_failed):
            before = failures.get(url)
            if before is not None and not (isinstance(before, FetchError) and before.transient):
                continue
            try:
                return ask(hosts_fetcher, url)
            except (NetworkError, VerificationError) as error:
                failures[url] = error
    first, *others = (failures[url] for url in urls)
    first.cause = "\n".join([first.cause, *(other.summary for other in others)]).strip()
    raise first


def find(fetcher: Fetcher, url: str) -> RemoteFile | None:
    """Ask a host for a file; None where it says that there is none. Raises NetworkError where it says neither."""
    try:
        return fetcher.head(url)
    except NetworkError as error:
        is_store = (urlsplit(url).hostname or "") in _STORES
        if error.code == "not-found" or (error.code == "forbidden" and is_store):
            return None
        raise


def published(fetcher: Fetcher, url: str) -> bool:
    """Tell whether a host has a file. Raises NetworkError where that cannot be found out."""
    return find(fetcher, url) is not None


def _remote_file(asked: str, status: int, url: str, headers: Mapping[str, str]) -> RemoteFile:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html" and urlsplit(asked).path.endswith(_FILES):
        raise faults.login_page(asked)
    length = headers.get("Content-Length", "")
    if status == 206:
        length = headers.get("Content-Range", "").rpartition("/")[2]
    return RemoteFile(
        status,
        url,
        int(length) if length.isdigit() else None,
        status == 206 or headers.get("Accept-Ranges", "").lower() == "bytes",
        headers.get("ETag", ""),
        headers.get("Last-Modified", ""),
    )


def _host(place: str) -> str:
    return urlsplit(place).netloc


def _limited(parts: Iterator[bytes], url: str, max_bytes: int) -> Iterator[bytes]:
    taken = 0
    for part in parts:
        taken += len(part)
        if taken > max_bytes:
            raise faults.too_large(url, max_bytes)
        yield part
