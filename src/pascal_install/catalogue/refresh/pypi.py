"""PyPI, over its JSON pages (PEP 691, 700). Its address is pip's business; files are recorded without one."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.catalogue.refresh.simple import as_offered
from pascal_install.catalogue.refresh.upstream import Index, Offered, World
from pascal_install.errors import UsageError
from pascal_install.fetch.index_page import list_files


def offered(index: Index, world: World) -> Iterator[Offered]:
    """Give each wheel of the package that PyPI lists. Raises NetworkError."""
    if not world.pypi_url:
        raise UsageError(
            "pip's settings forbid every index", code="no-index", hints=("unset PIP_NO_INDEX, or leave PyPI out",)
        )
    for listed in list_files(world.fetcher, world.pypi_url, index.package, stays=True):
        one = as_offered(listed, index.package)
        if one is not None:
            yield one
