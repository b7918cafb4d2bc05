"""What a refresh of the catalogue found."""

from __future__ import annotations

from pascal_install.errors import NetworkError
from pascal_install.value import NamedTuple

#: Kinds of a change, in the order in which they are shown. `alarm`: the recorded file is another one than the listed.
#: `skipped`: listed, and not taken over; `what` says why.
KINDS = ("alarm", "new", "changed", "gone", "skipped")


class Change(NamedTuple):
    """One difference between what is recorded and what an upstream lists."""

    kind: str
    publisher: str
    """The id of the `[[index]]`."""
    version: str
    variant: str
    platform: str
    """`linux x86_64`."""
    filenames: tuple[str, ...]
    what: str


class Asked(NamedTuple):
    """One index that was asked."""

    id: str
    upstream: str
    wheels: int
    """How many wheels of the package it lists."""


class Failed(NamedTuple):
    """One index that could not be read; what is recorded of it stays as it is."""

    id: str
    upstream: str
    error: NetworkError
    host: str
    """The host that the index's pages lie on."""


class Refreshed(NamedTuple):
    """One package, held against its upstreams."""

    name: str
    asked: tuple[Asked, ...]
    changes: tuple[Change, ...]
    path: str = ""
    """The file that the result goes to; empty where nothing is to be written."""
    failed: tuple[Failed, ...] = ()

    def of_kind(self, kind: str) -> tuple[Change, ...]:
        """Give the changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)
