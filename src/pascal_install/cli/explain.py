"""`pascal-install explain`: every candidate, and the rule that passed it over."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from pascal_install.api import find_facts
from pascal_install.cli.options import add_network, add_output, add_resolving, packages_of, settings_of
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import UnsatisfiableError
from pascal_install.resolve.explain import problem_of
from pascal_install.resolve.search import search_meant

EPILOG = """\
examples:
  pascal-install explain torch
  pascal-install explain 'exllamav2==0.3.2' --gpu "GTX 980"
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    description = "Every candidate, newest first, and each rule that passed it over: what it needed, and what it found."
    built = Parser("explain", description, environ, EPILOG)
    add_resolving(built)
    add_network(built)
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """List the candidates; 3 where none of them serves."""
    options = parser(environ).parse_args(arguments)
    facts = find_facts(packages_of(options), settings_of(options), environ)
    found = search_meant(*facts)
    problem = None if found.picks else problem_of(found, facts.request)
    if options.format == "json":
        from pascal_install.report.document import to_json
        from pascal_install.report.explanation import explanation_document

        sys.stdout.write(to_json(explanation_document(found, problem)))
    else:
        from pascal_install.report.explanation import explanation
        from pascal_install.report.fit import columns_of, fit

        words = explanation(found, problem, color=wants_color(options, environ))
        sys.stdout.write(fit(words, columns_of(sys.stdout)))
    return 0 if found.picks else UnsatisfiableError.exit_code
