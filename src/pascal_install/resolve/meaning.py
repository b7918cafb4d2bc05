"""What a request means: names that stand for others are replaced by them."""

from __future__ import annotations

from pascal_install.model.request import Request, Wanted
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pascal_install.model.build import Catalogue


def meanings(request: Request, catalogue: Catalogue, passed: frozenset[str] = frozenset()) -> Iterator[Request]:
    """Give what a request may mean, the most wanted first.

    A `python` package is what it uses; a `choice` is one of its distributions, with the versions that were asked for,
    the same one wherever it is named. `passed` are the names that were replaced on the way here.
    """
    packages = catalogue.packages
    used = tuple(one for wanted in request.wanted for one in _used(wanted, catalogue, passed))
    request = request._replace(wanted=used)
    name = next((wanted.name for wanted in used if wanted.name in packages and packages[wanted.name].one_of), "")
    if not name:
        yield request
        return
    for option in packages[name].one_of:
        if option not in passed and option != name:
            replaced = tuple(
                Wanted(option, wanted.specifier, option + wanted.specifier) if wanted.name == name else wanted
                for wanted in used
            )
            yield from meanings(request._replace(wanted=replaced), catalogue, passed | {name})


def _used(wanted: Wanted, catalogue: Catalogue, passed: frozenset[str]) -> Iterator[Wanted]:
    """Give what a pure Python package uses, and what that uses; any other package itself."""
    package = catalogue.packages.get(wanted.name)
    if package is None or not package.uses:
        yield wanted
        return
    for one in package.uses:
        if one.name not in passed and one.name != wanted.name:
            yield from _used(one, catalogue, passed | {wanted.name})


def others_of(request: Request, catalogue: Catalogue) -> tuple[Wanted, ...]:
    """Name what is left to pip: what the catalogue does not know, and pure Python packages themselves."""
    found: dict[str, Wanted] = {}
    waiting = list(request.wanted)
    for wanted in waiting:  # grows on the way
        package = catalogue.packages.get(wanted.name)
        if wanted.name not in found and (package is None or package.uses):
            found[wanted.name] = wanted
            waiting += package.uses if package else ()
    return tuple(found.values())
