"""What a check of the catalogue against the world found."""

from __future__ import annotations

from pascal_install.model.build import CONFIRMED
from pascal_install.model.cuda import CodeTarget
from pascal_install.value import NamedTuple


class CheckedRow(NamedTuple):
    """One row of the catalogue, held against the device code of its wheels."""

    name: str
    version: str
    platform: str
    """`linux x86_64`."""
    place: str
    """File and line."""
    verdict: str
    """`agrees`: every wheel that was read has what the row says. `differs`: all of them have something else. `mixed`:
    the wheels of one row differ from each other. `unread`: none could be read. `written`: the row was mended."""
    says: tuple[CodeTarget, ...]
    has: tuple[CodeTarget, ...]
    """What the wheels serve; of `mixed` ones, that of the first which is not what the row says."""
    read: tuple[str, ...]
    """The names of the wheels that were read."""
    unread: tuple[tuple[str, str], ...] = ()
    """Names of wheels that could not be read, and why."""

    @property
    def is_contradicted(self) -> bool:
        """Whether the row says something that its wheels do not."""
        return self.verdict in ("differs", "mixed")


class CheckedFile(NamedTuple):
    """One file of the catalogue, as its host speaks of it."""

    name: str
    version: str
    filename: str
    host: str
    """`PyPI` for files whose address comes from pip's settings."""
    url: str
    """Without secrets; empty for PyPI's."""
    state: str
    """`there`, `gone`, `other-size`, or `unasked` where its host gave no answer."""
    existence: str
    """What the catalogue says: see `model.build.EXISTENCE`."""
    why: str = ""

    @property
    def is_contradicted(self) -> bool:
        """Whether the catalogue believes in a file that is not there, or is another one."""
        return self.state == "other-size" or (self.state == "gone" and self.existence in CONFIRMED)


class CheckedPair(NamedTuple):
    """An extension beside a torch."""

    name: str
    version: str
    variant: str
    torch: str
    """Version without local part."""
    torch_variant: str
    place: str
    """File and line of the extension's row."""
    state: str
    """`loads`: its symbols resolve. `fails`: something stands in the way. `links-nothing`: no library of it links with
    torch. `unread`: a wheel of the two is not listed, or could not be asked for."""
    said: bool
    """Whether the catalogue says that the two go together."""
    why: tuple[str, ...] = ()

    @property
    def is_contradicted(self) -> bool:
        """Whether the catalogue says so of a pair that does not load."""
        return self.said and self.state == "fails"
