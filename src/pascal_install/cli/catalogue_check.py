"""`pascal-install catalogue check`: whether what the catalogue says is true."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

from pascal_install.api import cache_dir
from pascal_install.catalogue.checking.files import check_files
from pascal_install.catalogue.decode import Data, decode
from pascal_install.catalogue.locate import checkout_data_dir, data_dir
from pascal_install.catalogue.overview import count_parts
from pascal_install.cli.options import add_network, add_output, settings_of
from pascal_install.cli.parser import Options, Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import DataError, NetworkError, UsageError, VerificationError
from pascal_install.model.build import Package
from pascal_install.model.checked import CheckedFile, CheckedPair, CheckedRow
from pascal_install.report import text
from pascal_install.report.checked import checked_files, checked_pairs, checked_rows, files_in_order, report_document
from pascal_install.report.document import error_document, to_json
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pascal_install.catalogue.checking.binaries import Index
    from pascal_install.fetch import Fetcher
    from pascal_install.model.overview import Part

EPILOG = """\
examples:
  pascal-install catalogue check                           every field, every row, the rows with each other
  pascal-install catalogue check --catalogue ./my-builds   your own builds, as they will lie over ours
  pascal-install catalogue check --binaries torch          its architectures, read from the wheels on PyPI
  pascal-install catalogue check --binaries --one-each --write-source
  pascal-install catalogue check --urls exllamav2          is every file still where the catalogue says?
  pascal-install catalogue check --symbols xformers        do PyPI's builds of it load beside PyPI's torch?

Exit code 6: problems in the files, each with file, line and field. 9: a wheel, or its host, says something else than
the catalogue. 7: a wheel could not be read, or a host not be reached.
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the sub-command's parser."""
    built = Parser("catalogue check", "Is what the catalogue says true?", environ, EPILOG)
    built.words("packages", metavar="PACKAGE", help_text="with --binaries, --urls, --symbols: only these")
    built.switch("--binaries", "read the architectures out of the wheels that PyPI hosts, and compare")
    built.switch("--one-each", "with --binaries: one wheel of each release, not all")
    built.switch("--urls", "ask each host whether it still has each file; PyPI's page tells for PyPI's")
    built.switch(
        "--symbols", "do the extensions on PyPI load beside its torch of that version, whatever its CUDA variant"
    )
    built.switch("--neighbours", "with --symbols: also beside the next older and newer torch")
    built.switch("--write-source", "mend the files: of a checkout, or those of --catalogue")
    built.value("--catalogue", "check this folder of your own, instead of ours", metavar="DIR")
    built.value("--jobs", "how many files at a time (default: 3)", default="3", metavar="N")
    add_network(built)
    add_output(built)
    return built


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 16):
        raise UsageError(f"--jobs: {text!r} is no number from 1 to 16")
    return int(text)


