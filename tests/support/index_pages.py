"""Pages of a simple index, in HTML (PEP 503, 658) and JSON (PEP 691)."""

from __future__ import annotations

import html
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_JSON = "application/vnd.pypi.simple.v1+json"


class Link(NamedTuple):
    """One file of a project."""

    filename: str
    content: bytes | Path
    location: str
    """`HOST/PATH`."""
    is_absolute: bool
    hashed: bool
    has_metadata: bool
    requires_python: str


class Shown(NamedTuple):
    """One file as a page shows it."""

    filename: str
    url: str
    sha256: str
    metadata_sha256: str
    requires_python: str
    size_bytes: int


def project(name: str, links: Sequence[Shown], *, as_json: bool) -> tuple[bytes, str]:
    """Give the page of one project, and its content type."""
    if as_json:
        files = [_json_file(link) for link in links]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}).encode(), _JSON
    rows = [_html_link(link) for link in links]
    return _html(f"Links for {name}", rows)


def projects(names: Sequence[str], *, as_json: bool) -> tuple[bytes, str]:
    """Give the page that lists the projects, and its content type."""
    if as_json:
        listed = [{"name": name} for name in names]
        return json.dumps({"meta": {"api-version": "1.1"}, "projects": listed}).encode(), _JSON
    return _html("Simple index", [f'<a href="{name}/">{name}</a><br>' for name in names])


def metadata_in(content: bytes | Path) -> bytes:
    """Give the METADATA of a wheel."""
    with zipfile.ZipFile(content if isinstance(content, Path) else io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)


def _json_file(link: Shown) -> dict[str, object]:
    hashes = {"sha256": link.sha256} if link.sha256 else {}
    row: dict[str, object] = {"filename": link.filename, "url": link.url, "hashes": hashes, "size": link.size_bytes}
    if link.metadata_sha256:
        row["core-metadata"] = {"sha256": link.metadata_sha256}
    if link.requires_python:
        row["requires-python"] = link.requires_python
    return row


def _html_link(link: Shown) -> str:
    digest = f"#sha256={link.sha256}" if link.sha256 else ""
    attributes = ""
    if link.metadata_sha256:
        known = f"sha256={link.metadata_sha256}"
        attributes += f' data-dist-info-metadata="{known}" data-core-metadata="{known}"'
    if link.requires_python:
        attributes += f' data-requires-python="{html.escape(link.requires_python)}"'
    return f'<a href="{html.escape(link.url)}{digest}"{attributes}>{html.escape(link.filename)}</a><br>'


def _html(title: str, rows: Sequence[str]) -> tuple[bytes, str]:
    lines = ["<!DOCTYPE html>", f"<html><head><title>{title}</title></head><body>", *rows, "</body></html>", ""]
    return "\n".join(lines).encode(), "text/html"
