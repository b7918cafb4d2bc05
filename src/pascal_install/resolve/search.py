"""The search: torch is the pivot, since an extension is coupled to exactly one torch build."""

from __future__ import annotations

import itertools

from pascal_install.model.build import Build, Catalogue, Package, Release, Wheel
from pascal_install.model.coupling import is_exact, torch_matches
from pascal_install.model.cuda import variant_cuda
from pascal_install.model.plan import Pin, Plan, Rejection
from pascal_install.resolve.context import Context, make_context
from pascal_install.resolve.meaning import meanings, others_of
from pascal_install.resolve.notes import notes_for
from pascal_install.resolve.order import rank
from pascal_install.resolve.rules import RELEASE_RULES, choose_wheel, fits_torch, reject
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.request import Request
    from pascal_install.resolve.order import Picks, Rank

PIVOT = "torch"


class Candidate(NamedTuple):
    """One release with what the rules say of it: usable with `wheel`, or passed over for all of `rejections`."""

    release: Release
    wheel: Wheel | None
    rejections: tuple[Rejection, ...]


class Search(NamedTuple):
    """Everything that was considered, and the picks, which are empty where nothing serves."""

    context: Context
    asked: tuple[str, ...]
    """Names in the catalogue, in the order of asking."""
    candidates: dict[str, tuple[Candidate, ...]]
    picks: dict[str, Build]


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
    """Weigh every release of the packages involved, then find the best set of picks."""
    packages = context.catalogue.packages
    asked = tuple(dict.fromkeys(wanted.name for wanted in context.request.wanted if wanted.name in packages))
    involved = [packages[name] for name in asked]
    if PIVOT in packages and PIVOT not in asked and any(package.role == "torch-extension" for package in involved):
        involved.append(packages[PIVOT])
    candidates = {package.name: _weigh(package, context) for package in involved}
    torches: dict[str, list[Candidate]] = {}
    for torch in candidates.get(PIVOT, ()):
        torches.setdefault(torch.release.public_version, []).append(torch)
    candidates = {
        name: tuple(_coupled(candidate, torches) for candidate in of_name) for name, of_name in candidates.items()
    }
    best: tuple[Rank, Picks] | None = None
    for pivot, picks in _sets(asked, candidates) if asked else ():
        place = rank(picks, asked, pivot, context)
        if best is None or place > best[0]:
            best = (place, picks)
    return Search(context, asked, candidates, dict(best[1]) if best else {})


def _weigh(package: Package, context: Context) -> tuple[Candidate, ...]:
    """Ask every rule about every release, newest first."""
    weighed = []
    for release in package.releases:
        rejections = [found for rule in RELEASE_RULES if (found := rule(release, context)) is not None]
        choice = choose_wheel(release, context)
        if isinstance(choice, Rejection):
            weighed.append(Candidate(release, None, (*rejections, choice)))
        else:
            weighed.append(Candidate(release, choice, tuple(rejections)))
    return tuple(sorted(weighed, key=_newest_first))


def _newest_first(candidate: Candidate) -> tuple[int, list[int], tuple[int, ...], str, str]:
    release = candidate.release
    torch = [-int(part) for part in release.torch.split(".") if part.isdigit()]
    cuda = variant_cuda(release.variant) or (0, 0)
    return (-release.rank, torch, (-cuda[0], -cuda[1]), release.version, release.publisher)


def _coupled(candidate: Candidate, torches: Mapping[str, Sequence[Candidate]]) -> Candidate:
    """Pass over an extension whose torch build does not exist here or was passed over itself.

    `torches` are the torch candidates by version, without local version.
    """
    release = candidate.release
    if not release.torch:
        return candidate
    wanted = (release.torch, *release.torch_also)
    versions: Iterable[str] = wanted
    if not all(map(is_exact, wanted)):
        versions = (version for version in torches if any(torch_matches(one, version) for one in wanted))
    partners = [
        torch for version in versions for torch in torches.get(version, ()) if fits_torch(release, torch.release)
    ]
    if any(not torch.rejections for torch in partners):
        return candidate
    needed = f"torch {release.torch}{'+' if is_exact(release.torch) else ' with '}{release.variant}"
    # The partner that the fewest rules pass over tells most.
    nearest = min(partners, key=lambda torch: len(torch.rejections), default=None)
    because = nearest.rejections[0] if nearest else None
    found = f"{because.rule}: {because.why}" if because else "no such build is known"
    rejection = reject(release, "coupling", needed, found, release.source, because)
    return candidate._replace(rejections=(*candidate.rejections, rejection))


def _sets(asked: tuple[str, ...], candidates: dict[str, tuple[Candidate, ...]]) -> Iterator[tuple[Build | None, Picks]]:
    """Give every set that could be the best: for each usable torch build the newest fitting build of each package."""
    usable = {
        name: [Build(release, wheel) for release, wheel, rejections in of_name if wheel and not rejections]
        for name, of_name in candidates.items()
    }
    pivots: list[Build | None] = [*usable[PIVOT]] if PIVOT in usable else [None]
    for pivot in pivots:
        options = {name: [pivot] if name == PIVOT and pivot else _newest(usable[name], pivot) for name in asked}
        for picks in _combinations(options):
            yield pivot, picks if pivot is None else {**picks, PIVOT: pivot}


def _newest(builds: list[Build], pivot: Build | None) -> list[Build]:
    """Give the builds of the newest version that fits a torch build; `builds` are newest first."""
    found: list[Build] = []
    for build in builds:
        if found and build.release.rank != found[0].release.rank:
            break
        if pivot is None or fits_torch(build.release, pivot.release):
            found.append(build)
    return found


def _combinations(options: dict[str, list[Build]]) -> Iterator[dict[str, Build]]:
    """Join one build of each name; several of one version differ only in their CUDA variant."""
    for combination in itertools.product(*options.values()):
        yield dict(zip(options, combination, strict=True))


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
    return tuple(
        candidate.rejections[0]
        for name, of_name in found.candidates.items()
        for candidate in of_name
        if candidate.rejections and candidate.release.rank >= found.picks[name].release.rank
    )
