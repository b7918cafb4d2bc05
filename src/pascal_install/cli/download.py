"""`pascal-install download`: a folder of wheels for machines without a network."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from pascal_install.actions import make_wheelhouse
from pascal_install.cli.options import add_network, add_output, add_resolving, packages_of, settings_of
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.cli.signals import interrupt_when_told_to_end
from pascal_install.cli.watch import Watch
from pascal_install.errors import UnsatisfiableError
from pascal_install.report.fit import columns_of

EPILOG = """\
examples:
  pascal-install download exllamav2 -d wheelhouse --gpu "GTX 1080 Ti" --driver 580.95.05
  pascal-install install --wheelhouse wheelhouse        on the other machine, without a network

The folder also holds pylock.toml, the manifest, and requirements.txt with hashes for pip itself.
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("download", "Fill a folder with all wheels of a plan, dependencies included.", environ, EPILOG)
    add_resolving(built)
    built.value("--dest", "the folder (default: wheelhouse)", default="wheelhouse", metavar="DIR", short="-d")
    add_network(built)
    add_output(built, ("text",))
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Fill the folder; 3 where there is no plan."""
    options = parser(environ).parse_args(arguments)
    interrupt_when_told_to_end()
    color = wants_color(options, environ)
    watch = Watch(quiet=options.quiet, verbose=options.verbose, color=color)
    settings = settings_of(options)
    plan, names = make_wheelhouse(packages_of(options), options.dest, settings, environ, watch, watch.progress)
    if names is None:
        from pascal_install.report import text

        sys.stdout.write(text.plan(plan, color=color, columns=columns_of(sys.stdout)))
        return UnsatisfiableError.exit_code
    sys.stdout.write(f"{len(names)} wheels, pylock.toml and requirements.txt in {options.dest}\n")
    return 0
