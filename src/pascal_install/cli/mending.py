"""What `doctor` shares with an install: facts in, one change out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pascal_install.api import Settings, cache_dir, find_chosen_target, find_host, make_fetcher
from pascal_install.catalogue.load import load, package_names
from pascal_install.doctor.case import Case, Symptom, make_case
from pascal_install.doctor.mend import plan_mend
from pascal_install.installation.execute import Options, execute
from pascal_install.installation.hooks import Hooks
from pascal_install.installation.publication import NotPublishedError
from pascal_install.installation.rollback import recover
from pascal_install.model.request import Request
from pascal_install.resolve.context import make_context

if TYPE_CHECKING:
    from pascal_install.report.progress import Progress


def find_case(settings: Settings, environ: Mapping[str, str]) -> Case:
    """Read what the checks look at: the machine, the target, and the catalogue."""
    target = find_chosen_target(settings, environ)
    host = find_host(settings, environ, target)
    cache = cache_dir(environ)
    names = package_names(overlay=settings.catalogue, cache_dir=cache)
    catalogue = load(names, target.os, target.machine, overlay=settings.catalogue, cache_dir=cache)
    request = Request((), settings.torch_source, settings.allow_unconfirmed)
    return make_case(make_context(request, host, target, catalogue), environ)


def carry_out(
    symptoms: Sequence[Symptom], case: Case, settings: Settings, watch: Hooks, progress: Progress | None
) -> None:
    """Mend what the checks found, as one change. Whatever is raised, the environment is as it was before."""
    request = case.context.request
    while True:
        mend = plan_mend(symptoms, case, request)
        if mend.recover:
            recover(case.target, watch)
        if mend.plan is None or mend.plan.problem is not None:
            return
        watch.on_plan(mend.plan)
        packages = case.context.catalogue.packages
        options = Options(
            environ=case.environ,
            cache_dir=cache_dir(case.environ),
            make_fetcher=lambda: make_fetcher(settings, case.environ),
            mirrors=settings.mirrors,
            installer=settings.installer,
            import_names={name: package.import_name for name, package in packages.items()},
            offline=settings.offline,
            progress=progress,
            unwanted=mend.remove,
        )
        try:
            execute(mend.plan, options, watch)
        except NotPublishedError as error:
            watch.on_phase("not-published", str(error))
            request = request._replace(unpublished=request.unpublished | error.urls)
        else:
            return
