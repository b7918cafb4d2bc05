"""`pascal-install info`: GPUs, driver and target, as detected, and how."""

from __future__ import annotations

import sys

from pascal_install.api import cache_dir, find_chosen_target, find_host
from pascal_install.catalogue.load import load
from pascal_install.catalogue.locate import user_dir
from pascal_install.cli.options import add_catalogue, add_machine, add_output, settings_of
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import HostError
from pascal_install.facts.host import require_gpus
from pascal_install.model.gpu import HostFacts
from pascal_install.model.request import Request
from pascal_install.report.fit import columns_of, fit
from pascal_install.resolve.context import make_context
from pascal_install.resolve.support import support_of
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EPILOG = """\
examples:
  pascal-install info
  pascal-install info --gpu "Tesla P40" --driver 550.163        what that machine could run
  pascal-install info --python ./venv --format json
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("info", "GPUs, driver and target, as detected, and how each fact was found.", environ, EPILOG)
    add_machine(built)
    add_catalogue(built)
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print what was found and how; ends as an install would where no GPU can be used, after telling all."""
    options = parser(environ).parse_args(arguments)
    settings = settings_of(options)
    target = find_chosen_target(settings, environ)
    host = find_host(settings, environ, target)
    catalogue = load(
        ("torch",),
        target.os,
        target.machine,
        overlay=settings.catalogue,
        user=user_dir(environ),
        cache_dir=cache_dir(environ),
    )
    context = make_context(Request(()), host, target, catalogue)
    host, support = context.host, support_of(context)
    problem = _problem_of(host)
    if options.format == "json":
        from pascal_install.report.document import to_json
        from pascal_install.report.machine import machine_document

        sys.stdout.write(to_json(machine_document(host, target, support, problem)))
    else:
        from pascal_install.report.machine import machine

        words = machine(host, target, support, color=wants_color(options, environ))
        sys.stdout.write(fit(words, columns_of(sys.stdout)))
    if problem is None:
        return 0
    from pascal_install.report import text

    sys.stdout.flush()
    sys.stderr.write(fit(text.error(problem), columns_of(sys.stderr)))
    return problem.exit_code


def _problem_of(host: HostFacts) -> HostError | None:
    """Give the error that an install would end with; here it stands beside all that was found."""
    try:
        require_gpus(host)
    except HostError as error:
        return error
    return None
