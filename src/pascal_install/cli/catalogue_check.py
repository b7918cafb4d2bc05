"""`pascal-install catalogue check`: whether what the catalogue says is true."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from pascal_install.catalogue.checking.files import check_files
from pascal_install.catalogue.decode import Data, decode
from pascal_install.catalogue.locate import data_dir
from pascal_install.catalogue.overview import count_parts
from pascal_install.cli.options import Parser, add_output, settings_of
from pascal_install.cli.plan import wants_color
from pascal_install.report.document import to_json
from pascal_install.report.overview import checked, checked_document

EPILOG = """\
examples:
  pascal-install catalogue check                           every field, every row, the rows with each other
  pascal-install catalogue check --catalogue ./my-builds   your own builds, as they will lie over ours

Exit code 6 with all problems, each with its file, line and field.
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the sub-command's parser."""
    built = Parser("catalogue check", "Is what the catalogue says true?", environ, EPILOG)
    built.value("--catalogue", "check this folder of your own, instead of ours", metavar="DIR")
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Check, and tell how many releases of each package have which confidence."""
    options = parser(environ).parse_args(arguments)
    directory, data = check(settings_of(options).catalogue)
    parts = count_parts(data, directory)
    if options.format == "json":
        sys.stdout.write(to_json(checked_document(parts)))
    else:
        sys.stdout.write(checked(parts, color=wants_color(options, environ)))
    return 0


def check(catalogue: str) -> tuple[str, Data]:
    """Check the files of a folder, or our own. Raises DataError."""
    if not catalogue:
        return data_dir(), check_files(data_dir())
    return data_dir(catalogue), check_files(data_dir(catalogue), decode(data_dir()))
