"""`pascal-install catalogue list`: what the catalogue holds, and how old each part of it is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date

from pascal_install.api import cache_dir
from pascal_install.catalogue.load import open_layers
from pascal_install.catalogue.locate import user_dir
from pascal_install.catalogue.overview import overview
from pascal_install.cli.options import add_catalogue, add_output, settings_of
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import UsageError
from pascal_install.report import overview as words
from pascal_install.report.document import to_json

EPILOG = """\
examples:
  pascal-install catalogue list
  pascal-install catalogue list torch exllamav2 --format json
  pascal-install catalogue list --catalogue ./my-builds             your own builds beside ours
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the sub-command's parser."""
    built = Parser("catalogue list", "What the catalogue holds, and how old each part is.", environ, EPILOG)
    built.words("packages", metavar="PACKAGE", help_text="only these (default: all, and the tables)")
    add_catalogue(built)
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print one line for each part."""
    options = parser(environ).parse_args(arguments)
    settings = settings_of(options)
    layers = open_layers(overlay=settings.catalogue, user=user_dir(environ), cache_dir=cache_dir(environ))
    origins = [layer.origin for layer in layers]
    parts = overview(layers)
    unknown = sorted(set(options.packages) - {part.name for part in parts if part.role})
    if unknown:
        raise UsageError(f"not in the catalogue: {', '.join(unknown)}", code="unknown-package")
    chosen = [part for part in parts if not options.packages or part.name in options.packages]
    # The age of data is counted in whole days, by the calendar of whoever reads it.
    today = date.today()
    if options.format == "json":
        sys.stdout.write(to_json(words.overview_document(chosen, origins, today)))
    else:
        sys.stdout.write(words.overview(chosen, origins, today, color=wants_color(options, environ)))
    return 0
