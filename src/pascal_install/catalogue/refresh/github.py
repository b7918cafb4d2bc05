"""The releases of a GitHub repository, over its REST API: pages linked by the Link header, assets with a digest.

https://docs.github.com/rest/releases/releases: 100 releases a page at most; an asset's `digest` is `sha256:...`, and
null for assets from before June 2025. Without a token 60 requests an hour are answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pascal_install.catalogue.refresh.upstream import Index, Offered, World, read_filename, variant_in
from pascal_install.errors import NetworkError
from pascal_install.fetch import FetchError, Page
from pascal_install.fetch.faults import no_index_page

_NEXT = re.compile(r'<([^>]+)>;[^,]*\brel="?next"?')
_MOST_PAGES = 50


def offered(index: Index, world: World) -> Iterator[Offered]:
    """Give each wheel among the assets of all releases that are out. Raises NetworkError."""
    url = f"{world.github_url.rstrip('/')}/repos/{index.repository}/releases?per_page=100"
    seen: set[str] = set()
    while url and url not in seen and len(seen) < _MOST_PAGES:
        seen.add(url)
        page = _get(url, world)
        for release in _releases(page):
            if not release.get("draft"):
                yield from _wheels(release, index.package)
        following = _NEXT.search(page.link)
        url = following[1] if following else ""


def _get(url: str, world: World) -> Page:
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if world.github_token:
        headers["Authorization"] = f"Bearer {world.github_token}"
    try:
        return world.fetcher.get(url, headers=headers, html=False, stays=True)
    except NetworkError as error:
        if error.code != "rate-limited" or world.github_token:
            raise
        raise FetchError(
            error.summary,
            code=error.code,
            cause=error.cause,
            hints=("with a token 5000 requests an hour are answered: set GITHUB_TOKEN or GH_TOKEN", *error.hints),
        ) from error


def _releases(page: Page) -> list[dict[str, Any]]:
    try:
        found = json.loads(page.content)
    except ValueError as error:
        raise no_index_page(page.url, "it is no JSON") from error
    if not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise no_index_page(page.url, "it is no list of releases")
    return found


def _wheels(release: dict[str, Any], package: str) -> Iterator[Offered]:
    for asset in release.get("assets") or ():
        filename = str(asset.get("name", ""))
        read = read_filename(filename, package)
        if read is None or asset.get("state", "uploaded") != "uploaded":
            continue
        version, tags = read
        digest = asset.get("digest") or ""
        size = asset.get("size")
        yield Offered(
            filename,
            str(asset["browser_download_url"]),
            version,
            tags,
            digest.removeprefix("sha256:") if digest.startswith("sha256:") else "",
            size if isinstance(size, int) else None,
            variant=variant_in(version),
            release_tag=str(release.get("tag_name", "")),
        )
