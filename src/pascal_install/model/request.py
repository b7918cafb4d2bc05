"""What was asked for."""

from __future__ import annotations

from pascal_install.value import NamedTuple


class Wanted(NamedTuple):
    """One requested package: `exllamav2==0.2.9` is name `exllamav2`, specifier `==0.2.9`."""

    name: str
    """Normalised (PEP 503)."""
    specifier: str = ""
    text: str = ""
    """As it was written."""


class Request(NamedTuple):
    """Everything that decides an answer, beside the machine, the target and the catalogue."""

    wanted: tuple[Wanted, ...]
    torch_source: str = "pytorch"
    """`pytorch`, `pypi` or `auto`."""
    allow_unconfirmed: bool = False
    unpublished: frozenset[str] = frozenset()
    """Addresses that their host says do not exist."""
    stale_before: str = ""
    """ISO date: facts that were last checked before it are old, and the plan says so. Empty: nothing is."""
