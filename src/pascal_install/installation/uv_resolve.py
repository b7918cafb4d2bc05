"""Which files are missing, found out by uv: the answer that pip gives, in a fifth of its time, or none.

uv is asked for a lock of PEP 751, which tells address, hash and size of each wheel. Where it fails, or might
answer what pip would not - a source to build, a setting that only pip follows, an installed distribution changed
without need - there is no answer, and pip is asked as ever: it is also pip that says what is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement  # noqa: TC002
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import InvalidVersion, Version

from pascal_install.installation.backend import Uv, uv_lock
from pascal_install.installation.dependencies import Chosen, Settled
from pascal_install.installation.needs import Markers, meets, possible, same_version, walk, why_unmet
from pascal_install.installation.pip_settings import PipSettings
from pascal_install.installation.standins import write_project
from pascal_install.installation.state import Distribution, Environment, requires
from pascal_install.installation.wheelfile import WheelFacts
from pascal_install.value import NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TIMEOUT_S = 60.0


class UvResolver(NamedTuple):
    """Asks uv what is missing."""

    uv: Uv
    settings: PipSettings
    environ: Mapping[str, str]
    """In which uv reaches what the person's pip reaches."""
    torch_index: str
    folder: str
    """For requirements and locks; only we may enter it."""
    environment: Environment
    markers: Markers

    def __call__(
        self, lines: Sequence[str], wanted: Sequence[Requirement], index: str, settled: Mapping[str, Settled]
    ) -> list[Chosen] | None:
        """Give what is missing for requirement lines; None where only pip can tell.

        `index` is `torch` (torch's index alone) or `own` (the person's). `wanted` are the requirements known to hold,
        and `settled` is what is decided already, whose requirements count too.
        """
        if self.settings.only_pips or self.settings.no_index:
            return None
        is_own = index == "own"
        urls = self.settings.index_urls if is_own else (self.torch_index,)
        lock = os.path.join(self.folder, f"pylock.{index}.toml")
        folder = os.path.join(self.folder, "projects")
        stand_ins = [write_project(folder, name, one.version, one.requires) for name, one in settled.items()]
        packages = self._lock((*stand_ins, *lines), urls, self.settings.find_links if is_own else (), lock)
        schemes = ("http", "https", *(("file",) if any(url.startswith("file:") for url in urls) else ()))
        chosen = [_chosen(package, schemes) for package in packages or () if _name(package) not in settled]
        if packages is None or None in chosen:
            return None
        found = [one for one in chosen if one and not self._is_here(one)]
        if all(self._may_come(one, wanted) for one in found) and self._suits_what_stays(found, wanted, settled):
            return found
        return None

    def _lock(
        self, lines: Sequence[str], urls: Sequence[str], find_links: Sequence[str], lock: str
    ) -> list[dict[str, Any]] | None:
        """Let uv make a lock, with what is installed as its first choice."""
        requirements = os.path.join(self.folder, "requirements.txt")
        with open(requirements, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        here = [entry for one in self.environment.found.values() if len(one) == 1 and (entry := _entry(one[0]))]
        if here:
            with open(lock, "w", encoding="utf-8") as file:
                file.write(uv_lock(here))
        # Variables, for others on the machine can read a command line, and an address may hold a password.
        environ = {**self.environ, "UV_DEFAULT_INDEX": urls[0]}
        environ.update({"UV_EXTRA_INDEX_URL": " ".join(urls[1:])} if urls[1:] else {})
        environ.update({"UV_FIND_LINKS": ",".join(find_links)} if find_links else {})
        done = self.uv.compile(requirements, lock, environ, timeout_s=_TIMEOUT_S)
        if done is None or done.returncode != 0:
            return None
        try:
            with open(lock, "rb") as written:
                found: list[dict[str, Any]] = tomllib.load(written)["packages"]
        except (OSError, ValueError, KeyError):  # no lock: an older uv takes the name for that of a requirements file
            return None
        return found

    def _is_here(self, one: Chosen) -> bool:
        here = self.environment.whole(one.name)
        return here is not None and same_version(here.version, one.version)

    def _may_come(self, one: Chosen, wanted: Sequence[Requirement]) -> bool:
        """Tell whether pip, too, would take it in place of what is installed, which it keeps wherever it can."""
        here = self.environment.whole(one.name)
        needs = (need for need in wanted if canonicalize_name(need.name) == one.name)
        return here is None or any(not meets(here.version, need) for need in needs)

    def _suits_what_stays(
        self, found: Sequence[Chosen], wanted: Sequence[Requirement], settled: Mapping[str, object]
    ) -> bool:
        """Tell whether what stays has all that it requires: uv reads that of the published file of its version."""
        versions = {one.name: one.version for one in found}
        unmet = []

        def visit(need: Requirement) -> tuple[str, ...] | None:
            name = str(canonicalize_name(need.name))
            if name in settled:
                return None
            if name in versions:
                unmet.extend([] if meets(versions[name], need) else [need])
                return None
            if why_unmet(need, self.environment):
                unmet.append(need)
                return None
            here = self.environment.whole(name)
            return requires(here) if here else None

        walk(wanted, self.markers, visit)
        return not unmet


def would_pip_differ(wheels: Mapping[str, WheelFacts], pins: Collection[str], python: str, markers: Markers) -> bool:
    """Tell whether pip might choose other wheels than these, which uv chose, by what only they themselves tell.

    uv does not follow an upper bound of Requires-Python, nor a pre-release that a package of an index asks for.
    """
    if any(name not in pins and not _serves(facts.requires_python, python) for name, facts in wheels.items()):
        return True
    needs = (need for facts in wheels.values() for need in possible(facts.requires, markers))
    return any(need.specifier.prereleases and canonicalize_name(need.name) in wheels for need in needs)


def _serves(requires_python: str, python: str) -> bool:
    try:
        return SpecifierSet(requires_python).contains(python, prereleases=True)
    except InvalidSpecifier:  # pip does not heed it either
        return True


def _entry(here: Distribution) -> str:
    """Give its entry in a lock; empty where a folder's name is none that uv can read, which would spoil the rest."""
    try:
        version = Version(here.version)
    except InvalidVersion:
        return ""
    return f"[[packages]]\nname = '{here.name}'\nversion = '{version}'\n" if is_normalized_name(here.name) else ""


def _name(package: Mapping[str, Any]) -> str:
    return str(canonicalize_name(package["name"]))


def _chosen(package: Mapping[str, Any], schemes: Sequence[str]) -> Chosen | None:
    """Read a package of the lock; None for anything but one wheel at an address."""
    wheels = package.get("wheels", ())
    url = wheels[0].get("url", "") if len(wheels) == 1 else ""
    if urlsplit(url).scheme not in schemes or "version" not in package:
        return None
    (wheel,) = wheels
    sha256 = wheel.get("hashes", {}).get("sha256", "")
    return Chosen(_name(package), package["version"], url, sha256, (), wheel.get("size"))
