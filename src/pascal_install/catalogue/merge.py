"""A person's own catalogue laid over ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pascal_install.catalogue.ranking import newest_first
from pascal_install.errors import DataError
from pascal_install.model.build import Catalogue, CudaTables, Package

T = TypeVar("T")


def merge(below: Catalogue, above: Catalogue) -> Catalogue:
    """Let rows of `above` replace those of `below` that describe the same thing, and add the others."""
    packages = dict(below.packages)
    for name, package in above.packages.items():
        packages[name] = _package(packages[name], package) if name in packages else package
    tables = CudaTables(
        variants=_over(below.tables.variants, above.tables.variants, lambda facts: facts.label),
        driver_branches=tuple(
            sorted({**dict(below.tables.driver_branches), **dict(above.tables.driver_branches)}.items())
        ),
        generations=_over(below.tables.generations, above.tables.generations, lambda generation: generation.name),
        advice=_over(below.tables.advice, above.tables.advice, lambda advice: advice.id),
    )
    return Catalogue(packages, tables, max(below.data_date, above.data_date), ())


def check_hashes(below: Catalogue, above: Catalogue, origin: str) -> None:
    """Raise DataError where a plugin gives another hash than is recorded, or none: a hash is never weakened."""
    for name, package in above.packages.items():
        known = {
            (release.publisher, wheel.url or wheel.filename): wheel.sha256
            for release in (below.packages[name].releases if name in below.packages else ())
            for wheel in release.wheels
            if wheel.sha256
        }
        for release in package.releases:
            for wheel in release.wheels:
                recorded = known.get((release.publisher, wheel.url or wheel.filename), wheel.sha256)
                if wheel.sha256 != recorded:
                    raise DataError(
                        f"the {origin} gives another hash for {wheel.filename} than is recorded",
                        code="weakened-hash",
                        cause=f"recorded sha256 {recorded}, the plugin says {wheel.sha256 or 'nothing'}",
                        hints=("uninstall the plugin, and tell its authors",),
                    )


def _package(below: Package, above: Package) -> Package:
    releases = _over(below.releases, above.releases, lambda release: release.identity)
    return above._replace(
        releases=newest_first(releases),
        never_from_pypi=above.never_from_pypi or below.never_from_pypi,
        uses=above.uses or below.uses,
        one_of=above.one_of or below.one_of,
        checked=max(above.checked, below.checked),
    )


def _over(below: Iterable[T], above: Iterable[T], key: Callable[[T], object]) -> tuple[T, ...]:
    return tuple({**{key(row): row for row in below}, **{key(row): row for row in above}}.values())
