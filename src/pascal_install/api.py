"""The typed interface over which the command line and other programs resolve; `actions` installs what it finds.

`from pascal_install import plan, install` is the short way in; the functions here take the same `Settings`.
"""

from __future__ import annotations

import os
import sys
import time

from pascal_install.catalogue.load import load, load_gpus, package_names
from pascal_install.catalogue.locate import user_dir
from pascal_install.errors import HostError, TargetError, UsageError
from pascal_install.facts.host import detect_host, is_this_machine, require_gpus
from pascal_install.facts.interpreter import find_target
from pascal_install.facts.tags import describe_platform
from pascal_install.model.address import Mirror, redact
from pascal_install.model.names import normalise
from pascal_install.model.request import Request, Wanted
from pascal_install.model.specifier import read_exact
from pascal_install.resolve.search import names_needed, resolve
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypedDict

    from pascal_install.fetch import Fetcher
    from pascal_install.installation.own_wheels import Named, Own
    from pascal_install.model.build import Catalogue, Package
    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.plan import Plan

    class SettingsFields(TypedDict, total=False):
        """The same fields as keyword arguments."""

        gpus: Sequence[str] | str
        driver: str
        python: str
        platform: str
        python_version: str
        abi: str
        torch_source: str
        allow_unconfirmed: bool
        catalogue: str
        mirrors: Sequence[Mirror | str]
        cert: str
        offline: bool
        wheelhouse: str
        installer: str


_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


#: How alike, from 0 to 1, a mistyped name and the one that is meant are (difflib's ratio).
_ALIKE = 0.85

_STALE_AFTER_S = 90 * 24 * 3600


class Settings(NamedTuple):
    """Everything beside the packages that decides an answer; each field is the option of the same name."""

    gpus: tuple[str, ...] = ()
    driver: str = ""
    python: str = ""
    platform: str = ""
    python_version: str = ""
    abi: str = ""
    torch_source: str = "pytorch"
    allow_unconfirmed: bool = False
    catalogue: str = ""
    mirrors: tuple[Mirror, ...] = ()
    cert: str = ""
    offline: bool = False
    wheelhouse: str = ""
    installer: str = "pip"


def make_settings(given: SettingsFields) -> Settings:
    """Read settings that a program gives: one GPU may stand alone, and mirrors may be written `FROM=TO`.

    Raises TypeError for a setting that there is not, and UsageError for a mirror that cannot be read.
    """
    fields: dict[str, Any] = dict(given)
    strange = [name for name in fields if name not in Settings._fields]
    if strange:
        raise TypeError(f"there is no setting {', '.join(strange)}; there are {', '.join(Settings._fields)}")
    if "gpus" in fields:
        fields["gpus"] = (fields["gpus"],) if isinstance(fields["gpus"], str) else tuple(fields["gpus"])
    if "mirrors" in fields:
        from pascal_install.model.address import parse_mirror

        mirrors = (fields["mirrors"],) if isinstance(fields["mirrors"], str) else fields["mirrors"]
        fields["mirrors"] = tuple(parse_mirror(one) if isinstance(one, str) else one for one in mirrors)
    return Settings(**fields)


class Facts(NamedTuple):
    """What a resolution rests on."""

    request: Request
    host: HostFacts
    target: Target
    catalogue: Catalogue


