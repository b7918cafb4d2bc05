"""The page of a project on a package index: HTML (PEP 503, 592, 658, 714) or JSON (PEP 691, 700)."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from pascal_install.fetch import faults
from pascal_install.fetch.fetcher import Fetcher
from pascal_install.fetch.pages import Page
from pascal_install.value import NamedTuple

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class Listed(NamedTuple):
    """One file that a page lists."""

    filename: str
    url: str
    """Absolute, without fragment."""
    sha256: str = ""
    """Lower-case hex; empty where the page has none."""
    metadata_sha256: str = ""
    """Of the METADATA that lies beside the file, at its address + `.metadata`; empty where there is none."""
    size_bytes: int | None = None
    yanked: bool = False


def listed_files(page: Page) -> tuple[Listed, ...]:
    """Give each file that a page lists, in its order.

    Raises FetchError (`login-page`, `cut-off`) for what is no page of an index, or half of one.
    """
    kind = page.content_type.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return _from_json(page)
    if kind in ("text/html", "application/xhtml+xml", "application/vnd.pypi.simple.v1+html", ""):
        return _from_html(page)
    raise faults.no_index_page(page.url, f"it came as {kind or 'nothing'}")


def _from_json(page: Page) -> tuple[Listed, ...]:
    try:
        return tuple(_entry(entry, page.url) for entry in json.loads(page.content)["files"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise faults.no_index_page(page.url, f"{type(error).__name__}: {error}") from error


def _entry(entry: dict[str, Any], base: str) -> Listed:
    size = entry.get("size")
    return Listed(
        str(entry["filename"]),
        urldefrag(urljoin(base, entry["url"])).url,
        str(entry["hashes"].get("sha256", "")),
        _metadata_hash(entry.get("core-metadata", entry.get("dist-info-metadata"))),
        size if isinstance(size, int) else None,
        bool(entry.get("yanked", False)),
    )


def _metadata_hash(known: object) -> str:
    return str(known.get("sha256", "")) if isinstance(known, dict) else ""


def _from_html(page: Page) -> tuple[Listed, ...]:
    text = page.content.decode("utf-8", "replace")
    lower = text.lower()
    if "<html" in lower and "</html>" not in lower:
        raise faults.cut_off(page.url)
    reader = _Links()
    reader.feed(text)
    if "<form" in lower and not reader.links:
        raise faults.no_index_page(page.url, "it holds a form, and no links")
    return tuple(_link(attributes, reader.base or page.url) for attributes in reader.links)


def _link(attributes: dict[str, str], base: str) -> Listed:
    url, fragment = urldefrag(urljoin(base, attributes["href"]))
    algorithm, _, digest = fragment.partition("&")[0].partition("=")
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    return Listed(
        unquote(urlsplit(url).path.rpartition("/")[2]),
        url,
        digest if algorithm == "sha256" else "",
        metadata.removeprefix("sha256=") if metadata.startswith("sha256=") else "",
        None,
        "data-yanked" in attributes,
    )


class _Links(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[dict[str, str]] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the attributes of a link, and the base that relative ones count from."""
        attributes = {name: value or "" for name, value in attrs}
        if attributes.get("href") and tag == "a":
            self.links.append(attributes)
        elif attributes.get("href") and tag == "base":
            self.base = attributes["href"]


def project_page(index_url: str, name: str) -> str:
    """Give the address of a project's page on an index."""
    return f"{index_url.rstrip('/')}/{name}/"


def list_files(fetcher: Fetcher, index_url: str, name: str, *, stays: bool = False) -> tuple[Listed, ...]:
    """Give each file of a project, by its normalised name; `stays`: see `Fetcher.get`.

    Raises NetworkError; a project that is not there has the code `not-found`.
    """
    return listed_files(fetcher.get(project_page(index_url, name), headers={"Accept": ACCEPT}, stays=stays))
