"""What the pins require beside themselves, chosen by pip itself in dry runs that touch nothing.

torch's NVIDIA libraries come from torch's own index and from nowhere else. Everything else comes from the person's own
index settings, with all that is settled before given to pip as stand-ins, so that none of it is searched again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from packaging.requirements import Requirement  # noqa: TC002
from packaging.utils import canonicalize_name

from pascal_install import process
from pascal_install.errors import InstallerError, NetworkError
from pascal_install.installation.backend import Pip, failure
from pascal_install.installation.change import is_nvidia_family
from pascal_install.installation.needs import Markers, active, meets, roots, unmet, walk, why_unmet
from pascal_install.installation.standins import write_stand_in
from pascal_install.installation.state import Environment, requires
from pascal_install.model.plan import Plan
from pascal_install.value import NamedTuple

_RESOLVE_TIMEOUT_S = 900.0

#: Each round asks for what the one before left out; a chain of dependencies that only the target has is short.
_MOST_ROUNDS = 12

#: Where an index offers no metadata beside a wheel, pip then reads the end of the wheel by range requests; without,
#: it downloads the wheel and throws it away (2 GB of NVIDIA's libraries). A pip that no longer knows the word says so.
_FAST_DEPS = ("--use-feature", "fast-deps")
_USAGE = 2

#: What pip writes where the network failed, not the search.
_NETWORK_SIGNS = (
    *(
        "connection-failed",
        "connection-timeout",
        "ssl-verification-failed",
        "proxy-connection-failed",
        "incomplete-download",
    ),
    *("ConnectionPool(", "Connection broken", "Connection aborted", "IncompleteRead", "Read timed out"),
    *("Exceeded 30 redirects", "HTTP error ", "Client Error: ", "Server Error: "),
)

#: Settings that change what pip does, not where it looks: they must not reach a dry run.
_NOT_OURS = (
    *("TARGET", "PREFIX", "ROOT", "USER", "NO_DEPS", "REQUIRE_HASHES", "REPORT", "DRY_RUN", "IGNORE_INSTALLED"),
    *(
        "FORCE_REINSTALL",
        "UPGRADE",
        "PYTHON",
        "QUIET",
        "VERBOSE",
        "NO_BINARY",
        "ONLY_BINARY",
        "REQUIREMENT",
        "EDITABLE",
    ),
)


class Settled(NamedTuple):
    """A distribution that is decided already."""

    version: str
    requires: tuple[str, ...]


class Faster(Protocol):
    """Somebody who may know what is missing without pip."""

    def __call__(
        self, lines: Sequence[str], wanted: Sequence[Requirement], index: str, settled: Mapping[str, Settled]
    ) -> list[Chosen] | None:
        """Give what is missing; None where only pip can tell."""


class Resolver(NamedTuple):
    """What the dry runs need to know."""

    pip: Pip
    environ: Mapping[str, str]
    """The person's own settings."""
    bare_environ: Mapping[str, str]
    """The same without any index of theirs, for the runs that ask torch's index alone."""
    folder: str
    """A folder for reports and stand-ins."""
    markers: Markers
    environment: Environment
    check_page: Callable[[str, str], object]
    """Raises NetworkError where an index (`torch` or `own`) fails to tell of a project."""
    options: tuple[str, ...] = ()
    is_elsewhere: bool = False
    """The target is another machine's: what pip chooses is put right by `_for_markers`."""
    faster: Faster | None = None
    """Tells the same sooner, where it can."""


class Chosen(NamedTuple):
    """One distribution that pip chose for us."""

    name: str
    version: str
    url: str
    sha256: str
    """Empty where the index tells none."""
    requires: tuple[str, ...]
    """Empty where nobody asks further."""
    size_bytes: int | None = None

    @property
    def is_wheel(self) -> bool:
        """Tell a wheel from a source distribution."""
        return self.url.partition("#")[0].endswith(".whl")


