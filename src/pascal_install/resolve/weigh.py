"""Weighing: what the rules say of a release. Each is asked about once, and none that the answer does not need."""

from __future__ import annotations

from pascal_install.model.build import Build
from pascal_install.model.coupling import UNKNOWN, is_exact, torch_matches
from pascal_install.model.cuda import variant_cuda
from pascal_install.model.plan import Rejection
from pascal_install.resolve.rules import RELEASE_RULES, choose_wheel, fits_torch, reject
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pascal_install.model.build import Release, Wheel
    from pascal_install.resolve.context import Context

PIVOT = "torch"


class Candidate(NamedTuple):
    """One release with what the rules say of it: usable with `wheel`, or passed over for all of `rejections`."""

    release: Release
    wheel: Wheel | None
    rejections: tuple[Rejection, ...]


class Weighing:
    """The releases of one resolution, weighed when they are asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_rank: dict[str, list[Release]] = {}
        self._torches: dict[str, list[Release]] = {}
        # By the identity of a release: the context keeps them all alive, and hashing one costs more than a rule.
        self._alone: dict[int, Build | Rejection] = {}
        self._all: dict[str, tuple[Candidate, ...]] = {}

    def versions(self, name: str) -> Iterator[list[Release]]:
        """Give the releases of a package version by version, newest first."""
        group: list[Release] = []
        for release in self._newest_first(name):
            if group and release.rank != group[0].rank:
                yield group
                group = []
            group.append(release)
        if group:
            yield group

    def newer(self, name: str, rank: int) -> list[Release]:
        """Give the releases of a package of this rank and above, in their order."""
        return sorted((one for one in self._newest_first(name) if one.rank >= rank), key=_place)

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        """Weigh every release of a package by every rule, in their order."""
        if name not in self._all:
            ordered = sorted(self._newest_first(name), key=_place)
            self._all[name] = tuple(self._candidate(release) for release in ordered)
        return self._all[name]

    def obstacle(self, release: Release) -> Rejection | None:
        """Give the first reason to pass over a release, if there is one."""
        found = self._weigh(release)
        return found if isinstance(found, Rejection) else self._coupling(release)

    def usable(self, releases: list[Release]) -> list[Build]:
        """Give the builds of those releases that nothing speaks against."""
        weighed = [self._weigh(release) for release in releases]
        builds = [found for found in weighed if isinstance(found, Build)]
        return [build for build in builds if self._coupling(build.release) is None]

    def newest(self, name: str, pivot: Build | None) -> list[Build]:
        """Give the builds of the newest version that fits a torch build; several differ only in their CUDA variant."""
        for group in self.versions(name):
            fitting = group if pivot is None else [one for one in group if fits_torch(one, pivot.release)]
            builds = self.usable(fitting)
            if builds:
                return builds
        return []

    def torches_for(self, release: Release) -> list[Build]:
        """Give the usable torch builds that an extension runs with; all of them for what is not coupled to torch."""
        found = [self._weigh(torch) for torch in self._partners(release)]
        return [build for build in found if isinstance(build, Build)]

    def _newest_first(self, name: str) -> list[Release]:
        if name not in self._by_rank:
            self._by_rank[name] = sorted(self._context.catalogue.packages[name].releases, key=lambda one: -one.rank)
        return self._by_rank[name]

    def _weigh(self, release: Release) -> Build | Rejection:
        """Ask the rules, the torch behind an extension aside: its build, or the first rejection."""
        found = self._alone.get(id(release))
        if found is None:
            first = next((no for rule in RELEASE_RULES if (no := rule(release, self._context)) is not None), None)
            chosen = first or choose_wheel(release, self._context)
            found = chosen if isinstance(chosen, Rejection) else Build(release, chosen)
            self._alone[id(release)] = found
        return found

    def _candidate(self, release: Release) -> Candidate:
        rejections = [no for rule in RELEASE_RULES if (no := rule(release, self._context)) is not None]
        chosen = choose_wheel(release, self._context)
        wheel = None if isinstance(chosen, Rejection) else chosen
        more = (chosen if isinstance(chosen, Rejection) else None, self._coupling(release))
        return Candidate(release, wheel, (*rejections, *(no for no in more if no is not None)))

    def _coupling(self, release: Release) -> Rejection | None:
        """Pass over an extension whose torch build does not exist here or was passed over itself."""
        if not release.torch:
            return None
        if release.torch == UNKNOWN:
            return reject(
                release, "coupling", "the torch that it runs with", "unknown: a person has to say it", release.source
            )
        partners = self._partners(release)
        if any(isinstance(self._weigh(torch), Build) for torch in partners):
            return None
        needed = f"torch {release.torch}{'+' if is_exact(release.torch) else ' with '}{release.variant}"
        # The partner that the fewest rules pass over tells most.
        weighed = [self._candidate(torch).rejections for torch in sorted(partners, key=_place)]
        because = min(weighed, key=len)[0] if weighed else None
        found = f"{because.rule}: {because.why}" if because else "no such build is known"
        return reject(release, "coupling", needed, found, release.source, because)

    def _partners(self, release: Release) -> list[Release]:
        """Give the torch releases that an extension runs with, by `rules.fits_torch`."""
        if not self._torches and PIVOT in self._context.catalogue.packages:
            for torch in self._newest_first(PIVOT):
                self._torches.setdefault(torch.public_version, []).append(torch)
        wanted = (release.torch, *release.torch_also)
        if all(map(is_exact, wanted)) and release.torch:
            versions = list(wanted)
        else:
            versions = [one for one in self._torches if any(not text or torch_matches(text, one) for text in wanted)]
        return [one for version in versions for one in self._torches.get(version, ()) if fits_torch(release, one)]


def _place(release: Release) -> tuple[int, list[int], tuple[int, ...], str, str]:
    """Order releases: the newest first, then the newest torch and CUDA."""
    torch = [-int(part) for part in release.torch.split(".") if part.isdigit()]
    cuda = variant_cuda(release.variant) or (0, 0)
    return (-release.rank, torch, (-cuda[0], -cuda[1]), release.version, release.publisher)
