"""What an install will change: one step for each distribution."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from packaging.utils import canonicalize_name

from pascal_install.errors import TargetError
from pascal_install.installation.needs import Markers, active, meets, possible, same_version
from pascal_install.installation.state import Distribution, Environment, record, requires
from pascal_install.installation.wheelfile import WheelFacts
from pascal_install.value import NamedTuple


class Step(NamedTuple):
    """What happens to one distribution."""

    kind: str
    """`install`, `replace`, `repair` (the same version, but broken), or `remove`."""
    name: str
    before: str
    """The installed version; empty for `install`."""
    after: str
    """The version to come; empty for `remove`."""
    why: str = ""


class Change(NamedTuple):
    """All that an install will do to an environment."""

    steps: tuple[Step, ...]
    conflicts: tuple[str, ...]
    """Installed distributions that stay and whose requirements will no longer be met, each as a sentence part."""
    outgoing: tuple[Distribution, ...]
    """The metadata folders that go: replaced, repaired or removed."""
    debris: tuple[str, ...]
    """What killed installs left behind, and goes for good."""


def is_nvidia_family(name: str) -> bool:
    """Tell whether a name is one of the libraries that come with torch."""
    return name.startswith(("nvidia-", "cuda-")) or name in ("triton", "pytorch-triton")


def plan_change(
    incoming: Mapping[str, WheelFacts], environment: Environment, markers: Markers, unwanted: Iterable[str] = ()
) -> Change:
    """Find out what goes and what comes; `unwanted` goes too. Raises TargetError where something cannot be removed."""
    steps = []
    outgoing: list[Distribution] = []
    for name, wheel in sorted(incoming.items()):
        here = environment.found.get(name, ())
        outgoing.extend(here)
        steps.append(_step(name, wheel.version, here, environment))
    left = _left_behind(outgoing, incoming, environment, markers)
    outgoing += left
    why = "came with what is replaced; nothing else needs it"
    steps += [Step("remove", one.name, one.version, "", why) for one in left]
    for name in unwanted:
        going = {one.folder for one in outgoing}
        gone = [one for one in environment.found.get(name, ()) if one.folder not in going]
        outgoing += gone
        steps += [Step("remove", one.name, one.version, "", "not wanted beside what stays") for one in gone]
    for one in outgoing:
        if one.folder.endswith(".egg-info"):
            raise TargetError(
                f"{one.name} {one.version} cannot be replaced: it was installed without a list of its files",
                code="not-replaceable",
                cause=f"{one.folder} has no RECORD; conda and old setuptools install like this",
                hints=(f"remove it with what installed it (for conda: conda remove {one.name}), then run this again",),
            )
    conflicts = _conflicts(incoming, outgoing, environment, markers)
    return Change(tuple(steps), conflicts, tuple(outgoing), environment.leftovers)


def _step(name: str, after: str, here: tuple[Distribution, ...], environment: Environment) -> Step:
    if not here:
        return Step("install", name, "", after)
    before = ", ".join(one.version or "unknown version" for one in here)
    if len(here) > 1:
        return Step("repair", name, before, after, "two installs of it lie over each other")
    why = environment.problem(here[0])
    if same_version(here[0].version, after):
        return Step("repair", name, before, after, why or "asked for again")
    return Step("replace", name, before, after, why)


def _left_behind(
    outgoing: Iterable[Distribution], incoming: Mapping[str, WheelFacts], environment: Environment, markers: Markers
) -> list[Distribution]:
    """Find the NVIDIA libraries that only the outgoing torch needed.

    They share files with those of another CUDA family, so they go before the others come: taking nvidia-cudnn-cu13 away
    afterwards would take libcudnn.so.9 of nvidia-cudnn-cu12 with it.
    """
    going = {one.folder for one in outgoing}
    suspects: set[str] = set()
    waiting = list(outgoing)
    while waiting:
        for requirement in possible(requires(waiting.pop()), markers):
            name = str(canonicalize_name(requirement.name))
            if is_nvidia_family(name) and name not in suspects and name not in incoming:
                suspects.add(name)
                waiting.extend(environment.found.get(name, ()))
    if any(is_nvidia_family(name) for name in incoming):
        suspects |= _sharing_files(incoming, environment)
    moving = suspects.union(incoming)
    staying = {name: found for name, found in environment.found.items() if name not in moving}
    needed = _needed_by(staying, incoming, environment, markers)
    return [
        one for name in sorted(suspects - needed) for one in environment.found.get(name, ()) if one.folder not in going
    ]


def _sharing_files(incoming: Mapping[str, WheelFacts], environment: Environment) -> set[str]:
    """Find installed NVIDIA libraries that are not wanted and hold files which a wanted one brings."""
    coming = {
        member
        for name, wheel in incoming.items()
        if is_nvidia_family(name)
        for member in wheel.members
        if not member.endswith("__init__.py")
    }
    found = set()
    for name, distributions in environment.found.items():
        if name in incoming or not is_nvidia_family(name):
            continue
        for one in distributions:
            prefix = len(one.site) + 1
            if any(row.path[prefix:].replace(os.sep, "/") in coming for row in record(one)):
                found.add(name)
    return found


def _needed_by(
    staying: Mapping[str, tuple[Distribution, ...]],
    incoming: Mapping[str, WheelFacts],
    environment: Environment,
    markers: Markers,
) -> set[str]:
    """Collect what distributions that stay or come require, and what that requires among the installed."""
    needed: set[str] = set()
    waiting = [requires(one) for distributions in staying.values() for one in distributions]
    waiting += [wheel.requires for wheel in incoming.values()]
    while waiting:
        for requirement in possible(waiting.pop(), markers):
            name = str(canonicalize_name(requirement.name))
            if name not in needed:
                needed.add(name)
                waiting += [requires(one) for one in environment.found.get(name, ()) if name not in incoming]
    return needed


def _conflicts(
    incoming: Mapping[str, WheelFacts], outgoing: Iterable[Distribution], environment: Environment, markers: Markers
) -> tuple[str, ...]:
    """Name what stays and is met today, but will not be met by what comes."""
    going = {one.name for one in outgoing}
    found = []
    for name, distributions in sorted(environment.found.items()):
        if name in going:
            continue
        for requirement in active(requires(distributions[0]), markers):
            wanted = str(canonicalize_name(requirement.name))
            before = environment.found.get(wanted, ())
            if wanted not in going or not before or not meets(before[0].version, requirement):
                continue
            after = incoming[wanted].version if wanted in incoming else ""
            if not after or not meets(after, requirement):
                found.append(f"{name} {distributions[0].version} needs {requirement}, and gets {after or 'none'}")
    return tuple(found)
