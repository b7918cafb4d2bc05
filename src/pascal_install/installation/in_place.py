"""Whether an environment already is what a plan says."""

from __future__ import annotations

import os

from pascal_install import cache
from pascal_install.model.companions import numpy_requirement
from pascal_install.value import TYPE_CHECKING
from pascal_install.version import __version__

if TYPE_CHECKING:
    from typing import Any

    from pascal_install.installation.state import Environment
    from pascal_install.model.plan import Plan


def is_in_place(plan: Plan, environment: Environment, unwanted: tuple[str, ...] = (), cache_dir: str = "") -> bool:
    """Tell whether all that the plan needs is installed and whole, and nothing is to go.

    Which distributions that are is kept in the cache, for as long as none comes, goes or changes its metadata: walking
    their requirements takes longer than all the rest. Their files are looked at each time.
    """
    if environment.leftovers or any(name in environment.found for name in unwanted):
        return False
    key = _key(plan, environment)
    folders = cache.read(cache_dir, "in-place", plan.target.prefix, key)
    if folders is not None:
        needed = [one for several in environment.found.values() for one in several if one.folder in folders]
        return all(environment.whole(one.name) for one in needed)
    from pascal_install.installation.needs import markers_for, roots, unmet

    if unmet(roots(plan), environment, markers_for(plan.target)):
        return False
    cache.write(cache_dir, "in-place", plan.target.prefix, key, list(environment.checked))
    return True


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
