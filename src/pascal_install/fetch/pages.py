"""Pages: small documents, kept in the cache and asked for again only where they changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile

from pascal_install.value import NamedTuple


class Page(NamedTuple):
    """One document."""

    status: int
    url: str
    """Where it was found, after mirrors and redirects; relative links count from here."""
    content: bytes
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    from_cache: bool = False
    """The host said that nothing changed."""
    link: str = ""
    """The Link header: where the next page of a long answer is (RFC 8288)."""


class PageCache:
    """Documents by the place and the kind that was asked for. A broken or unwritable cache is no cache."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def load(self, place: str, accept: str) -> Page | None:
        """Give what was kept, or None."""
        if not self._folder:
            return None
        try:
            with open(self._path(place, accept), "rb") as file:
                fields = json.loads(file.readline())
                content = file.read()
            if hashlib.sha256(content).hexdigest() != fields.pop("sha256"):
                return None
            return Page(content=content, from_cache=True, **fields)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def store(self, place: str, accept: str, page: Page) -> None:
        """Keep a page that can be asked for conditionally."""
        if not self._folder or not (page.etag or page.last_modified):
            return
        fields = page._asdict()
        content = fields.pop("content")
        fields.update(url="")  # it may hold a signature, and is known again when the page is asked for
        del fields["from_cache"]
        fields["sha256"] = hashlib.sha256(content).hexdigest()
        path = self._path(place, accept)
        with contextlib.suppress(OSError):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(json.dumps(fields).encode() + b"\n" + content)
            os.replace(file.name, path)

    def _path(self, place: str, accept: str) -> str:
        return os.path.join(self._folder, hashlib.sha256(f"{accept}\n{place}".encode()).hexdigest())
