"""`pascal-install inspect`: which architectures a wheel, library or environment carries, read from the binaries."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from pascal_install.api import Settings, cache_dir, find_chosen_target, find_host, make_fetcher
from pascal_install.catalogue.load import driver_branches, load_gpus
from pascal_install.cli.options import add_network, add_output, settings_of
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import UsageError
from pascal_install.facts.gpu_name import find_gpu
from pascal_install.model.cuda import ComputeCapability, CudaVersion
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.binary.source import DamagedError
    from pascal_install.inspection.pairs import Pair
    from pascal_install.inspection.report import Report

EPILOG = """\
examples:
  pascal-install inspect torch                                   the installed torch
  pascal-install inspect ./venv --gpu "GTX 1080 Ti"              everything in an environment
  pascal-install inspect xformers-0.0.30-cp311-cp311-manylinux_2_28_x86_64.whl
  pascal-install inspect https://host.example/some.whl --quick --gpu 6.1
  pascal-install inspect ./xformers.whl --against torch          will it load beside the installed torch?
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    description = (
        "Read the device code out of libraries, wheels, addresses of wheels, installed packages, environments."
    )
    built = Parser("inspect", description, environ, EPILOG)
    built.words("subjects", "what to look into", metavar="PATH|WHEEL|URL|NAME", at_least=1)
    built.values("--gpu", "give the verdict for this GPU; repeatable (default: the GPUs found)", metavar="GPU")
    built.value("--python", "the environment of a NAME: a path or a version", metavar="PYTHON")
    built.switch("--quick", "of a wheel: stop at a proven yes (needs a GPU)")
    built.switch("--deep", "also find device code that is kept as plain data, and report it apart")
    built.value(
        "--against",
        "do the symbols resolve beside this torch: an environment, folder, wheel, URL, or `torch`, the installed one",
        metavar="TORCH",
    )
    add_network(built)
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print what each subject carries."""
    options = parser(environ).parse_args(arguments)
    settings = settings_of(options)
    gpus, driver_cuda = _gpus(settings, environ)
    if options.quick and not gpus:
        raise UsageError("--quick stops at a yes for a GPU, and there is none", hints=("name one with --gpu",))
    quiet = options.quiet or options.format == "json"
    reports = [
        _inspect_url(subject, gpus, settings, environ, quick=options.quick, deep=options.deep, quiet=quiet)
        if "://" in subject
        else _inspect(subject, gpus, settings, environ, quick=options.quick, deep=options.deep)
        for subject in options.subjects
    ]
    pairs = [_pair(subject, options.against, settings, environ) for subject in options.subjects if options.against]
    if options.format == "json":
        from pascal_install.inspection.document import document
        from pascal_install.report.document import to_json

        documents = [document(report, gpus) for report in reports]
        for found, pair in zip(documents, pairs, strict=False):
            from pascal_install.inspection.pairs import pair_document

            found["against"] = pair_document(pair)
        sys.stdout.write(to_json(documents[0] if len(documents) == 1 else {"schema": 1, "inspections": documents}))
    else:
        from pascal_install.report.inspected import Drivers, against, inspected

        color = wants_color(options, environ)
        drivers = Drivers(_driver_branches(reports, gpus, environ), driver_cuda)
        sys.stdout.write(
            "\n".join(inspected(report, gpus, drivers, verbose=options.verbose, color=color) for report in reports)
        )
        sys.stdout.writelines("\n" + against(pair, verbose=options.verbose, color=color) for pair in pairs)
    return _tell_damage([error for report in reports for error in report.damaged])


def _driver_branches(
    reports: Sequence[Report], gpus: Sequence[ComputeCapability], environ: Mapping[str, str]
) -> Sequence[tuple[int, CudaVersion]]:
    """Give the branches of the driver with their CUDA versions, where a verdict rests on PTX."""
    from pascal_install.inspection.report import verdict

    decisions = [verdict(report, gpu) for report in reports for gpu in gpus]
    if any(decision and decision.verdict.needs for decision in decisions):
        return driver_branches(cache_dir=cache_dir(environ))
    return ()


def _tell_damage(damaged: Sequence[DamagedError]) -> int:
    """Say what was found broken beside the answer, and give the exit code: a script must not take half for all."""
    if not damaged:
        return 0
    from pascal_install.report import text

    sys.stderr.writelines(text.error(error) for error in damaged)
    return damaged[0].exit_code


def _gpus(settings: Settings, environ: Mapping[str, str]) -> tuple[tuple[ComputeCapability, ...], CudaVersion | None]:
    """Give the compute capabilities to judge by: those given, else those of this machine, else none.

    With this machine's comes the CUDA version that its driver knows, as far as that is known.
    """
    if settings.gpus:
        # Numbers need no names: reading the catalogue would take longer than reading a library.
        numbers = all("." in text and text.replace(".", "").isdigit() for text in settings.gpus)
        names = () if numbers else load_gpus(cache_dir=cache_dir(environ))
        return tuple(dict.fromkeys(find_gpu(text, names)[1] for text in settings.gpus)), None
    from pascal_install.facts.tags import describe_platform

    host = find_host(settings, environ, describe_platform("", f"{sys.version_info[0]}.{sys.version_info[1]}"))
    found = {gpu.capability for gpu in host.visible_gpus if gpu.capability and gpu.source != "pci"}
    return tuple(sorted(found)), host.driver.cuda if host.driver else None


def _pair(subject: str, torch: str, settings: Settings, environ: Mapping[str, str]) -> Pair:
    from pascal_install.inspection.pairs import check_pair, is_name

    folders = site_dirs(settings, environ) if is_name(subject) or is_name(torch) else ()
    fetcher = make_fetcher(settings, environ) if "://" in f"{subject} {torch}" else None
    return check_pair(subject, torch, fetcher, site_dirs=folders)


def _inspect(
    subject: str,
    gpus: Sequence[ComputeCapability],
    settings: Settings,
    environ: Mapping[str, str],
    *,
    quick: bool,
    deep: bool,
) -> Report:
    from pascal_install.inspection.local import inspect_distribution
    from pascal_install.inspection.subject import inspect_path

    if os.path.exists(subject) or os.sep in subject or subject.endswith((".whl", ".so", ".dll", ".pyd", ".a")):
        return inspect_path(subject, gpus, quick=quick, deep=deep)
    return inspect_distribution(subject, site_dirs(settings, environ), deep=deep)


def _inspect_url(
    url: str,
    gpus: Sequence[ComputeCapability],
    settings: Settings,
    environ: Mapping[str, str],
    *,
    quick: bool,
    deep: bool,
    quiet: bool,
) -> Report:
    """Inspect a remote wheel: first say how much will be fetched, then how far it is."""
    from pascal_install.inspection.remote import inspect_url
    from pascal_install.report.progress import make_progress, size_text

    display = make_progress(sys.stderr, quiet=quiet)
    name = url.partition("?")[0].rpartition("/")[2]
    told = -1

    def tell(fetched: int, total: int) -> None:
        nonlocal told
        if told < 0:
            told = 0
            display.note(f"{name}: at most {size_text(total)} to fetch")
            display.announce(1, total, is_exact=not quick)
        display.advance(name, fetched - told)
        told = fetched

    try:
        report = inspect_url(url, make_fetcher(settings, environ), gpus, quick=quick, deep=deep, progress=tell)
        if told >= 0:
            display.finish(name)
        return report
    finally:
        display.close()


def site_dirs(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the folders in which the target's packages are."""
    target = find_chosen_target(settings, environ)
    return tuple(dict.fromkeys((target.purelib, target.platlib)))
