"""PyPI, over its JSON pages (PEP 691, 700). Its address is pip's business; files are recorded without one."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.catalogue.refresh.simple import as_offered
from pascal_install.catalogue.refresh.upstream import Index, Offered, World
from pascal_install.errors import NetworkError, UsageError
from pascal_install.fetch.index_page import ACCEPT, listed_files, project_page


def offered(index: Index, world: World) -> Iterator[Offered]:
    """Give each wheel of the package on the first index that has a page of it. Raises NetworkError."""
    if not world.pypi_urls:
        raise UsageError(
            "pip's settings forbid every index", code="no-index", hints=("unset PIP_NO_INDEX, or leave PyPI out",)
        )
    for place, url in enumerate(world.pypi_urls):
        try:
            page = world.fetcher.get(project_page(url, index.package), headers={"Accept": ACCEPT}, stays=True)
        except NetworkError as error:
            if error.code == "not-found" and place + 1 < len(world.pypi_urls):
                continue
            raise
        for listed in listed_files(page):
            one = as_offered(listed, index.package)
            if one is not None:
                yield one
        return
