"""`pascal-install catalogue list|check|refresh`: the data behind every answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pascal_install.cli.parser import Parser
from pascal_install.errors import UsageError

#: Each sub-command with its line in `--help`; `cli/catalogue_NAME.py` holds `parser` and `main`, as a command does.
SUBCOMMANDS: Mapping[str, str] = {
    "list": "what it holds: packages, builds, versions, how each fact is known, how old it is",
    "refresh": "what is new on the indexes, as a diff and then in your own folder",
    "check": "is it true: every field and row, the real wheels, the addresses, the symbols",
}

EXAMPLES = """\
examples:
  pascal-install catalogue list torch exllamav2      what it holds of these, and how old that is
  pascal-install catalogue check                     is every field and row sound?
  pascal-install catalogue refresh torch --dry-run   what has been published since
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the parser of the bare command, which only tells its sub-commands."""
    width = max(map(len, SUBCOMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in SUBCOMMANDS.items())
    built = Parser("catalogue", "The data behind every answer.", environ, f"sub-commands:\n{lines}\n\n{EXAMPLES}")
    built.word("subcommand", "each has its own --help", choices=tuple(SUBCOMMANDS))
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Hand over to the sub-command."""
    if not arguments or arguments[0] not in SUBCOMMANDS:
        parser(environ).parse_args(arguments[:1])
        raise UsageError("a sub-command comes first", hints=("see pascal-install catalogue --help",))
    code: int = _module(arguments[0]).main(arguments[1:], environ)
    return code


def _module(name: str) -> Any:
    import importlib

    return importlib.import_module(f"pascal_install.cli.catalogue_{name}")
