"""One request: which place it goes to, with which credentials, over which redirects."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import requests
import requests.adapters
import requests.auth
import urllib3
import urllib3.exceptions

from pascal_install.errors import UsageError
from pascal_install.fetch import faults
from pascal_install.fetch.local import FileAdapter, is_inside
from pascal_install.model.address import Mirror, mirrored, redact
from pascal_install.value import NamedTuple
from pascal_install.version import __version__

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CHUNK_BYTES = 64 * 1024

#: Ours, so that a redirect to another host must not carry them on.
_PRIVATE_HEADERS = frozenset({"authorization", "cookie"})


class Settings(NamedTuple):
    """How the network is reached."""

    mirrors: Sequence[Mirror] = ()
    """Prefixes and what replaces them. A pair of twice the same allows a place that the person's settings name."""
    offline: bool = False
    cert: str = ""
    """A CA bundle, as pip's --cert; empty: REQUESTS_CA_BUNDLE, else the usual one."""
    client_cert: str = ""
    proxy: str = ""
    """Empty: HTTPS_PROXY and its like."""
    trusted_hosts: Sequence[str] = ()
    """`host` or `host:port`, as pip's --trusted-host: plain http and any certificate will do there."""


class _AsGiven(requests.auth.AuthBase):
    """Leaves a request as it is, netrc or not."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Transport:
    """Sends requests; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folders = [target for _, target in settings.mirrors if target.startswith("file:")]
        self._named = {_origin(target) for _, target in settings.mirrors}
        self._credentials: dict[str, tuple[bytes, bytes]] = {}
        for option, path in (("--cert", settings.cert), ("--client-cert", settings.client_cert)):
            if path and not os.path.exists(path):
                raise UsageError(f"there is no certificate file {path}", code="bad-cert", hints=(f"check {option}",))
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"pascal-install/{__version__}"
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=16))
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))
        self._session.mount("file://", FileAdapter())

    def close(self) -> None:
        """Let go of all connections."""
        self._session.close()

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        wait_s: float,
        accept: Sequence[int] = (),
        stays: bool = False,
    ) -> Iterator[requests.Response]:
        """Ask for an address and give the answer, its body not yet read, redirects followed.

        `stays`: only those to the same host, or to one that a mirror names.

        Raises FetchError for every answer of 400 or more that `accept` does not name, and for what a network can do;
        raises UsageError for an address that must not be asked.
        """
        place = self.place(url)
        sent = dict(headers)
        seen: set[str] = set()
        while place not in seen and len(seen) <= _MAX_REDIRECTS:
            seen.add(place)
            with contextlib.closing(self._send(method, place, sent, wait_s)) as response:
                target = response.headers.get("Location", "")
                if response.status_code in _REDIRECTS and target:
                    next_place = self._redirected(place, target)
                    if _origin(next_place) != _origin(place):
                        if stays and not (_origin(next_place) in self._named or _is_upgrade(place, next_place)):
                            raise faults.leaves_host(place, next_place)
                        sent = {name: text for name, text in sent.items() if name.lower() not in _PRIVATE_HEADERS}
                    place = next_place
                    continue
                is_fault = response.status_code >= 400 or response.status_code in _REDIRECTS
                if is_fault and response.status_code not in accept:
                    raise faults.from_status(response.status_code, response.reason, place, response.headers)
                yield response
                return
        raise faults.redirect_loop(self.place(url), len(seen))

    def _redirected(self, place: str, target: str) -> str:
        try:
            return self.place(urljoin(place, target), redirected=True)
        except (UsageError, ValueError) as error:
            raise faults.bad_redirect(place, target) from error

    def place(self, url: str, *, redirected: bool = False) -> str:
        """Give the address that is really asked: mirrored, allowed, and without the credentials that it may hold.

        Those are kept for the same scheme, host and port, so that the links of a page behind a login work too.
        """
        place = mirrored(url, self._settings.mirrors)
        try:
            parts = urlsplit(place)
            is_address = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if not place.isprintable() or " " in place or not (is_address or place.startswith("file:")):
            raise UsageError(f"cannot fetch {redact(url)!r}: this is no https address", code="bad-address")
        host = parts.netloc.rpartition("@")[2]
        if parts.scheme == "file":
            if not redirected and any(is_inside(place, folder) for folder in self._folders):
                return place
            raise UsageError(f"will not read {redact(place)}: only --mirror may name a folder", code="bad-address")
        if self._settings.offline:
            raise faults.offline(url)
        if parts.scheme == "http" and not self._may_be_plain(parts.hostname or "", host):
            raise UsageError(
                f"will not fetch {redact(place)} over plain http",
                code="insecure-address",
                hints=("use https; for a host inside your own network, name it with --mirror or pip's trusted-host",),
            )
        if "@" in parts.netloc and not redirected:
            secret = (unquote(parts.username or "").encode(), unquote(parts.password or "").encode())
            self._credentials[f"{parts.scheme}://{host}"] = secret
        return urlunsplit(parts._replace(netloc=host, fragment=""))

    def address(self, url: str) -> str:
        """Give what `place` gives, with the credentials of that host."""
        place = self.place(url)
        secret = self._credentials.get(_origin(place))
        if secret is None:
            return place
        user, password = (quote(part, safe="") for part in secret)
        parts = urlsplit(place)
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))

    def _may_be_plain(self, hostname: str, host: str) -> bool:
        given = {urlsplit(target).netloc.rpartition("@")[2] for _, target in self._settings.mirrors}
        return hostname in _LOOPBACK or host in given or self._is_trusted(hostname, host)

    def _is_trusted(self, hostname: str, host: str) -> bool:
        return hostname in self._settings.trusted_hosts or host in self._settings.trusted_hosts

    def _login(self, place: str, headers: Mapping[str, str]) -> tuple[bytes, bytes] | _AsGiven | None:
        """Give what to log in with; None lets netrc decide."""
        if any(name.lower() == "authorization" for name in headers):
            return _AsGiven()
        return self._credentials.get(_origin(place))

    def _send(self, method: str, place: str, headers: Mapping[str, str], wait_s: float) -> requests.Response:
        settings = self._settings
        parts = urlsplit(place)
        is_trusted = self._is_trusted(parts.hostname or "", parts.netloc)
        uses_proxy = settings.proxy and parts.hostname not in _LOOPBACK
        try:
            prepared = self._session.prepare_request(
                requests.Request(method, place, headers=dict(headers), auth=self._login(place, headers))
            )
            options: dict[str, Any] = {
                **self._session.merge_environment_settings(
                    place,
                    {"http": settings.proxy, "https": settings.proxy} if uses_proxy else {},
                    stream=True,
                    verify=not is_trusted and (settings.cert or True),
                    cert=settings.client_cert or None,
                )
            }
            if is_trusted:
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            # Past the session: it would keep cookies, and look at the redirect before we do.
            return self._session.get_adapter(place).send(prepared, timeout=wait_s, **options)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise faults.from_exception(error, place) from error


def chunks(response: requests.Response, *, decoded: bool) -> Iterator[bytes]:
    """Read the body of an answer piece by piece; `decoded` undoes a compression. Raises FetchError."""
    try:
        while chunk := response.raw.read(_CHUNK_BYTES, decode_content=decoded):
            yield chunk
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise faults.from_exception(error, response.url) from error


def is_web_page(response: requests.Response) -> bool:
    """Tell whether an answer calls itself HTML."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower() in (
        "text/html",
        "application/xhtml+xml",
    )


def _is_upgrade(place: str, next_place: str) -> bool:
    """Tell the step from http to https on the same host."""
    before, after = urlsplit(place), urlsplit(next_place)
    return after.scheme == "https" and before.hostname == after.hostname


def _origin(place: str) -> str:
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc}"
