"""What the plan needs to be in place: its pins, and all that they require, recursively."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pascal_install.installation.state import Environment, requires
from pascal_install.model.companions import numpy_requirement
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Plan
from pascal_install.value import NamedTuple

Markers = dict[str, str]

_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


class Need(NamedTuple):
    """A requirement that nothing whole in the environment meets, and why."""

    requirement: Requirement
    why: str


def markers_for(target: Target) -> Markers:
    """Give the values of environment markers in the target."""
    windows = target.os == "windows"
    machines = {"x86_64": "AMD64", "aarch64": "ARM64"} if windows else {}
    systems = {"linux": "Linux", "windows": "Windows", "darwin": "Darwin"}
    return {
        "implementation_name": target.implementation,
        "implementation_version": target.python,
        "os_name": "nt" if windows else "posix",
        "platform_machine": machines.get(target.machine, target.machine),
        "platform_python_implementation": "CPython" if target.implementation == "cpython" else target.implementation,
        "platform_release": "",
        "platform_system": systems.get(target.os, target.os),
        "platform_version": "",
        "python_full_version": target.python,
        "python_version": ".".join(str(part) for part in target.version[:2]),
        "sys_platform": "win32" if windows else target.os,
    }


def active(lines: Iterable[str], markers: Markers, extras: Iterable[str] = ()) -> tuple[Requirement, ...]:
    """Read Requires-Dist lines and keep those that hold in this environment, with these extras asked for."""
    wanted = ("", *extras)
    found = []
    for line in lines:
        try:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({**markers, "extra": extra}) for extra in wanted):
                found.append(requirement)
        except (InvalidRequirement, UndefinedEnvironmentName):
            # Old metadata that packaging cannot read: pip itself skips such lines for installed distributions.
            continue
    return tuple(found)


def possible(lines: Iterable[str], markers: Markers) -> tuple[Requirement, ...]:
    """Read Requires-Dist lines and keep those that hold in this environment with whichever extra."""
    extras = {extra for line in lines for extra in _EXTRA.findall(line)}
    return active(lines, markers, extras)


def roots(plan: Plan) -> tuple[Requirement, ...]:
    """Give what the plan itself asks for."""
    pins = [Requirement(f"{pin.build.release.name}==={pin.build.release.version}") for pin in plan.pins]
    others = (text for text in (numpy_requirement(plan), *plan.others) if text)
    return (*pins, *map(Requirement, others))


def unmet(
    requirements: Iterable[Requirement], environment: Environment, markers: Markers, settled: Collection[str] = ()
) -> tuple[Need, ...]:
    """Walk the requirements through what is installed and whole; give those that are not met, but for settled names."""
    found: list[Need] = []

    def visit(requirement: Requirement) -> tuple[str, ...] | None:
        if str(canonicalize_name(requirement.name)) in settled:
            return None
        why = why_unmet(requirement, environment)
        if why:
            found.append(Need(requirement, why))
            return None
        distribution = environment.whole(str(canonicalize_name(requirement.name)))
        return requires(distribution) if distribution else None

    walk(requirements, markers, visit)
    return tuple(found)


def walk(
    requirements: Iterable[Requirement], markers: Markers, visit: Callable[[Requirement], tuple[str, ...] | None]
) -> None:
    """Visit requirements and what they lead to, each once; `visit` gives the Requires-Dist lines to go on with."""
    seen: set[tuple[str, str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        key = (str(canonicalize_name(requirement.name)), str(requirement.specifier), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        lines = visit(requirement)
        if lines is not None:
            waiting.extend(active(lines, markers, requirement.extras))


def why_unmet(requirement: Requirement, environment: Environment) -> str:
    """Tell why a requirement is not met by what is installed and whole; empty where it is."""
    name = str(canonicalize_name(requirement.name))
    here = environment.found.get(name, ())
    if len(here) > 1:
        return f"{len(here)} metadata folders of it: {', '.join(os.path.basename(one.folder) for one in here)}"
    if not here:
        return "not installed"
    broken = environment.problem(here[0])
    return broken or ("" if meets(here[0].version, requirement) else f"{here[0].version} is installed")


def meets(version: str, requirement: Requirement) -> bool:
    """Tell whether a version is among those that a requirement allows."""
    if any(one.operator == "===" for one in requirement.specifier):
        return all(same_version(version, one.version) for one in requirement.specifier)
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def same_version(one: str, other: str) -> bool:
    """Compare two versions exactly, local versions included: PyPI's torch 2.6.0 is not 2.6.0+cu124."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
