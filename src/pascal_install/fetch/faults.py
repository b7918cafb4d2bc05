"""What can go wrong on a network, each told as what it is: never as "no wheel for you"."""

from __future__ import annotations

import email.utils
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from pascal_install.errors import NetworkError
from pascal_install.model.address import redact

_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
_LONG_WAIT_S = 120
_CERT_HINT = "where a company proxy signs the traffic, name its CA bundle: --cert FILE, PIP_CERT or REQUESTS_CA_BUNDLE"
_CREDENTIALS_HINT = "put them into ~/.netrc, or into the address: https://USER:PASSWORD@HOST/..."


class FetchError(NetworkError):
    """A network error that knows whether another try may help."""

    def __init__(
        self,
        summary: str,
        *,
        code: str,
        cause: str = "",
        hints: tuple[str, ...] = (),
        transient: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(summary, code=code, cause=cause, hints=hints)
        self.transient = transient
        self.retry_after_s = retry_after_s


def from_status(status: int, reason: str, url: str, headers: Mapping[str, str]) -> FetchError:
    """Word an answer that is none."""
    shown, host = redact(url), host_of(url)
    cause = f"{status} {reason}".strip()
    if status == 429 or (status == 403 and _is_rate_limit(headers)):
        wait_s = retry_after(headers)
        until = f" until {_clock(wait_s)}" if wait_s >= _LONG_WAIT_S else f" for {wait_s:.0f} s" if wait_s else ""
        hints = ("try again later, or take the files from a mirror: --mirror FROM=TO",)
        return FetchError(
            f"{host} asks for a pause{until}: too many requests for {shown}",
            code="rate-limited",
            cause=cause,
            hints=hints,
            transient=status == 429,
            retry_after_s=wait_s,
        )
    if status == 401:
        return FetchError(
            f"{host} wants a user name and a password for {shown}",
            code="auth-needed",
            cause=cause,
            hints=(_CREDENTIALS_HINT,),
        )
    if status == 407:
        return _proxy_wants_credentials(shown, cause)
    if status == 403:
        return FetchError(
            f"{host} refuses {shown}",
            code="forbidden",
            cause=f"{cause}; object stores also answer 403 for a file that does not exist",
            hints=("check that the file exists there, and that this network and these credentials may read it",),
        )
    if status in (404, 410):
        hints = ("check the address; with --mirror, that the mirror holds this file",)
        return FetchError(f"{host} does not have {shown}", code="not-found", cause=cause, hints=hints)
    if status >= 500:
        return FetchError(
            f"{host} failed to serve {shown}",
            code="server-error",
            cause=cause,
            hints=("the fault is on the server's side: try again later, or use --mirror FROM=TO",),
            transient=status in _TRY_AGAIN,
            retry_after_s=retry_after(headers),
        )
    return FetchError(
        f"{host} gave an answer for {shown} that makes no sense here", code="unexpected-answer", cause=cause
    )


def from_exception(error: Exception, url: str) -> FetchError:
    """Word what the HTTP library raised. Its own text is not used: it repeats addresses with their signatures."""
    shown, host = redact(url), host_of(url)
    chain = tuple(_causes(error))
    if found := _first(chain, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        inner = _plain_cause(chain, found)
        if "407" in inner:
            return _proxy_wants_credentials(shown, inner)
        hints = ("check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or --proxy",)
        return FetchError(f"the proxy on the way to {host} does not work", code="proxy", cause=inner, hints=hints)
    if found := _first(chain, ssl.SSLError, requests.exceptions.SSLError, urllib3.exceptions.SSLError):
        return FetchError(
            f"the secure connection to {host} failed", code="tls", cause=_plain_cause(chain, found), hints=(_CERT_HINT,)
        )
    if isinstance(chain[-1], TimeoutError) or _first(chain, urllib3.exceptions.ReadTimeoutError):
        return silence(url)
    if isinstance(unknown := _first(chain, socket.gaierror), socket.gaierror):
        hints = ("check the network and its DNS; in a closed network, use --mirror FROM=TO or --offline",)
        return FetchError(
            f"the name {host} cannot be looked up",
            code="not-reachable",
            cause=_plain_cause(chain, error),
            hints=hints,
            transient=unknown.errno == socket.EAI_AGAIN,
        )
    if _first(chain, urllib3.exceptions.IncompleteRead, requests.exceptions.ChunkedEncodingError):
        return cut_off(url)
    if _first(chain, requests.exceptions.InvalidSchema):
        return FetchError(
            f"the proxy on the way to {host} cannot be used",
            code="proxy",
            cause=str(error),
            hints=("a SOCKS proxy needs the package PySocks: pip install PySocks",),
        )
    return FetchError(
        f"the connection to {host} failed while asking for {shown}",
        code="not-reachable",
        cause=_plain_cause(chain, error),
        hints=("check the network; in a closed one, use --mirror FROM=TO or --offline",),
        transient=isinstance(chain[-1], (OSError, urllib3.exceptions.HTTPError, requests.exceptions.ConnectionError)),
    )


def silence(url: str) -> FetchError:
    """No byte came in time."""
    return FetchError(
        f"{host_of(url)} stopped answering for {redact(url)}",
        code="timeout",
        hints=("try again; a firewall that drops packets looks like this too",),
        transient=True,
    )


def cut_off(url: str, got: int | None = None, announced: int | None = None) -> FetchError:
    """Fewer bytes came than were announced."""
    return FetchError(
        f"the transfer of {redact(url)} was cut off",
        code="cut-off",
        cause=f"{got} of {announced} bytes arrived" if announced else "",
        hints=("run the same again: it goes on where it stopped",),
        transient=True,
    )


def login_page(url: str) -> FetchError:
    """HTML came where a file was due."""
    return FetchError(
        f"{host_of(url)} gave a web page instead of {redact(url)}",
        code="login-page",
        cause="that is what a login page of a network or a filtering proxy looks like",
        hints=("open the address in a browser on this network, and log in there or ask for access",),
    )


def no_index_page(url: str, why: str) -> FetchError:
    """Something else came where a page of a package index was due."""
    return FetchError(
        f"{redact(url)} is no page of a package index",
        code="login-page",
        cause=f"{why}; that is what a login page of a network or a filtering proxy looks like",
        hints=("open the address in a browser on this network, and log in there or ask for access",),
    )


def too_large(url: str, max_bytes: int) -> FetchError:
    """More came than can be right."""
    return FetchError(
        f"{redact(url)} is larger than {max_bytes} bytes", code="too-large", cause="more than can be right"
    )


def redirect_loop(url: str, hops: int) -> FetchError:
    """The hosts send us in circles."""
    hints = ("the fault is on the server's side, or a proxy wants a login",)
    return FetchError(f"{redact(url)} leads in a circle", code="redirect-loop", cause=f"{hops} redirects", hints=hints)


def leaves_host(url: str, target: str) -> FetchError:
    """A page, which says what to trust, would come from another host than the one that was asked."""
    return FetchError(
        f"{redact(url)} leads to another host, {host_of(target)}",
        code="other-host",
        cause="pages that say which files are right are taken from the host that was asked only",
        hints=("where that is right, name it: --mirror FROM=TO",),
    )


def bad_redirect(url: str, target: str) -> FetchError:
    """A host sends us to where nothing may be fetched from."""
    return FetchError(
        f"{redact(url)} leads to {redact(target)!r}, which is not fetched",
        code="bad-redirect",
        cause="only https is, and plain http from trusted hosts and mirrors",
    )


def no_ranges(url: str) -> FetchError:
    """A part of a file was asked for, and the host cannot give parts."""
    hints = ("download the file and name its path",)
    return FetchError(f"{host_of(url)} cannot give a part of {redact(url)}", code="no-ranges", hints=hints)


def offline(url: str) -> FetchError:
    """The person said that there is no network."""
    hints = ("leave --offline out, or download what is needed first: pascal-install download",)
    return FetchError(f"{redact(url)} is needed, and --offline forbids to fetch it", code="offline", hints=hints)


def _is_rate_limit(headers: Mapping[str, str]) -> bool:
    """Tell GitHub's rate limits, which come as 403: REST API, "Exceeding the rate limit"."""
    return headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers


def _clock(wait_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time.time() + wait_s))


def retry_after(headers: Mapping[str, str]) -> float:
    """Read Retry-After, seconds or a date, else GitHub's X-RateLimit-Reset, a Unix time; 0 where there is neither."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if not text and reset.isascii() and reset.isdigit():
        return max(float(reset) - time.time(), 0.0)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return 0.0


def host_of(url: str) -> str:
    """Give the host that an address names, with its port; the whole address where it names none."""
    return urlsplit(url).netloc.rpartition("@")[2] or redact(url)


def _proxy_wants_credentials(shown: str, cause: str) -> FetchError:
    hints = ("put them into the address of the proxy: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",)
    return FetchError(
        f"the proxy wants a user name and a password for {shown}", code="auth-needed", cause=cause, hints=hints
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to its origin; urllib3 and requests hide it in `reason` and `args`."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "reason", None)
        inside = [inner, getattr(current, "original_error", None), *reversed(current.args), current.__cause__]
        current = next((part for part in inside if isinstance(part, BaseException)), current.__context__)


def _first(chain: tuple[BaseException, ...], *kinds: type[BaseException]) -> BaseException | None:
    return next((error for error in chain if isinstance(error, kinds)), None)


def _plain_cause(chain: tuple[BaseException, ...], fallback: BaseException) -> str:
    """Give the origin in its own words, where those hold no address."""
    origin = chain[-1]
    if isinstance(origin, ssl.SSLCertVerificationError):
        return origin.verify_message
    if isinstance(origin, OSError):
        return origin.strerror or str(origin)
    words = str(origin)
    return words if "://" not in words and "url:" not in words else type(fallback).__name__
