"""`pascal-install catalogue refresh`: what the indexes publish now."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pascal_install.api import cache_dir
from pascal_install.catalogue.load import open_layers
from pascal_install.catalogue.locate import checkout_data_dir, data_dir, is_data_dir, user_dir
from pascal_install.cli.options import add_network, add_output, settings_of
from pascal_install.cli.parser import Options, Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import NetworkError, UsageError, VerificationError
from pascal_install.model.cuda import CudaVersion, variant_cuda
from pascal_install.report import text
from pascal_install.report.document import error_document, failure_document, to_json
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.catalogue.refresh.run import Outcome, Work
    from pascal_install.model.refreshed import Change, Refreshed

EPILOG = """\
examples:
  pascal-install catalogue refresh                            everything, into your own folder over ours
  pascal-install catalogue refresh torch --dry-run            only show what is new
  pascal-install catalogue refresh torch --index pypi         ask one index only
  pascal-install catalogue refresh torch --catalogue ./mine   into a folder of your choice
  pascal-install catalogue refresh --write-source             into resolver_data/ of a checkout

GITHUB_TOKEN or GH_TOKEN raises GitHub's limit of 60 requests an hour. Exit code 9: a file is another one than the
recorded, and nothing is written; 7: an index cannot be read, and what the others told is written.
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the sub-command's parser."""
    built = Parser("catalogue refresh", "What is new on the indexes.", environ, EPILOG)
    built.words("packages", metavar="PACKAGE", help_text="only these (default: all)")
    built.values("--index", "ask only this index of the packages' files: pypi, pytorch; repeatable", metavar="ID")
    built.switch("--dry-run", "show what is new, write nothing")
    built.switch("--write-source", "write into resolver_data/ of the checkout that runs")
    built.value("--catalogue", "write into this folder instead of your own", metavar="DIR")
    add_network(built)
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask, show the differences, then write them: of every index that could be read.

    Nothing is written where a file is another one than recorded.
    """
    from pascal_install.catalogue.refresh.run import check_names, package_names, refresh, silent_hosts, write
    from pascal_install.report import refreshed as words

    options = parser(environ).parse_args(arguments)
    base, target = data_dir(), _target(options, environ)
    known = package_names(base, target)
    check_names(options.packages, known)
    names = list(dict.fromkeys(options.packages or known))
    by_name: dict[str, Outcome] = {}
    torch, silent = "", dict[str, NetworkError]()
    with _work(options, environ, base, target) as work:
        # Extensions are coupled to what is found of torch.
        for name in sorted(names, key=lambda name: name != "torch"):
            by_name[name] = refresh(name, work._replace(torch=torch, silent=silent))
            silent |= silent_hosts(by_name[name].found)
            torch = by_name["torch"].text if "torch" in by_name else ""
    outcomes = [by_name[name] for name in names]
    found = [outcome.found for outcome in outcomes]
    if options.format != "json":
        sys.stdout.write(words.refreshed(found, color=wants_color(options, environ)))
        sys.stdout.flush()
    alarms = [change for package in found for change in package.of_kind("alarm")]
    written = write(outcomes) if not (alarms or options.dry_run) else ()
    problem = _alarm(alarms) if alarms else _failed(found)
    if options.format == "json":
        document = words.refreshed_document(found, written, work.today)
        sys.stdout.write(to_json({**document, **error_document(problem)} if problem else document))
    elif not options.quiet:
        sys.stdout.writelines(f"wrote {path}\n" for path in written)
    if problem is None:
        return 0
    sys.stderr.write(text.error(problem))
    return problem.exit_code


def _failed(found: Sequence[Refreshed]) -> NetworkError | None:
    """Tell which indexes could not be read, each reason once; None where all could."""
    packages: dict[tuple[str, str], list[str]] = {}
    failures = [(package.name, one) for package in found for one in package.failed]
    for name, one in failures:
        packages.setdefault((one.id, failure_document(one.error)["why"]), []).append(name)
    if not failures:
        return None
    codes = {one.error.code for _, one in failures}
    hints = dict.fromkeys(hint for _, one in failures for hint in one.error.hints)
    ids = ", ".join(dict.fromkeys(index for index, _ in packages))
    some = any(package.asked for package in found)
    return NetworkError(
        f"could not be read: {ids}",
        code=codes.pop() if len(codes) == 1 else "",
        cause="\n".join(f"{index} ({', '.join(names)}): {why}" for (index, why), names in packages.items()),
        hints=(
            *hints,
            "nothing of it changes; the other indexes were read" if some else "nothing was written",
        ),
    )


def _alarm(alarms: Sequence[Change]) -> VerificationError:
    return VerificationError(
        f"{len(alarms)} listed file{' is' if len(alarms) == 1 else 's are'} not the recorded one",
        code="hash-mismatch",
        cause="\n".join(f"{change.publisher}: {change.filenames[0]}: {change.what}" for change in alarms),
        hints=(
            "do not install these files before their publisher explains it; nothing was written",
            "where the mirror or proxy between is at fault, ask the index directly",
        ),
    )


@contextmanager
def _work(options: Options, environ: Mapping[str, str], base: str, target: str) -> Iterator[Work]:
    """Reach the indexes as the person's pip does; PyPI is the index of pip's settings."""
    from pascal_install.catalogue.refresh.run import Work
    from pascal_install.catalogue.refresh.upstream import World
    from pascal_install.inspection.kept import KeptReadings
    from pascal_install.installation.pip_settings import pip_settings
    from pascal_install.installation.selection import person_fetcher
    from pascal_install.report.progress import make_progress

    asked = settings_of(options)
    settings = pip_settings(sys.executable, environ)
    if asked.cert:
        settings = settings._replace(cert=asked.cert)
    cache = cache_dir(environ)
    layers = open_layers(overlay=target if target != base and is_data_dir(target) else "", cache_dir=cache)
    labels = {label for layer in layers for label, *_ in layer.store.read("tables.json")["variants"]}
    with person_fetcher(settings, asked.mirrors, offline=asked.offline, cache_dir=cache) as fetcher:
        yield Work(
            base=base,
            target=target,
            world=World(
                fetcher=fetcher,
                pypi_url="" if settings.no_index else settings.index_url,
                variants=sorted(labels, key=lambda label: variant_cuda(label) or CudaVersion(0, 0)),
                mirrors=asked.mirrors,
                github_token=environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or "",
            ),
            kept=KeptReadings(cache),
            # Dates are those of the world, not of whoever asks: two people refresh alike.
            today=time.strftime("%Y-%m-%d", time.gmtime()),
            only=tuple(options.index),
            watch=make_progress(sys.stderr, quiet=options.quiet),
        )


def _target(options: Options, environ: Mapping[str, str]) -> str:
    if options.write_source and options.catalogue:
        raise UsageError("--write-source and --catalogue name two places to write to")
    if not options.write_source:
        return str(options.catalogue or user_dir(environ))
    if not is_data_dir(checkout_data_dir()):
        raise UsageError(
            "--write-source needs a checkout, and this is an installed copy",
            code="no-checkout",
            hints=("leave it out: your own folder lies over the installed data", "or run it in a clone of the project"),
        )
    return data_dir()
