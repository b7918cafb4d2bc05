"""Where an index keeps a file whose name and hash are known."""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.errors import NetworkError, VerificationError
from pascal_install.fetch import Fetcher, faults
from pascal_install.fetch.index_page import list_files, project_page
from pascal_install.model.address import redact
from pascal_install.model.build import Wheel


def find_on_indexes(fetcher: Fetcher, name: str, wheel: Wheel, index_urls: Sequence[str]) -> str:
    """Find the address of a wheel on the first index that holds it.

    Raises NetworkError where no index does, with what each of them said, and VerificationError where the one that does
    announces another hash than the recorded one.
    """
    said = []
    for index_url in index_urls:
        page_url = project_page(index_url, name)
        try:
            files = list_files(fetcher, index_url, name)
        except NetworkError as error:
            said.append(f"{error.summary}{f' ({error.cause})' if error.cause else ''}")
            if error.code not in ("not-found", "forbidden"):
                raise
            continue
        for listed in files:
            if listed.filename != wheel.filename:
                continue
            if listed.sha256 and wheel.sha256 and listed.sha256 != wheel.sha256:
                raise VerificationError(
                    f"{wheel.filename} on {redact(index_url)} is not the file that is recorded",
                    code="hash-mismatch",
                    cause=f"recorded sha256 {wheel.sha256}, announced {listed.sha256}",
                )
            return listed.url
        said.append(f"{redact(page_url)} lists no {wheel.filename}")
    raise NetworkError(
        f"no index holds {wheel.filename}",
        code="not-on-index",
        cause="\n".join(said),
        hints=("check PIP_INDEX_URL; a mirror may not hold old or large files",),
    )


def check_pages(fetcher: Fetcher, index_urls: Sequence[str], name: str) -> None:
    """Raise NetworkError where an index failed to tell of a project, or where none has it.

    pip says "no matching distribution" to every fault of an index; this finds out which one it was.
    """
    said = []
    for index_url in index_urls:
        try:
            found = list_files(fetcher, index_url, name)
        except NetworkError as error:
            if error.code != "not-found":
                raise
            said.append(f"{redact(project_page(index_url, name))}: {error.cause}")
            continue
        if not found:
            raise faults.no_index_page(project_page(index_url, name), "it lists no file")
        return
    if said:
        raise NetworkError(
            f"no index has a project {name}",
            code="not-found",
            cause="\n".join(said),
            hints=("check the name, and that PIP_INDEX_URL names an index that has it",),
        )
