"""A package index with pages in HTML (PEP 503) or JSON (PEP 691): PyTorch's, llama-cpp-python's, the community's.

PyTorch's index has a page for each CUDA variant, `whl/cu126/torch/`; newer files lie on a second host; for a page that
does not exist, its object store answers 403.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urljoin, urlsplit

from pascal_install.catalogue.refresh.upstream import Index, Offered, World, read_filename, variant_in
from pascal_install.errors import NetworkError
from pascal_install.fetch.index_page import ACCEPT, Listed, listed_files
from pascal_install.model.address import Mirror, original


def offered(index: Index, world: World) -> Iterator[Offered]:
    """Give each wheel that the index lists. Raises NetworkError.

    A page of a variant without recorded builds may be missing: most variants have none of most packages.
    """
    for label in index.variants or ("",):
        url = index.page.replace("{variant}", label).replace("{name}", index.package)
        try:
            page = world.fetcher.get(url, headers={"Accept": ACCEPT}, stays=True)
        except NetworkError as error:
            if error.code in ("not-found", "forbidden") and label and label not in index.recorded_variants:
                continue
            raise
        for listed in listed_files(page):
            one = as_offered(listed, index.package, label)
            if one is not None:
                yield one._replace(url=_recorded(one.url, url, page.url, world.mirrors))


def _recorded(file: str, asked: str, page: str, mirrors: Sequence[Mirror]) -> str:
    """Give the address that a file is recorded with, without mirrors.

    A mirror that passes pages on as they are has links that count from the root of the host it stands for.
    """
    address = original(file, mirrors)
    is_passed_on = address == file and page != asked and urlsplit(file).netloc == urlsplit(page).netloc
    return urljoin(asked, urlsplit(file).path) if is_passed_on else address


def as_offered(listed: Listed, package: str, label: str = "") -> Offered | None:
    """Read a listed file; None for what is no wheel of the package. The name's variant goes before the page's."""
    read = read_filename(listed.filename, package)
    if read is None:
        return None
    version, tags = read
    in_name = variant_in(version)
    return Offered(
        listed.filename,
        listed.url,
        version,
        tags,
        listed.sha256,
        listed.size_bytes,
        listed.yanked,
        variant=in_name or label,
    )
