"""The search: torch is the pivot, since an extension is coupled to exactly one torch build."""

from __future__ import annotations

import itertools

from pascal_install.model.build import Build, Catalogue, Release
from pascal_install.model.plan import Pin, Plan, Rejection
from pascal_install.resolve.context import Context, make_context
from pascal_install.resolve.meaning import meanings, others_of
from pascal_install.resolve.notes import notes_for
from pascal_install.resolve.order import rank
from pascal_install.resolve.weigh import PIVOT, Candidate, Weighing
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.request import Request
    from pascal_install.resolve.order import Picks, Rank


class Search(NamedTuple):
    """What was considered, and the picks, which are empty where nothing serves."""

    context: Context
    asked: tuple[str, ...]
    """Names in the catalogue, in the order of asking."""
    involved: tuple[str, ...]
    """The same, and torch where one of them is coupled to it."""
    weighing: Weighing
    picks: dict[str, Build]

    @property
    def candidates(self) -> dict[str, tuple[Candidate, ...]]:
        """Every release of each package involved, weighed by every rule."""
        return {name: self.weighing.candidates(name) for name in self.involved}


def names_needed(request: Request) -> tuple[str, ...]:
    """Name the packages whose data a resolution may need: what was asked for, and torch."""
    return tuple(dict.fromkeys([*(wanted.name for wanted in request.wanted), PIVOT]))


def resolve(request: Request, host: HostFacts, target: Target, catalogue: Catalogue) -> Plan:
    """Choose the wheels. The same facts give the same plan, in whatever order the catalogue lists them.

    Raises UsageError where a requirement cannot be read. No plan is an answer too: see `Plan.problem`.
    """
    found = search_meant(request, host, target, catalogue)
    host = found.context.host
    others = tuple(wanted.text or wanted.name for wanted in others_of(request, catalogue))
    if not found.picks:
        from pascal_install.resolve.explain import problem_of

        return Plan(request, host, target, (), (), all_rejections(found), problem_of(found, request), others)
    pins = tuple(_pin(found.picks[name], found.context) for name in pin_order(found))
    return Plan(request, host, target, pins, notes_for(pins, found.context, request), _passed_over(found), None, others)


def search_meant(request: Request, host: HostFacts, target: Target, catalogue: Catalogue) -> Search:
    """Search with each meaning of the request in turn until one is met; else give the last, which reaches furthest."""
    found = None
    for meant in meanings(request, catalogue):
        found = search(make_context(meant, host, target, catalogue))
        if found.picks:
            break
    return found or search(make_context(request, host, target, catalogue))


def search(context: Context) -> Search:
    """Find the best set of picks."""
    packages = context.catalogue.packages
    asked = tuple(dict.fromkeys(wanted.name for wanted in context.request.wanted if wanted.name in packages))
    is_coupled = any(packages[name].role == "torch-extension" for name in asked)
    has_pivot = PIVOT in packages and (PIVOT in asked or is_coupled)
    involved = (*asked, PIVOT) if has_pivot and PIVOT not in asked else asked
    weighing = Weighing(context)
    return Search(context, asked, involved, weighing, _best(asked, weighing, context, has_pivot=has_pivot))


def _best(asked: tuple[str, ...], weighing: Weighing, context: Context, *, has_pivot: bool) -> dict[str, Build]:
    """Find the picks that rank highest. The first name's version ranks before all else: the newest that has any."""
    for group in weighing.versions(asked[0]) if asked else ():
        best: tuple[Rank, Picks] | None = None
        for pivot, picks in _sets(group, asked, weighing, has_pivot=has_pivot):
            place = rank(picks, asked, pivot, context)
            if best is None or place > best[0]:
                best = (place, picks)
        if best:
            return dict(best[1])
    return {}


def _sets(
    leaders: list[Release], asked: tuple[str, ...], weighing: Weighing, *, has_pivot: bool
) -> Iterator[tuple[Build | None, Picks]]:
    """Give every set that could be the best: a leader, a torch that it runs with, the newest of the rest that fit."""
    for leader in weighing.usable(leaders):
        pivots: list[Build | None] = [None]
        if has_pivot:
            pivots = [leader] if asked[0] == PIVOT else [*weighing.torches_for(leader.release)]
        for pivot in pivots:
            options = {name: [pivot] if name == PIVOT and pivot else weighing.newest(name, pivot) for name in asked[1:]}
            for combination in itertools.product([leader], *options.values()):
                picks = dict(zip(asked, combination, strict=True))
                yield pivot, picks if pivot is None else {**picks, PIVOT: pivot}


def pin_order(found: Search) -> list[str]:
    """Order the pins: torch first, then as asked."""
    return sorted(found.picks, key=lambda name: (name != PIVOT, found.asked.index(name) if name in found.asked else 0))


def _pin(build: Build, context: Context) -> Pin:
    release, wheel = build
    evidence = [f"architectures ({release.confidence}): {release.source}"]
    evidence.append(f"wheel ({wheel.existence}): {wheel.source or release.source}")
    coverages = tuple(zip(context.capabilities, context.coverage_of(release.architectures), strict=True))
    return Pin(build, coverages, tuple(evidence))


def all_rejections(found: Search) -> tuple[Rejection, ...]:
    """List every rejection, newest release first, package by package."""
    return tuple(
        rejection
        for of_name in found.candidates.values()
        for candidate in of_name
        for rejection in candidate.rejections
    )


def _passed_over(found: Search) -> tuple[Rejection, ...]:
    """List why each release was passed over that would have been taken before the picks."""
    weighing = found.weighing
    return tuple(
        obstacle
        for name in found.involved
        for release in weighing.newer(name, found.picks[name].release.rank)
        if (obstacle := weighing.obstacle(release)) is not None
    )
