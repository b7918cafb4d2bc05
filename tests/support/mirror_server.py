"""The HTTP side of the mirror: answers, ranges, and the faults that are played."""

from __future__ import annotations

import hashlib
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from support.mirror import Mirror

GITHUB_CDN = "release-assets.githubusercontent.com"
_LOGIN_PAGE = b"<!DOCTYPE html><html><title>Guest network</title><form>Please log in</form></html>"
_SLOW_CHUNKS = 100

FAULTS = (
    "redirect-loop",
    "login-page",
    "reset",
    "hang",
    "stall",
    "cut",
    "cut-unannounced",
    "flip",
    "slow",
    "no-ranges",
    "no-ends",
    "no-head",
    "wrong-metadata-hash",
    "no-hashes",
)


class Fault(NamedTuple):
    """A fault to play: a status code as text (`503`), or one of FAULTS."""

    kind: str
    pattern: str
    """Shell pattern over `HOST/PATH`, `*` crosses slashes: `*/torch-2.6.0*`."""
    headers: Mapping[str, str] = MappingProxyType({})
    methods: tuple[str, ...] = ("GET", "HEAD")


class LoggedRequest(NamedTuple):
    """One request as it came."""

    method: str
    host: str
    path: str
    """Unquoted, without the query."""
    query: str
    range: str
    authorization: str
    status: int
    """What was answered; 0 where a fault left no answer."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, mirror: Mirror, port: int) -> None:
        self.mirror = mirror
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_CONNECT(self) -> None:
        self._log(403, "", self.path, "")
        self._send(403, b"no tunnels here", "text/plain", has_body=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing; the log is kept by the mirror."""

    def _answer(self, has_body: bool) -> None:
        mirror = self.server.mirror
        parts = urlsplit(self.path)
        location = unquote(parts.path).lstrip("/")
        called = parts.netloc or self.headers.get("Host", "")
        if parts.netloc or not called.startswith(("127.0.0.1", "localhost")):  # asked as a proxy, or as the host itself
            location = f"{called}/{location}"
        host, _, path = location.partition("/")
        fault = mirror.pick_fault(self.command, location)
        kind = fault.kind if fault is not None else ""
        if fault is not None and self._broken(fault, host, path, parts.query, has_body):
            return
        if mirror.is_barred(location, self.headers.get("Authorization", "")):
            self._finish(401, host, path, parts.query, has_body, {"WWW-Authenticate": 'Basic realm="mirror"'})
            return
        target = mirror.redirect(location)
        if target:
            self._finish(302, host, path, parts.query, has_body, {"Location": target})
            return
        found = mirror.content(location, parts.query, self.headers.get("Accept", ""), kind)
        if isinstance(found, int):
            self._finish(found, host, path, parts.query, has_body, {})
            return
        if kind == "no-head" and not has_body:
            self._finish(405, host, path, parts.query, has_body, {})
            return
        self._serve(found[0], found[1], kind, (host, path, parts.query), has_body)

    def _broken(self, fault: Fault, host: str, path: str, query: str, has_body: bool) -> bool:
        """Play a fault that needs no content; tell whether it was one."""
        kind = fault.kind
        if kind.isdigit():
            self._finish(int(kind), host, path, query, has_body, dict(fault.headers))
        elif kind == "redirect-loop":
            self._finish(302, host, path, query, has_body, {"Location": self.path})
        elif kind == "login-page":
            self._log(200, host, path, query)
            self._send(200, _LOGIN_PAGE, "text/html", has_body=has_body)
        elif kind == "reset":
            self._log(0, host, path, query)
            self._reset()
        elif kind == "hang":
            self._log(0, host, path, query)
            self.server.mirror.released.wait()
            self.close_connection = True
        else:
            return False
        return True

    def _serve(
        self, content: bytes | Path, content_type: str, fault: str, place: tuple[str, str, str], has_body: bool
    ) -> None:
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        etag = f'"{_tag(content)}"'
        wanted = self.headers.get("Range", "") if fault != "no-ranges" else ""
        if wanted and self.headers.get("If-Range", etag) != etag:
            wanted = ""
        if wanted.startswith("bytes=-") and fault == "no-ends":
            # Azure's stores, where GitHub keeps its releases.
            self._finish(501, *place, has_body, {})
            return
        headers = {"ETag": etag, "Accept-Ranges": "none" if fault == "no-ranges" else "bytes"}
        headers |= self.server.mirror.headers(f"{place[0]}/{place[1]}", place[2])
        if self.headers.get("If-None-Match") == etag:
            self._finish(304, *place, has_body, headers)
            return
        first, last, status = 0, size - 1, 200
        if wanted:
            first, last = _span(wanted, size)
            if first > last:
                self._finish(416, *place, has_body, {"Content-Range": f"bytes */{size}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        if place[0] == GITHUB_CDN:
            headers["Content-Disposition"] = "attachment"
            content_type = "application/octet-stream"
        self._log(status, *place)
        self._head(status, {**headers, "Content-Type": content_type}, last - first + 1, hides_length=fault)
        if has_body:
            self._body(content, first, last, fault)

    def _body(self, content: bytes | Path, first: int, last: int, fault: str) -> None:
        length = last - first + 1
        sent = 0
        stops_at = length // 2 if fault in ("cut", "cut-unannounced", "stall") else length
        step = max(length // _SLOW_CHUNKS, 1) if fault == "slow" else 65536
        for block in _blocks(content, first, stops_at, step):
            self.wfile.write(_flipped(block, length // 2 - sent) if fault == "flip" else block)
            sent += len(block)
            if fault == "slow":
                time.sleep(0.02)
        if fault == "stall":
            self.wfile.flush()
            self.server.mirror.released.wait()
        if stops_at < length:
            self.close_connection = True

    def _finish(self, status: int, host: str, path: str, query: str, has_body: bool, headers: dict[str, str]) -> None:
        self._log(status, host, path, query)
        body = b"" if status == 304 else f"{status}\n".encode()
        self._send(status, body, "text/plain", has_body=has_body, headers=headers)

    def _send(
        self, status: int, body: bytes, content_type: str, *, has_body: bool, headers: dict[str, str] | None = None
    ) -> None:
        self._head(status, {**(headers or {}), "Content-Type": content_type}, len(body))
        if has_body:
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str], length: int, hides_length: str = "") -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if hides_length == "cut-unannounced":
            self.send_header("Connection", "close")
        elif status != 304:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _log(self, status: int, host: str, path: str, query: str) -> None:
        authorization = self.headers.get("Authorization", "")
        wanted = self.headers.get("Range", "")
        self.server.mirror.note(LoggedRequest(self.command, host, path, query, wanted, authorization, status))

    def _reset(self) -> None:
        """Close with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


def _flipped(block: bytes, place: int) -> bytes:
    """Change one byte, where it lies in this block."""
    if not 0 <= place < len(block):
        return block
    return block[:place] + bytes([block[place] ^ 0xFF]) + block[place + 1 :]


def _span(wanted: str, size: int) -> tuple[int, int]:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    if not first:
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def _blocks(content: bytes | Path, first: int, length: int, step: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(first, first + length, step):
            yield content[start : min(start + step, first + length)]
        return
    with content.open("rb") as file:
        file.seek(first)
        while length > 0 and (block := file.read(min(step, length))):
            length -= len(block)
            yield block


def _tag(content: bytes | Path) -> str:
    if isinstance(content, Path):
        facts = content.stat()
        return f"{facts.st_size:x}-{facts.st_mtime_ns:x}"
    return hashlib.sha256(content).hexdigest()[:16]