def choose_family(pins: Mapping[str, Settled], index_url: str, resolver: Resolver) -> dict[str, Chosen]:
    """Choose torch's NVIDIA libraries that are missing, from torch's index, round by round: each names the next."""
    chosen: dict[str, Chosen] = {}
    needed: dict[str, list[Requirement]] = {}
    waiting = [one for pin in pins.values() for one in active(pin.requires, resolver.markers)]
    if resolver.faster and (direct := _family_only(waiting, pins)):
        found = resolver.faster([_line(need) for need in direct], direct, "torch", {})
        if found is not None and all(is_nvidia_family(one.name) and one.name not in pins for one in found):
            return {one.name: one for one in found}
    asked: set[tuple[str, str]] = set()
    while waiting:
        missing: dict[str, None] = {}
        for requirement in _family_only(waiting, pins):
            name = str(canonicalize_name(requirement.name))
            needed.setdefault(name, []).append(requirement)
            if (name, str(requirement)) not in asked:
                asked.add((name, str(requirement)))
                missing[name] = None
        waiting = []
        wanted = [name for name in missing if not _settled(name, needed[name], chosen, resolver.environment)]
        if wanted:
            lines = [_line(requirement) for name in wanted for requirement in needed[name]]
            options = ("--ignore-installed", "--no-deps", "--only-binary", ":all:", "--index-url", index_url)
            chosen.update((one.name, one) for one in _dry_run((*options, *lines), resolver, "torch"))
        for name in missing:
            extras = {extra for requirement in needed[name] for extra in requirement.extras}
            if name in chosen:
                waiting += active(chosen[name].requires, resolver.markers, extras)
            else:
                distribution = resolver.environment.whole(name)
                waiting += active(requires(distribution), resolver.markers, extras) if distribution else ()
    return chosen


def _family_only(requirements: Iterable[Requirement], pins: Mapping[str, Settled]) -> list[Requirement]:
    names = [(requirement, str(canonicalize_name(requirement.name))) for requirement in requirements]
    return [requirement for requirement, name in names if is_nvidia_family(name) and name not in pins]


def _settled(
    name: str, requirements: Sequence[Requirement], chosen: Mapping[str, Chosen], environment: Environment
) -> bool:
    if name in chosen:
        return all(meets(chosen[name].version, requirement) for requirement in requirements)
    return not any(why_unmet(requirement, environment) for requirement in requirements)


def _line(requirement: Requirement) -> str:
    """Give a requirement without its marker, which held already."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def choose_rest(
    plan: Plan, pins: Mapping[str, Settled], family: Mapping[str, Chosen], resolver: Resolver
) -> list[Chosen]:
    """Choose what is still missing, from the person's own indexes."""
    settled = {**pins, **{name: Settled(one.version, one.requires) for name, one in family.items()}}
    wanted = [*roots(plan), *(one for pin in pins.values() for one in active(pin.requires, resolver.markers))]
    if not unmet(wanted, resolver.environment, resolver.markers, settled):
        return []
    folder = os.path.join(resolver.folder, "stand-ins")
    os.makedirs(folder, exist_ok=True)
    lines = [_line(root) for root in roots(plan) if str(canonicalize_name(root.name)) not in settled]
    if resolver.is_elsewhere:
        return _for_markers(wanted, settled, lines, resolver, folder)
    if resolver.faster and (quick := resolver.faster(lines, wanted, "own", settled)) is not None:
        return quick
    stand_ins = [write_stand_in(folder, name, one.version, one.requires) for name, one in settled.items()]
    found = _with_sources_if_needed((*stand_ins, *lines), resolver)
    chosen = [one for one in found if one.name not in settled]
    return [*chosen, *_choose_repairs(wanted, {*settled, *(one.name for one in chosen)}, resolver)]


def _for_markers(
    wanted: Sequence[Requirement],
    settled: Mapping[str, Settled],
    lines: Sequence[str],
    resolver: Resolver,
    folder: str,
) -> list[Chosen]:
    """Choose for a Python that is not here. pip reads markers for the one that runs it, whatever it is told.

    So what it chooses is walked with the markers of the target: what is missing is asked for by name, and what nothing
    requires there is left out.
    """
    stand_ins = [
        write_stand_in(folder, name, one.version, [_line(need) for need in active(one.requires, resolver.markers)])
        for name, one in settled.items()
    ]
    asked = list(lines)
    for _ in range(_MOST_ROUNDS):
        found = {one.name: one for one in _with_sources_if_needed((*stand_ins, *asked), resolver)}
        reached: set[str] = set()
        missing: list[str] = []

        def visit(
            need: Requirement,
            found: Mapping[str, Chosen] = found,
            reached: set[str] = reached,
            missing: list[str] = missing,
        ) -> tuple[str, ...] | None:
            name = str(canonicalize_name(need.name))
            if name in settled:
                return settled[name].requires
            if name not in found or not meets(found[name].version, need):
                missing.append(_line(need))
                return None
            reached.add(name)
            return found[name].requires

        walk(wanted, resolver.markers, visit)
        if not missing:
            return [one for name, one in found.items() if name in reached]
        asked += missing
    raise InstallerError(
        "pip did not find out what is needed on the other machine", code="resolution", cause="\n".join(missing)
    )


