"""`pascal-install rollback`: back to what was there before the last install."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from pascal_install.api import cache_dir
from pascal_install.cli.options import add_output
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.cli.signals import interrupt_when_told_to_end
from pascal_install.cli.watch import Watch
from pascal_install.facts.interpreter import find_target
from pascal_install.installation.rollback import WayBack, forget, rollback, way_back

EPILOG = """\
examples:
  pascal-install rollback --list     what it would do
  pascal-install rollback            do it
  pascal-install rollback --forget   give up the way back, and the disk that it takes
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser(
        "rollback", "Bring back what was there before the last install of this environment.", environ, EPILOG
    )
    built.value("--python", "the target: a path or a version (default: the active environment)", metavar="PYTHON")
    built.switch("--list", "only show what it would do")
    built.switch("--forget", "give up the way back of the last install, and the disk that it takes")
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Undo the last install, or a killed one."""
    options = parser(environ).parse_args(arguments)
    target = find_target(options.python, environ=environ, cwd=os.getcwd(), cache_dir=cache_dir(environ))
    wants_json = options.format == "json"
    if options.forget:
        freed = forget(target)
        sys.stdout.write(
            f'{{"schema": 1, "freed_bytes": {freed}}}\n' if wants_json else f"freed {freed / 1e6:.0f} MB\n"
        )
        return 0
    if options.list:
        found = way_back(target)
    else:
        interrupt_when_told_to_end()
        watch = Watch(quiet=options.quiet or wants_json, verbose=options.verbose, color=wants_color(options, environ))
        found = rollback(target, watch)
    sys.stdout.write(_document(found) if wants_json else _text(found, listed=options.list))
    return 0


def _text(found: WayBack | None, *, listed: bool) -> str:
    if found is None:
        return "nothing to go back to\n" if listed else "a killed install was undone\n"
    verb = "would bring back" if listed else "brought back"
    from pascal_install.report.text import clean

    killed = ", which was killed" if found.was_killed else ""
    lines = [f"{verb} what was there before the install{f' of {found.created_at}' if found.created_at else ''}{killed}"]
    for name, now, then in found.steps:
        lines.append(clean(f"  {name} {now or '-'} -> {then or 'not installed'}"))
    lines += [clean(f"  refused: {changed}") for changed in found.changed_since]
    return "\n".join(lines) + "\n"


def _document(found: WayBack | None) -> str:
    from pascal_install.report.document import SCHEMA, to_json

    steps = [
        {"name": name, "now": now or None, "then": then or None} for name, now, then in (found.steps if found else ())
    ]
    created = found.created_at if found else None
    return to_json(
        {"schema": SCHEMA, "install": created, "steps": steps, "refused": list(found.changed_since if found else ())}
    )