def make_plan(packages: Sequence[str], settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Resolve what was asked for.

    Raises UsageError for what cannot be read, TargetError, HostError or DataError where a fact is missing. That nothing
    serves is no error here: the plan says so.
    """
    return resolve(*find_facts(packages, settings, environ))


def find_facts(packages: Sequence[str], settings: Settings, environ: Mapping[str, str]) -> Facts:
    """Find everything that a resolution rests on."""
    named = [_own_wheel(text) or parse_requirement(text) for text in packages]
    target = find_chosen_target(settings, environ)
    host = find_host(settings, environ, target)
    require_gpus(host)
    asked: list[Wanted] = []
    own: dict[str, Package] = {}
    for one in named:
        if isinstance(one, Wanted):
            asked.append(one)
        else:
            wanted, package = _read_own_wheel(one, target, settings, environ)
            asked += wanted
            own[package.name] = package
    request = Request(tuple(asked), settings.torch_source, settings.allow_unconfirmed, stale_before=stale_before())
    names, cache = names_needed(request), cache_dir(environ)
    user = user_dir(environ)
    catalogue = load(names, target.os, target.machine, overlay=settings.catalogue, user=user, cache_dir=cache)
    if own:
        unknown = tuple(name for name in catalogue.unknown if name not in own)
        catalogue = catalogue._replace(packages={**catalogue.packages, **own}, unknown=unknown)
    for each in asked:
        if each.name in catalogue.unknown and not each.specifier:
            _check_for_slip(each, package_names(overlay=settings.catalogue, user=user, cache_dir=cache))
    return Facts(request, host, target, catalogue)


def _check_for_slip(wanted: Wanted, known: Sequence[str]) -> None:
    """Raise UsageError for a name that is nearly one of the catalogue's: pip would install a stranger's package."""
    import difflib

    meant = difflib.get_close_matches(wanted.name, known, n=1, cutoff=_ALIKE)
    if meant:
        raise UsageError(
            f"{wanted.text!r} is not in the catalogue",
            code="unknown-package",
            hints=(
                f"did you mean: {meant[0]}",
                f"the package of that name from your own index: '{wanted.name}>=0'",
            ),
        )


def _own_wheel(text: str) -> Named | None:
    """Read an argument that names a wheel itself; names and versions need nothing of this."""
    if not ("/" in text or "@" in text or ".whl" in text):
        return None
    from pascal_install.installation.own_wheels import named_wheel

    return named_wheel(text)


def _read_own_wheel(named: Named, target: Target, settings: Settings, environ: Mapping[str, str]) -> Own:
    from pascal_install.installation.needs import markers_for
    from pascal_install.installation.own_wheels import read_own_wheel

    store = os.path.join(cache_dir(environ), "wheels")
    return read_own_wheel(named, target, markers_for(target), store, lambda: make_fetcher(settings, environ))


def stale_before() -> str:
    """Give the ISO date (UTC) before which facts are old."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - _STALE_AFTER_S))


def make_fetcher(settings: Settings, environ: Mapping[str, str]) -> Fetcher:
    """Make what asks hosts, with the settings' mirrors and certificates."""
    from pascal_install.fetch import Fetcher

    return Fetcher(
        mirrors=settings.mirrors,
        offline=settings.offline,
        cert=settings.cert or environ.get("PIP_CERT", ""),
        cache_dir=cache_dir(environ),
    )


def parse_requirement(text: str) -> Wanted:
    """Read one requirement. `torch` and `torch==2.6.0` need no parser; anything else is read by packaging."""
    name, equals, _ = text.partition("==")
    specifier = text[len(name) :]
    is_name = bool(name) and _NAME.issuperset(name) and name[0].isalnum() and name[-1].isalnum()
    if is_name and (not equals or read_exact(specifier)):
        return Wanted(normalise(name), specifier, text)
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        read = Requirement(text)
    except InvalidRequirement as error:
        hint = "write it as pip does: exllamav2==0.2.9, 'torch<2.9'"
        raise UsageError(
            f"cannot read the requirement {redact(text)!r}",
            code="bad-requirement",
            cause=str(error).split("\n")[0],
            hints=(hint,),
        ) from error
    if read.url or read.marker or read.extras:
        raise UsageError(
            f"{redact(text)!r}: only a name and versions are read here, or a wheel",
            code="bad-requirement",
            cause="it has a marker or an extra",
        )
    return Wanted(normalise(read.name), str(read.specifier), text)


def find_chosen_target(settings: Settings, environ: Mapping[str, str]) -> Target:
    """Find the target that is installed into, or describe another machine's."""
    if not (settings.platform or settings.python_version or settings.abi):
        return find_target(settings.python, environ=environ, cwd=os.getcwd(), cache_dir=cache_dir(environ))
    if settings.python:
        raise UsageError(
            "--python names an environment here; --platform, --python-version and --abi describe another one"
        )
    if not settings.platform and sys.platform not in ("linux", "win32"):
        raise TargetError(f"no NVIDIA wheels exist for {sys.platform}", code="unsupported-platform")
    return describe_platform(settings.platform, settings.python_version, settings.abi, cache_dir=cache_dir(environ))


def find_host(settings: Settings, environ: Mapping[str, str], target: Target) -> HostFacts:
    """Find GPUs and driver; for another kind of machine they must be given, since this one says nothing about it."""
    if settings.platform and not settings.gpus and not is_this_machine(target.os, target.machine):
        raise HostError(
            f"--platform {settings.platform} is not this machine",
            code="gpu-not-given",
            hints=("give its GPU with --gpu, and its driver with --driver",),
        )
    gpus = load_gpus(overlay=settings.catalogue, user=user_dir(environ), cache_dir=cache_dir(environ))
    return detect_host(
        gpus=settings.gpus,
        driver=settings.driver,
        environ=environ,
        os_name=target.os,
        machine=target.machine,
        lookup_pci=gpus.lookup_pci,
        names=gpus,
    )


def cache_dir(environ: Mapping[str, str]) -> str:
    """Give the folder for what can be made again: PASCAL_INSTALL_CACHE_DIR, else the system's usual place."""
    own = environ.get("PASCAL_INSTALL_CACHE_DIR")
    if own:
        return own
    home = os.path.expanduser("~")
    usual = environ.get("LOCALAPPDATA") if os.name == "nt" else environ.get("XDG_CACHE_HOME")
    base = usual or os.path.join(home, *(("AppData", "Local") if os.name == "nt" else (".cache",)))
    return os.path.join(base, "pascal-install")