class _Found(NamedTuple):
    """What the world said, beside the files."""

    rows: tuple[CheckedRow, ...] = ()
    files: tuple[CheckedFile, ...] = ()
    pairs: tuple[CheckedPair, ...] = ()

    @property
    def exit_code(self) -> int:
        """A contradiction weighs more than something that could not be found out."""
        contradicted = [
            *(row.is_contradicted for row in self.rows),
            *(file.is_contradicted for file in self.files),
            *(pair.is_contradicted for pair in self.pairs),
        ]
        unknown = [
            *(bool(row.unread) for row in self.rows),
            *(file.state == "unasked" for file in self.files),
            *(pair.state == "unread" for pair in self.pairs),
        ]
        return VerificationError.exit_code if any(contradicted) else NetworkError.exit_code if any(unknown) else 0


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Check, and tell how many releases of each package have which confidence."""
    options = parser(environ).parse_args(arguments)
    at_a_time = _number(options.jobs)
    try:
        directory, data = check(options.catalogue)
    except DataError as error:
        if options.format != "json":
            raise
        problems = error.cause.split("\n")
        sys.stdout.write(to_json({"schema": 1, "problems": problems, **error_document(error)}))
        sys.stderr.write(text.error(error))
        return error.exit_code
    packages = _chosen(options, data)
    found = _Found()
    if options.binaries or options.urls or options.symbols:
        with _network(options, environ, at_a_time) as network:
            found = _Found(
                _check_binaries(directory, packages, network, options) if options.binaries else (),
                _check_urls(packages, network, options) if options.urls else (),
                _check_pairs(directory, packages, data, network, options) if options.symbols else (),
            )
    if options.write_source:
        directory, data = check(options.catalogue)
    _print(count_parts(data, directory), found, options, color=wants_color(options, environ))
    return found.exit_code


def _print(parts: Sequence[Part], found: _Found, options: Options, *, color: bool) -> None:
    if options.format == "json":
        sys.stdout.write(to_json(report_document(parts, *found)))
        return
    verbose = options.verbose
    sys.stdout.write(files_in_order(parts, color=color))
    sys.stdout.write(checked_rows(found.rows, verbose=verbose, color=color) if options.binaries else "")
    sys.stdout.write(checked_files(found.files, verbose=verbose, color=color) if options.urls else "")
    sys.stdout.write(checked_pairs(found.pairs, verbose=verbose, color=color) if options.symbols else "")


def check(catalogue: str) -> tuple[str, Data]:
    """Check the files of a folder, or our own. Raises DataError."""
    if not catalogue:
        return data_dir(), check_files(data_dir())
    return data_dir(catalogue), check_files(data_dir(catalogue), decode(data_dir()))


def _chosen(options: Options, data: Data) -> list[Package]:
    if options.packages and not (options.binaries or options.urls or options.symbols):
        raise UsageError("packages go with --binaries, --urls or --symbols; the files are checked as a whole")
    if options.write_source and not (options.binaries or options.symbols):
        raise UsageError("--write-source goes with --binaries or --symbols")
    if (options.one_each and not options.binaries) or (options.neighbours and not options.symbols):
        raise UsageError("--one-each goes with --binaries, --neighbours with --symbols")
    unknown = [name for name in options.packages if name not in data.packages]
    if unknown:
        raise UsageError(f"not in the catalogue: {', '.join(unknown)}", code="unknown-package")
    if options.write_source and not options.catalogue and not os.path.isdir(checkout_data_dir()):
        raise UsageError(
            "--write-source mends the files of a checkout, and this is an installed copy",
            code="no-checkout",
            hints=("run it in a checkout (pip install -e .)", "or name your own files with --catalogue"),
        )
    return [package for name, package in data.packages.items() if not options.packages or name in options.packages]


class _Network(NamedTuple):
    """What is asked, and where answers are kept."""

    fetcher: Fetcher
    listing: Index
    cache_dir: str
    at_a_time: int
    """How many files."""


@contextmanager
def _network(options: Options, environ: Mapping[str, str], at_a_time: int) -> Iterator[_Network]:
    """Reach hosts as the person's pip does; PyPI's address is the index of pip's settings."""
    from pascal_install.fetch.index_page import list_files
    from pascal_install.installation.pip_settings import pip_settings
    from pascal_install.installation.selection import person_fetcher

    asked = settings_of(options)
    settings = pip_settings(sys.executable, environ)
    if asked.cert:
        settings = settings._replace(cert=asked.cert)
    cache = cache_dir(environ)
    with person_fetcher(settings, asked.mirrors, offline=asked.offline, cache_dir=cache) as fetcher:

        def listing(name: str) -> list[tuple[str, str, str]]:
            return [file[:3] for file in list_files(fetcher, settings.index_url, name)]

        yield _Network(fetcher, listing, cache, at_a_time)


def _check_binaries(
    directory: str, packages: Sequence[Package], network: _Network, options: Options
) -> tuple[CheckedRow, ...]:
    from pascal_install.catalogue.checking.binaries import check_binaries, jobs_of
    from pascal_install.catalogue.checking.rewrite import can_write, from_wheel, write_rows
    from pascal_install.inspection.kept import KeptReadings
    from pascal_install.report.progress import make_progress

    jobs = jobs_of(directory, packages, one_each=options.one_each)
    watch = make_progress(sys.stderr, quiet=options.quiet)
    kept = KeptReadings(network.cache_dir)
    rows = check_binaries(jobs, network.listing, network.fetcher, kept, watch, network.at_a_time)
    if not options.write_source:
        return rows
    of_place = {f"{job.row.file}:{job.row.line}": job for job in jobs}
    to_write = [row for row in rows if can_write(row, of_place[row.place].release.confidence)]
    mends = [(of_place[row.place].row, from_wheel(row)) for row in to_write]
    write_rows(directory, mends, date.today().isoformat())
    return tuple(row._replace(verdict="written") if row in to_write else row for row in rows)


def _check_urls(packages: Sequence[Package], network: _Network, options: Options) -> tuple[CheckedFile, ...]:
    from pascal_install.catalogue.checking.urls import Answers, check_urls

    def tell(done: int, count: int) -> None:
        if not options.quiet and (done % 100 == 0 or done == count):
            sys.stderr.write(f"{done} of {count} files\n")

    answers = Answers(network.cache_dir)
    return check_urls(packages, network.fetcher, network.listing, answers, tell, network.at_a_time)


def _check_pairs(
    directory: str, packages: Sequence[Package], data: Data, network: _Network, options: Options
) -> tuple[CheckedPair, ...]:
    import platform

    from pascal_install.catalogue.checking.rewrite import from_pair, write_rows
    from pascal_install.catalogue.checking.symbols import Kept, check_pairs, evidence, pairs_of

    def tell(words: str) -> None:
        if not options.quiet:
            sys.stderr.write(f"{words}\n")

    torch = data.packages.get("torch") or decode(data_dir()).packages["torch"]
    pairs = pairs_of(directory, packages, torch, platform.machine(), neighbours=options.neighbours)
    found = check_pairs(pairs, network.listing, network.fetcher, Kept(network.cache_dir), tell)
    if options.write_source:
        mends = [
            (pair.row, from_pair(checked, pair.wheel.filename, pair.torch_wheel.filename))
            for pair, checked in evidence(pairs, found)
        ]
        write_rows(directory, mends, date.today().isoformat())
    return found
