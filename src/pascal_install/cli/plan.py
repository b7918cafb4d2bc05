"""`pascal-install plan`: resolve only."""

from __future__ import annotations

import sys

from pascal_install.api import Settings, make_plan
from pascal_install.cli.options import (
    FORMATS,
    add_network,
    add_output,
    add_resolving,
    lock_of,
    settings_of,
)
from pascal_install.cli.parser import Options, Parser
from pascal_install.errors import UnsatisfiableError, UsageError
from pascal_install.report.fit import columns_of
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pascal_install.api import Settings
    from pascal_install.model.plan import Plan

EPILOG = """\
examples:
  pascal-install plan exllamav2
  pascal-install plan exllamav2 --gpu "GTX 1080 Ti" --driver 580.95.05 --python-version 3.12 --platform linux_x86_64
  pascal-install plan torch --format json | jq -r '.pins[].url'
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("plan", "Resolve only: what would be installed, and why.", environ, EPILOG)
    add_resolving(built, or_lock=True)
    add_network(built)
    add_output(built, FORMATS)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the plan; 3 where there is none."""
    options = parser(environ).parse_args(arguments)
    settings = settings_of(options)
    lock = lock_of(options)
    if options.format == "pylock":
        return _print_lock(options, lock, environ)
    if lock:
        from pascal_install.actions import read_locked

        answer = read_locked(lock, settings, environ).plan
    else:
        answer = make_plan(options.packages, settings, environ)
    color = wants_color(options, environ)
    form = options.format or "text"
    if answer.problem is not None and form not in ("text", "json"):
        # A file of requirements or a script of commands must not be filled with an explanation.
        sys.stderr.write(render(answer, "text"))
    else:
        sys.stdout.write(render(answer, form, settings, color=color, columns=columns_of(sys.stdout)))
    return UnsatisfiableError.exit_code if answer.problem is not None else 0


def _print_lock(options: Options, lock: str, environ: Mapping[str, str]) -> int:
    """Print what `pascal-install lock -o -` does: a lock names the dependencies too, so this asks the indexes."""
    if lock:
        raise UsageError(f"--format pylock: {lock} is a lock already")
    from pascal_install.cli.lock import write_lock

    return write_lock(options, "-", environ)


def render(plan: Plan, form: str, settings: Settings | None = None, *, color: bool = False, columns: int = 0) -> str:
    """Give a plan in one of the formats; requirements and commands are those of a plan that has some."""
    mirrors, installer = (settings.mirrors, settings.installer) if settings else ((), "pip")
    if form == "json":
        from pascal_install.report.document import plan_document, to_json

        return to_json(plan_document(plan, mirrors, installer))
    if form == "requirements":
        from pascal_install.report import requirements

        return requirements.requirements(plan, mirrors)
    from pascal_install.report import text

    if form == "commands":
        return text.commands(plan, mirrors, installer)
    return text.plan(plan, mirrors, installer, color=color, columns=columns)


def wants_color(options: object, environ: Mapping[str, str]) -> bool:
    """Colour only a terminal, and only where nobody asked for plain text (https://no-color.org)."""
    plain = getattr(options, "no_color", False) or environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    return not plain and sys.stdout.isatty()
