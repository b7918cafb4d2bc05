"""Wheel hosts on loopback that answer like the real ones, and fail like them when told to.

The host is the first part of the path: `http://127.0.0.1:PORT/download.pytorch.org/whl/cu124/torch/`. So
`--mirror https://download.pytorch.org=http://127.0.0.1:PORT/download.pytorch.org` leads here; `mirrors` has them all.

What it knows:
- index pages, `/whl/cu124/NAME/` and `/simple/NAME/`, in HTML and JSON (PEP 503, 691), and each wheel's `.metadata`;
- newer files of the PyTorch index on its second host, `+` written `%2B`, hashes left out where asked;
- 403 for unknown paths of object stores, 404 elsewhere;
- release downloads of GitHub: 302 to a CDN with a signature in the query; without a valid one that answers 403;
- HEAD, Range, If-Range and conditional requests everywhere;
- faults by name, path pattern and count (`fault`), a log of all requests, and answers as a proxy for plain http.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import itertools
import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from support import index_pages
from support.index_pages import Link, metadata_in
from support.mirror_server import FAULTS, GITHUB_CDN, Fault, LoggedRequest, Server

PYTORCH, PYTORCH_CDN = "download.pytorch.org", "download-r2.pytorch.org"
GITHUB = "github.com"
GITHUB_API = "api.github.com"
PYPI = "pypi.test"
HOSTS = (PYTORCH, PYTORCH_CDN, GITHUB, GITHUB_API, GITHUB_CDN, PYPI)
_STORES = frozenset({PYTORCH, PYTORCH_CDN, GITHUB_CDN})


class Mirror:
    """The server. Use it as a context manager, or through the fixture `mirror`."""

    def __init__(self, certificate: str = "", *, real_links: bool = False, port: int = 0) -> None:
        """`certificate`: a PEM file with key, for https. `real_links`: links and redirects name the real hosts.

        With both and port 443, in a network namespace whose hosts file names this machine, addresses need no mirror.
        """
        self._files: dict[str, bytes | Path] = {}
        self._headers: dict[str, dict[str, str]] = {}
        self._links: dict[tuple[str, str], list[Link]] = {}
        self._releases: dict[str, str] = {}
        self._faults: list[tuple[Fault, list[int | None]]] = []
        self._passwords: list[tuple[str, str]] = []
        self._signatures: set[str] = set()
        self._serial = itertools.count(1)
        self._lock = threading.Condition()
        self._log: list[LoggedRequest] = []
        self._real_links = real_links
        self.released = threading.Event()
        """Set when what hangs or stalls is to be let go; closing does it too."""
        self._server = Server(self, port)
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Mirror:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering, and let go what hangs."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # Addresses

    @property
    def url(self) -> str:
        """The address of the server, without a slash at its end."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def base(self, host: str) -> str:
        """Give where a host is played."""
        return f"{self.url}/{host}"

    @property
    def mirrors(self) -> tuple[tuple[str, str], ...]:
        """The prefix map for a Fetcher."""
        return tuple((f"https://{host}", self.base(host)) for host in HOSTS)

    @property
    def options(self) -> list[str]:
        """The same for the command line."""
        return [word for real, played in self.mirrors for word in ("--mirror", f"{real}={played}")]

    @property
    def pypi_url(self) -> str:
        """The simple index that plays PyPI, for PIP_INDEX_URL and UV_DEFAULT_INDEX."""
        return f"{self.base(PYPI)}/simple"

    # Content

    def add_file(self, host: str, path: str, content: bytes | Path) -> str:
        """Serve a file as it is. Gives its real address."""
        self._files[f"{host}/{path.lstrip('/')}"] = content
        return f"https://{host}/{quote(path.lstrip('/'))}"

    def add_page(self, host: str, path: str, content: bytes, headers: Mapping[str, str] | None = None) -> str:
        """Serve a page, `path` with its query, with these headers. Gives its address here."""
        self._files[f"{host}/{path}"] = content
        self._headers[f"{host}/{path}"] = dict(headers or {})
        return f"{self.base(host)}/{path}"

    def add_wheel(
        self,
        folder: str,
        filename: str,
        content: bytes | Path,
        *,
        cdn: bool = False,
        hashed: bool = True,
        has_metadata: bool = True,
        requires_python: str = "",
    ) -> str:
        """Publish a wheel on the PyTorch index: `folder` is `whl/cu124`. Gives its real address.

        `cdn`: the page links to the second host, as it does for newer files; both hosts have them.
        """
        paths = [f"{host}/{folder}/{filename}" for host in (PYTORCH, PYTORCH_CDN)]
        for path in paths:
            self._put(path, content, has_metadata)
        link = Link(filename, content, paths[1 if cdn else 0], cdn, hashed, has_metadata, requires_python)
        self._links.setdefault((f"{PYTORCH}/{folder}", _project(filename)), []).append(link)
        return f"https://{PYTORCH}/{folder}/{quote(filename)}"

    def add_pypi(self, filename: str, content: bytes | Path, *, requires_python: str = "") -> str:
        """Publish a file on the index that plays PyPI. Gives the address under which it is played."""
        digest = hashlib.sha256(_read(content)).hexdigest()
        path = f"{PYPI}/packages/{digest[:2]}/{digest[2:]}/{filename}"
        self._put(path, content, has_metadata=filename.endswith(".whl"))
        link = Link(filename, content, path, False, True, filename.endswith(".whl"), requires_python)
        self._links.setdefault((f"{PYPI}/simple", _project(filename)), []).append(link)
        return f"{self.url}/{quote(path)}"

    def add_release(self, repository: str, tag: str, filename: str, content: bytes | Path) -> str:
        """Publish a file of a GitHub release. Gives its real address, with a literal `+`."""
        path = f"{repository}/releases/download/{tag}/{filename}"
        stored = f"github-production-release-asset/{hashlib.sha256(path.encode()).hexdigest()[:16]}"
        self._files[f"{GITHUB_CDN}/{stored}"] = content
        self._releases[f"{GITHUB}/{path}"] = stored
        return f"https://{GITHUB}/{path}"

    def _put(self, path: str, content: bytes | Path, has_metadata: bool) -> None:
        self._files[path] = content
        if has_metadata:
            self._files[f"{path}.metadata"] = metadata_in(content)

    # Faults, logins, log

    def fault(
        self,
        kind: str,
        pattern: str = "*",
        *,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        methods: tuple[str, ...] = ("GET", "HEAD"),
    ) -> None:
        """Play a fault for the next `times` requests that fit (None: for ever); `headers` go with a status."""
        if not (kind.isdigit() or kind in FAULTS):
            raise ValueError(kind)
        self._faults.append((Fault(kind, pattern, headers or {}, methods), [times]))

    def mend(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def require_login(self, pattern: str, user: str, password: str) -> None:
        """Answer 401 to whoever does not bring this name and password."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._passwords.append((pattern, f"Basic {token}"))

    def expire_signatures(self) -> None:
        """Make the release host's addresses that were handed out so far worthless."""
        self._signatures.clear()

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        """All requests so far, in the order in which they were answered or began to fail."""
        with self._lock:
            return tuple(self._log)

    def bodies(self, pattern: str = "*.whl") -> tuple[str, ...]:
        """Give the paths whose body was asked for."""
        return tuple(
            one.path
            for one in self.requests
            if one.method == "GET" and fnmatch.fnmatch(f"{one.host}/{one.path}", pattern)
        )

    def forget(self) -> None:
        """Start the log again."""
        with self._lock:
            self._log.clear()

    def wait_for(self, pattern: str, timeout_s: float = 30.0) -> LoggedRequest:
        """Wait until a request for a path that fits was logged."""

        def found() -> LoggedRequest | None:
            return next((one for one in self._log if fnmatch.fnmatch(f"{one.host}/{one.path}", pattern)), None)

        with self._lock:
            one = self._lock.wait_for(found, timeout_s)
        if one is None:
            raise TimeoutError(pattern)
        return one

    # What the handler asks

    def note(self, request: LoggedRequest) -> None:
        """Write the log."""
        with self._lock:
            self._log.append(request)
            self._lock.notify_all()

    def pick_fault(self, method: str, location: str) -> Fault | None:
        """Give the first fault that fits and is not used up."""
        with self._lock:
            for fault, left in self._faults:
                if method in fault.methods and fnmatch.fnmatch(location, fault.pattern) and left[0] != 0:
                    left[0] = None if left[0] is None else left[0] - 1
                    return fault
        return None

    def is_barred(self, location: str, authorization: str) -> bool:
        """Tell whether a login is missing."""
        wanted = [token for pattern, token in self._passwords if fnmatch.fnmatch(location, pattern)]
        return bool(wanted) and authorization not in wanted

    def redirect(self, location: str) -> str:
        """Give where a release download is sent, or nothing."""
        stored = self._releases.get(location)
        if stored is None:
            return ""
        signature = f"s{next(self._serial)}"
        self._signatures.add(signature)
        query = f"sp=r&sv=2018-11-09&X-Amz-Expires=300&sig={signature}"
        return f"{self._absolute(GITHUB_CDN)}/{stored}?{query}"

    def headers(self, location: str, query: str) -> dict[str, str]:
        """Give what a page comes with beside its body."""
        known = self._headers.get(f"{location}?{query}") or self._headers.get(location, {})
        return {name: text for name, text in known.items() if name != "Content-Type"}

    def content(self, location: str, query: str, accept: str, fault: str) -> tuple[bytes | Path, str] | int:
        """Give the body and its type, or a status."""
        host, _, path = location.partition("/")
        if host == GITHUB_CDN and not any(f"sig={one}" in query.split("&") for one in self._signatures):
            return 403
        whole = f"{location}?{query}"
        if whole in self._files:
            return self._files[whole], self._headers[whole].get("Content-Type", "application/json")
        if location in self._files:
            return self._files[location], self._headers.get(location, {}).get("Content-Type", _kind(path))
        page = self._page(location, accept, fault)
        if page is not None:
            return page
        return 403 if host in _STORES else 404

    def _page(self, location: str, accept: str, fault: str) -> tuple[bytes, str] | None:
        folder, _, project = location.rstrip("/").rpartition("/")
        as_json = "application/vnd.pypi.simple.v1+json" in accept
        links = self._links.get((folder, project))
        if links is not None:
            shown = [self._shown(link, fault) for link in links]
            return index_pages.project(project, shown, as_json=as_json)
        projects = sorted(name for place, name in self._links if place == location.rstrip("/"))
        return index_pages.projects(projects, as_json=as_json) if projects else None

    def _shown(self, link: Link, fault: str) -> index_pages.Shown:
        host, _, path = link.location.partition("/")
        place = f"{self._absolute(host)}/{quote(path)}" if link.is_absolute else f"/{quote(link.location)}"
        metadata = "" if not link.has_metadata else hashlib.sha256(metadata_in(link.content)).hexdigest()
        if metadata and fault == "wrong-metadata-hash":
            metadata = "0" * 64
        content = _read(link.content)
        digest = hashlib.sha256(content).hexdigest() if link.hashed and fault != "no-hashes" else ""
        return index_pages.Shown(link.filename, place, digest, metadata, link.requires_python, len(content))

    def _absolute(self, host: str) -> str:
        return f"https://{host}" if self._real_links else self.base(host)


def _read(content: bytes | Path) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _kind(path: str) -> str:
    kinds = {".whl": "application/zip", ".metadata": "text/plain", ".json": "application/json", ".html": "text/html"}
    return kinds.get(os.path.splitext(path)[1], "application/octet-stream")


def _project(filename: str) -> str:
    return filename.partition("-")[0].lower().replace("_", "-").replace(".", "-")
