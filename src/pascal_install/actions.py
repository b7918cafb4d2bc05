"""What changes something: installs, locks, wheelhouses, and what `doctor` mends. `api` says what would be done."""

from __future__ import annotations

import os

from pascal_install.api import (
    Settings,
    cache_dir,
    find_chosen_target,
    find_facts,
    find_host,
    make_fetcher,
    parse_requirement,
)
from pascal_install.catalogue.load import load, package_names
from pascal_install.catalogue.locate import user_dir
from pascal_install.errors import DataError, NetworkError
from pascal_install.facts.host import require_gpus
from pascal_install.installation.execute import Options, Outcome, execute
from pascal_install.model.build import Catalogue
from pascal_install.model.plan import Plan
from pascal_install.model.request import Request
from pascal_install.resolve.search import resolve
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from pascal_install.doctor.case import Case, Symptom
    from pascal_install.fetch import Fetcher
    from pascal_install.installation.hooks import Hooks
    from pascal_install.installation.lock_reading import Locked
    from pascal_install.report.progress import Progress

    _Done = TypeVar("_Done")


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
    cache, user = cache_dir(environ), user_dir(environ)
    catalogue = load(names, target.os, target.machine, overlay=settings.catalogue, user=user, cache_dir=cache)
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
    from pascal_install.installation.lock_reading import check_holds

    locked = read_locked(path, settings, environ)
    check_holds(locked, path, tuple(parse_requirement(text) for text in packages))
    options = _options(settings, environ, locked.catalogue, progress)._replace(selected=locked.selected)
    watch.on_plan(locked.plan)
    return Installed(locked.plan, execute(locked.plan, options, watch))


def find_case(settings: Settings, environ: Mapping[str, str]) -> Case:
    """Read what the checks of `doctor` look at: the machine, the target with what is installed, and the catalogue.

    A machine without a GPU is no error here.
    """
    from pascal_install.doctor.case import make_case
    from pascal_install.resolve.context import make_context

    target = find_chosen_target(settings, environ)
    host = find_host(settings, environ, target)
    cache, user = cache_dir(environ), user_dir(environ)
    names = package_names(overlay=settings.catalogue, user=user, cache_dir=cache)
    catalogue = load(names, target.os, target.machine, overlay=settings.catalogue, user=user, cache_dir=cache)
    request = Request((), settings.torch_source, settings.allow_unconfirmed)
    return make_case(make_context(request, host, target, catalogue), environ)


def undo_killed(case: Case, watch: Hooks) -> bool:
    """Undo a killed install, waiting for one that is still at work; tell whether there was one."""
    from pascal_install.installation.rollback import recover

    return recover(case.target, watch)


def carry_out_mend(
    symptoms: Sequence[Symptom], case: Case, settings: Settings, watch: Hooks, progress: Progress | None = None
) -> None:
    """Mend what the checks of `doctor` found, as one change. Whatever is raised, the environment is as before."""
    from pascal_install.doctor.mend import plan_mend

    mend = plan_mend(symptoms, case, case.context.request)
    if mend.recover:
        undo_killed(case, watch)
    first = mend.plan
    if first is None or first.problem is not None:
        return

    def choose(request: Request) -> Plan:
        return plan_mend(symptoms, case, request).plan or first

    options = _options(settings, case.environ, case.context.catalogue, progress)._replace(unwanted=mend.remove)
    _choose_and(choose, case.context.request, options, watch, execute)


def _options(
    settings: Settings, environ: Mapping[str, str], catalogue: Catalogue, progress: Progress | None
) -> Options:
    return Options(
        environ=_with_cert(environ, settings.cert),
        cache_dir=cache_dir(environ),
        make_fetcher=lambda: make_fetcher(settings, environ),
        mirrors=settings.mirrors,
        installer=settings.installer,
        import_names={name: package.import_name for name, package in catalogue.packages.items()},
        offline=settings.offline,
        progress=progress,
    )


def _with_cert(environ: Mapping[str, str], cert: str) -> Mapping[str, str]:
    """Let --cert go before what the person has set for pip. requests, in pip too, puts its own variables first."""
    if not cert:
        return environ
    kept = {name: text for name, text in environ.items() if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    return {**kept, "PIP_CERT": os.path.abspath(cert)}


def _resolve_and(
    packages: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    watch: Hooks,
    progress: Progress | None,
    act: Callable[[Plan, Options, Hooks], _Done],
) -> tuple[Plan, _Done | None]:
    facts = find_facts(packages, settings, environ)
    options = _options(settings, environ, facts.catalogue, progress)

    def choose(request: Request) -> Plan:
        return resolve(request, facts.host, facts.target, facts.catalogue)

    return _choose_and(choose, facts.request, options, watch, act)


def _choose_and(
    choose: Callable[[Request], Plan],
    request: Request,
    options: Options,
    watch: Hooks,
    act: Callable[[Plan, Options, Hooks], _Done],
) -> tuple[Plan, _Done | None]:
    """Act on the plan for a request, and again without what turns out not to be published or to be out of reach."""
    from pascal_install.installation.publication import NotPublishedError

    while True:
        plan = choose(request)
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
            request = request._replace(torch_source="pypi")
            if choose(request).problem is not None:
                raise  # what stands in the way is the network, not that PyPI has no such build
            watch.on_phase("torch-source", error.summary)


def _is_unreachable(plan: Plan, fetcher: Fetcher) -> bool:
    """Tell whether it is PyTorch's host that cannot be reached, not another one."""
    torch = plan.pin("torch")
    if torch is None or not torch.build.wheel.url:
        return False
    try:
        fetcher.in_haste().head(torch.build.wheel.url)
    except NetworkError:
        return True
    return False
