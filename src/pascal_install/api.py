"""The typed interface over which the command line and other programs resolve and install.

`from pascal_install import plan, install` is the short way in; the functions here take the same `Settings`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypedDict, TypeVar

from pascal_install.catalogue.load import load, load_gpus
from pascal_install.errors import DataError, HostError, NetworkError, TargetError, UsageError
from pascal_install.facts.host import detect_host, is_this_machine, require_gpus
from pascal_install.facts.interpreter import find_target
from pascal_install.facts.tags import describe_platform
from pascal_install.model.address import Mirror
from pascal_install.model.build import Catalogue
from pascal_install.model.gpu import HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Plan
from pascal_install.model.request import Request, Wanted
from pascal_install.resolve.search import names_needed, resolve

if TYPE_CHECKING:
    from pascal_install.fetch import Fetcher
    from pascal_install.installation.execute import Options, Outcome
    from pascal_install.installation.hooks import Hooks
    from pascal_install.installation.lock_reading import Locked
    from pascal_install.report.progress import Progress

_Done = TypeVar("_Done")

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


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


class SettingsFields(TypedDict, total=False):
    """The same fields as keyword arguments."""

    gpus: tuple[str, ...]
    driver: str
    python: str
    platform: str
    python_version: str
    abi: str
    torch_source: str
    allow_unconfirmed: bool
    catalogue: str
    mirrors: tuple[Mirror, ...]
    cert: str
    offline: bool
    wheelhouse: str
    installer: str


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
    request = Request(
        wanted=tuple(parse_requirement(text) for text in packages),
        torch_source=settings.torch_source,
        allow_unconfirmed=settings.allow_unconfirmed,
    )
    target = find_chosen_target(settings, environ)
    host = find_host(settings, environ, target)
    require_gpus(host)
    names, cache = names_needed(request), cache_dir(environ)
    catalogue = load(names, target.os, target.machine, overlay=settings.catalogue, cache_dir=cache)
    return Facts(request, host, target, catalogue)


class Installed(NamedTuple):
    """What an install came to."""

    plan: Plan
    outcome: Outcome | None
    """None where there is no plan: see `Plan.problem`."""


def make_install(
    packages: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    watch: Hooks,
    progress: Progress | None = None,
) -> Installed:
    """Resolve and install. Whatever is raised, the environment is as it was before.

    A wheel that turns out not to be published is passed over in the open, and the next candidate taken; with the torch
    source `auto`, PyPI is taken where PyTorch's host cannot be reached.
    """
    from pascal_install.installation.execute import execute

    return Installed(*_resolve_and(packages, settings, environ, watch, progress, execute))


def make_lock(
    packages: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    watch: Hooks,
    progress: Progress | None = None,
    known: Mapping[str, str] | None = None,
) -> tuple[Plan, str | None]:
    """Resolve, and give the plan with its lock as text (None without a plan). `known`: see `locking.lock`."""
    from functools import partial

    from pascal_install.installation.locking import lock

    return _resolve_and(packages, settings, environ, watch, progress, partial(lock, known=known))


def make_wheelhouse(
    packages: Sequence[str],
    folder: str,
    settings: Settings,
    environ: Mapping[str, str],
    watch: Hooks,
    progress: Progress | None = None,
) -> tuple[Plan, tuple[str, ...] | None]:
    """Resolve, and fill a folder with all wheels of the plan: gives it with their file names (None without a plan)."""
    from functools import partial

    from pascal_install.installation.locking import download

    return _resolve_and(packages, settings, environ, watch, progress, partial(download, folder))


def read_locked(path: str, settings: Settings, environ: Mapping[str, str]) -> Locked:
    """Read a lock for the target, and hold it against GPUs, driver and Python; nothing is resolved.

    Raises DataError for what is no lock, UnsatisfiableError for one that does not fit, naming all that does not.
    """
    from pascal_install.installation.lock_reading import check_fits, parse_lock, read_lock

    try:
        with open(path, encoding="utf-8") as file:
            lock = parse_lock(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the lock {path}", code="bad-lock", cause=str(error)) from error
    target = find_chosen_target(settings, environ)
    host = find_host(settings, environ, target)
    require_gpus(host)
    names = tuple(str(package.name) for package in lock.packages)
    catalogue = load(names, target.os, target.machine, overlay=settings.catalogue, cache_dir=cache_dir(environ))
    return check_fits(read_lock(lock, path, target, host, catalogue), path, catalogue)


def install_locked(
    path: str,
    packages: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    watch: Hooks,
    progress: Progress | None = None,
) -> Installed:
    """Install all that a lock says, after checking that it fits and holds these packages; else nothing changes."""
    from pascal_install.installation.execute import execute
    from pascal_install.installation.lock_reading import check_holds

    locked = read_locked(path, settings, environ)
    check_holds(locked, path, tuple(parse_requirement(text) for text in packages))
    options = _options(settings, environ, locked.catalogue, progress)._replace(selected=locked.selected)
    watch.on_plan(locked.plan)
    return Installed(locked.plan, execute(locked.plan, options, watch))


def _options(
    settings: Settings, environ: Mapping[str, str], catalogue: Catalogue, progress: Progress | None
) -> Options:
    from pascal_install.installation.execute import Options

    return Options(
        environ=environ,
        cache_dir=cache_dir(environ),
        make_fetcher=lambda: make_fetcher(settings, environ),
        mirrors=settings.mirrors,
        installer=settings.installer,
        import_names={name: package.import_name for name, package in catalogue.packages.items()},
        offline=settings.offline,
        progress=progress,
    )


def _resolve_and(
    packages: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    watch: Hooks,
    progress: Progress | None,
    act: Callable[[Plan, Options, Hooks], _Done],
) -> tuple[Plan, _Done | None]:
    """Resolve and act on the plan, and again without what turns out not to be published or to be out of reach."""
    from pascal_install.installation.publication import NotPublishedError

    facts = find_facts(packages, settings, environ)
    options = _options(settings, environ, facts.catalogue, progress)
    request = facts.request
    while True:
        plan = resolve(request, facts.host, facts.target, facts.catalogue)
        watch.on_plan(plan)
        if plan.problem is not None:
            return plan, None
        try:
            return plan, act(plan, options, watch)
        except NotPublishedError as error:
            watch.on_phase("not-published", str(error))
            request = request._replace(unpublished=request.unpublished | error.urls)
        except NetworkError as error:
            if request.torch_source != "auto" or not _is_unreachable(plan, options.make_fetcher()):
                raise
            watch.on_phase("torch-source", error.summary)
            request = request._replace(torch_source="pypi")


def _is_unreachable(plan: Plan, fetcher: Fetcher) -> bool:
    """Tell whether it is PyTorch's host that cannot be reached, not another one."""
    torch = plan.pin("torch")
    if torch is None or not torch.build.wheel.url:
        return False
    try:
        fetcher.head(torch.build.wheel.url)
    except NetworkError:
        return True
    return False


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
    """Read one requirement. A bare name needs no parser; anything else is read by packaging."""
    if text and _NAME.issuperset(text) and text[0].isalnum() and text[-1].isalnum():
        return Wanted(_normalise(text), "", text)
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        read = Requirement(text)
    except InvalidRequirement as error:
        hint = "write it as pip does: exllamav2==0.2.9, 'torch<2.9'"
        raise UsageError(
            f"cannot read the requirement {text!r}",
            code="bad-requirement",
            cause=str(error).split("\n")[0],
            hints=(hint,),
        ) from error
    if read.url or read.marker or read.extras:
        raise UsageError(
            f"{text!r}: only a name and versions are read here",
            code="bad-requirement",
            cause="it has an address, a marker or an extra",
        )
    return Wanted(_normalise(read.name), str(read.specifier), text)


def _normalise(name: str) -> str:
    """Normalise as PEP 503 does."""
    pieces = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(piece for piece in pieces if piece)


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
    gpus = load_gpus(cache_dir=cache_dir(environ))
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
