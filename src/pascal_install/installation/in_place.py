"""Whether an environment already is what a plan says."""

from __future__ import annotations

import os

from pascal_install import cache
from pascal_install.installation.whole import Listed, are_whole, checksum, listing
from pascal_install.model.companions import numpy_requirement
from pascal_install.value import TYPE_CHECKING
from pascal_install.version import __version__

if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from pascal_install.installation.state import Distribution, Environment
    from pascal_install.model.plan import Plan


def is_in_place(plan: Plan, environment: Environment, unwanted: tuple[str, ...] = (), cache_dir: str = "") -> bool:
    """Tell whether all that the plan needs is installed and whole, and nothing is to go.

    Which distributions that are is kept in the cache, for as long as none comes, goes or changes its metadata: walking
    their requirements takes longer than all the rest. With each is kept what its RECORD lists, for as long as that has
    not changed by a byte. The files are looked at each time.
    """
    if environment.leftovers or any(name in environment.found for name in unwanted):
        return False
    key = _key(plan, environment)
    kept = cache.read(cache_dir, "in-place", plan.target.prefix, key) or {}
    needed = _those_in(kept, environment)
    if needed and all(checksum(one) == kept[one.folder]["record"] for one in needed):
        listed = [Listed(*fields) for one in needed for fields in kept[one.folder]["files"]]
        return all(len(environment.found[one.name]) == 1 for one in needed) and are_whole(needed, listed)
    from pascal_install.installation.needs import markers_for, roots, unmet

    if unmet(roots(plan), environment, markers_for(plan.target)):
        return False
    needed = _those_in(environment.checked, environment)
    found = {one.folder: {"record": checksum(one), "files": listing(one)} for one in needed}
    cache.write(cache_dir, "in-place", plan.target.prefix, key, found)
    return True


def _those_in(folders: Container[str], environment: Environment) -> list[Distribution]:
    return [one for several in environment.found.values() for one in several if one.folder in folders]


def _key(plan: Plan, environment: Environment) -> list[Any]:
    """What the answer rests on, the files of the distributions aside."""
    target = plan.target
    pins = [[pin.build.release.name, pin.build.release.version] for pin in plan.pins]
    asked = [*pins, numpy_requirement(plan), *plan.others]
    here = sorted(one.folder for several in environment.found.values() for one in several)
    stamps = [[folder, *_stamp(folder)] for folder in here]
    return [__version__, target.executable, target.python, target.os, target.machine, asked, stamps]


def _stamp(folder: str) -> list[int]:
    try:
        facts = os.stat(os.path.join(folder, "METADATA"))
    except OSError:
        return []
    return [facts.st_mtime_ns, facts.st_size]
