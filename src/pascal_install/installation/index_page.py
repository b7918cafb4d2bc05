"""Where an index keeps a file whose name and hash are known: its page of the project, HTML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from pascal_install.errors import NetworkError, VerificationError
from pascal_install.fetch import Fetcher, Page
from pascal_install.model.address import redact
from pascal_install.model.build import Wheel

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


def find_on_indexes(fetcher: Fetcher, name: str, wheel: Wheel, index_urls: Sequence[str]) -> str:
    """Find the address of a wheel on the first index that holds it.

    Raises NetworkError where no index does, with what each of them said, and VerificationError where the one that does
    announces another hash than the recorded one.
    """
    said = []
    for index_url in index_urls:
        page_url = f"{index_url.rstrip('/')}/{name}/"
        try:
            page = fetcher.get(page_url, headers={"Accept": _ACCEPT})
        except NetworkError as error:
            said.append(f"{error.summary}{f' ({error.cause})' if error.cause else ''}")
            if error.code not in ("not-found", "forbidden"):
                raise
            continue
        for filename, url, sha256 in _files(page):
            if filename != wheel.filename:
                continue
            if sha256 and wheel.sha256 and sha256 != wheel.sha256:
                raise VerificationError(
                    f"{wheel.filename} on {redact(index_url)} is not the file that is recorded",
                    code="hash-mismatch",
                    cause=f"recorded sha256 {wheel.sha256}, announced {sha256}",
                )
            return url
        said.append(f"{redact(page_url)} lists no {wheel.filename}")
    raise NetworkError(
        f"no index holds {wheel.filename}",
        code="not-on-index",
        cause="\n".join(said),
        hints=("check PIP_INDEX_URL; a mirror may not hold old or large files",),
    )


def list_files(fetcher: Fetcher, index_url: str, name: str) -> list[tuple[str, str, str]]:
    """Give file name, address and SHA-256 (or nothing) of each file of a project, by its normalised name.

    Raises NetworkError; a project that is not there has the code `not-found`.
    """
    page_url = f"{index_url.rstrip('/')}/{name}/"
    page = fetcher.get(page_url, headers={"Accept": _ACCEPT})
    try:
        return list(_files(page))
    except (ValueError, KeyError) as error:
        raise _no_index_page(page_url) from error


def check_page(fetcher: Fetcher, index_url: str, name: str) -> bool:
    """Tell whether an index has a page of a project. Raises NetworkError where that cannot be found out.

    pip says "no matching distribution" to every fault of an index; this finds out which one it was.
    """
    try:
        found = list_files(fetcher, index_url, name)
    except NetworkError as error:
        if error.code == "not-found":
            return False
        raise
    if not found:
        raise _no_index_page(f"{index_url.rstrip('/')}/{name}/")
    return True


def _no_index_page(page_url: str) -> NetworkError:
    return NetworkError(
        f"{redact(page_url)} is no page of a package index",
        code="login-page",
        cause="it lists no file; that is what a login page of a network or a filtering proxy looks like",
        hints=("open the address in a browser on this network, and log in there or ask for access",),
    )


def _files(page: Page) -> Iterator[tuple[str, str, str]]:
    """Give file name, address and SHA-256 (or nothing) of each file that a page lists."""
    if page.content_type.partition(";")[0].strip() == _JSON:
        for entry in json.loads(page.content)["files"]:
            yield entry["filename"], urljoin(page.url, entry["url"]), entry.get("hashes", {}).get("sha256", "")
        return
    reader = _Links()
    reader.feed(page.content.decode("utf-8", "replace"))
    for link in reader.links:
        url, fragment = urldefrag(urljoin(reader.base or page.url, link))
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        yield unquote(urlsplit(url).path.rpartition("/")[2]), url, sha256


class _Links(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the address of a link, and the base that relative ones count from."""
        address = dict(attrs).get("href")
        if address and tag == "a":
            self.links.append(address)
        elif address and tag == "base":
            self.base = address