def _with_sources_if_needed(lines: Sequence[str], resolver: Resolver) -> list[Chosen]:
    """Take wheels alone where that works; a package that has none is allowed to come as its source."""
    try:
        return _dry_run(("--only-binary", ":all:", *lines), resolver, "own")
    except InstallerError as error:
        if resolver.is_elsewhere:
            raise  # a source cannot be built here for another machine
        if "No matching distribution found" not in error.cause and "ResolutionImpossible" not in error.cause:
            raise
    return _dry_run(("--prefer-binary", *lines), resolver, "own")


def _choose_repairs(wanted: Sequence[Requirement], known: Collection[str], resolver: Resolver) -> list[Chosen]:
    """Choose again what pip took for installed although it is broken, or lies outside of the environment."""
    needs = unmet(wanted, resolver.environment, resolver.markers, known)
    broken = [_line(need.requirement) for need in needs]
    if not broken:
        return []
    options = ("--ignore-installed", "--no-deps", "--prefer-binary")
    return _dry_run((*options, *broken), resolver, "own")


def _dry_run(args: Sequence[str], resolver: Resolver, index: str) -> list[Chosen]:
    """Let pip resolve, and read its report. Raises InstallerError with its last lines, or the NetworkError behind."""
    environ = resolver.environ if index == "own" else resolver.bare_environ
    report = os.path.join(resolver.folder, "report.json")
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--root-user-action", "ignore")
    command = (*resolver.pip.command, "install", "--dry-run", "--report", report, *quiet, *resolver.options)
    try:
        done = process.run(
            (*command, *_FAST_DEPS, *args), env=environ, cwd=resolver.folder, timeout_s=_RESOLVE_TIMEOUT_S
        )
        if done.returncode == _USAGE and _FAST_DEPS[1] in done.stderr:
            done = process.run((*command, *args), env=environ, cwd=resolver.folder, timeout_s=_RESOLVE_TIMEOUT_S)
    except (OSError, process.ProcessTimeout) as error:
        raise InstallerError("pip did not find out what is needed", code="resolution", cause=str(error)) from error
    if done.returncode != 0:
        for name in re.findall(r"No matching distribution found for ([A-Za-z0-9._-]+)", done.stderr):
            resolver.check_page(index, str(canonicalize_name(name)))
        if any(sign in done.stderr for sign in _NETWORK_SIGNS):
            # The page that pip read last may say more than pip does.
            for name in re.findall(r"Collecting ([A-Za-z0-9._-]+)", done.stdout)[-1:]:
                resolver.check_page(index, str(canonicalize_name(name)))
            raise _network_fault(failure("pip", done))
        raise failure("pip", done)
    with open(report, encoding="utf-8") as file:
        return [_chosen(one) for one in json.load(file)["install"]]


def _network_fault(error: InstallerError) -> NetworkError:
    lines = [line for line in error.cause.splitlines() if not line.startswith(("Processing ", "WARNING: Retrying"))]
    return NetworkError(
        "an index, or a file on it, cannot be reached while finding out what is needed",
        code="not-reachable",
        cause="\n".join(lines),
        hints=("check the network, the proxy, and PIP_INDEX_URL",),
    )


def _chosen(entry: Mapping[str, Any]) -> Chosen:
    info, metadata = entry["download_info"], entry["metadata"]
    archive = info.get("archive_info") or {}
    hashes = archive.get("hashes") or dict([archive["hash"].split("=", 1)] if "hash" in archive else [])
    return Chosen(
        name=str(canonicalize_name(metadata["name"])),
        version=metadata["version"],
        url=info["url"],
        sha256=hashes.get("sha256", ""),
        requires=tuple(metadata.get("requires_dist", ())),
    )


def settings_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the person's environment without what would change the target or the kind of run."""
    dropped = {f"PIP_{name}" for name in _NOT_OURS}
    kept = {key: value for key, value in environ.items() if key not in dropped and not key.startswith("PYTHON")}
    kept.update(PIP_USER="0", PYTHONUTF8="1")
    return kept
