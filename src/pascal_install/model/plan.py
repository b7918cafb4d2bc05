"""The answer: exact pins, and why."""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pascal_install.model.build import Build
    from pascal_install.model.cuda import ComputeCapability, Coverage
    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.request import Request


class Rejection(NamedTuple):
    """Why one candidate was passed over: a rule's name and the facts behind it."""

    name: str
    version: str
    rule: str
    needed: str
    found: str
    source: str = ""
    filename: str = ""
    publisher: str = ""
    because: Rejection | None = None
    """For a coupling: why the torch build behind it was passed over."""

    @property
    def why(self) -> str:
        """The reason in one sentence part."""
        return f"needs {self.needed}, found {self.found}"


class Pin(NamedTuple):
    """One package of the plan, fixed to one wheel."""

    build: Build
    coverage: tuple[tuple[ComputeCapability, Coverage], ...]
    evidence: tuple[str, ...]


class Problem(NamedTuple):
    """Why there is no plan."""

    rule: str
    why: str
    suggest: tuple[str, ...]


class Plan(NamedTuple):
    """The answer of `resolve`. Without pins it has a `problem`, and the other way round."""

    request: Request
    host: HostFacts
    target: Target
    pins: tuple[Pin, ...]
    notes: tuple[str, ...]
    rejected: tuple[Rejection, ...]
    problem: Problem | None = None
    others: tuple[str, ...] = ()
    """Requirements that the catalogue does not know: they are left to pip and the person's own index settings."""
    is_complete: bool = False
    """True for what a lock says: nothing is added to it."""

    def pin(self, name: str) -> Pin | None:
        """Find the pin of a package, by normalised name."""
        return next((pin for pin in self.pins if pin.build.release.name == name), None)
