"""`file:` addresses, answered as a web server would: HEAD, Range, 404. A mirror may be a folder."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse


def path_of(url: str) -> str:
    """Give the path that a `file:` address names, made absolute and without `..`."""
    return os.path.abspath(url2pathname(urlsplit(url).path))


def is_inside(url: str, folder_url: str) -> bool:
    """Tell whether a `file:` address stays inside (or is) the place that another one names."""
    path, folder = path_of(url), path_of(folder_url)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class FileAdapter(BaseAdapter):
    """Serves files to a requests session."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the interface is requests' own
        timeout: Any = None,  # noqa: ARG002
        verify: Any = True,  # noqa: ARG002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Answer one request."""
        path = path_of(request.url or "")
        if os.path.isdir(path):
            path = os.path.join(path, "index.html")
        try:
            body: Any = open(path, "rb")  # noqa: SIM115 - the response closes it
        except OSError as error:
            missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
            return _response(request, 404 if missing else 403, error.strerror or "", {}, io.BytesIO())
        size = os.fstat(body.fileno()).st_size
        headers = {"Content-Length": str(size), "Accept-Ranges": "bytes"}
        if path.endswith(".html"):
            headers["Content-Type"] = "text/html"
        status, reason = 200, "OK"
        wanted = request.headers.get("Range", "")
        if wanted.startswith("bytes=") and wanted[6:].partition("-")[0].isdigit():
            first, last = _range(wanted, size)
            if first > last:
                body.close()
                return _response(
                    request, 416, "Range Not Satisfiable", {"Content-Range": f"bytes */{size}"}, io.BytesIO()
                )
            body.seek(first)
            if last < size - 1:
                with body:
                    body = io.BytesIO(body.read(last - first + 1))
            status, reason = 206, "Partial Content"
            headers |= {"Content-Length": str(last - first + 1), "Content-Range": f"bytes {first}-{last}/{size}"}
        return _response(request, status, reason, headers, body)

    def close(self) -> None:
        """Nothing is kept open."""


def _range(wanted: str, size: int) -> tuple[int, int]:
    first, _, last = wanted[6:].partition("-")
    return int(first), min(int(last), size - 1) if last.isdigit() else size - 1


def _response(
    request: requests.PreparedRequest, status: int, reason: str, headers: dict[str, str], body: io.IOBase
) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = status, reason
    response.url, response.request = request.url or "", request
    response.headers.update(headers)
    if request.method == "HEAD":
        body.close()
        body = io.BytesIO()
    response.raw = HTTPResponse(body=body, headers=headers, status=status, preload_content=False)
    return response
