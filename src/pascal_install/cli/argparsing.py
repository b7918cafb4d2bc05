"""The full reading of a command line, by argparse: help, errors, and whatever is not written plainly."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from pascal_install.errors import UsageError
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pascal_install.cli.parser import Declared, Parser


def parse(declared: Parser, arguments: Sequence[str]) -> dict[str, Any]:
    """Read a command line as argparse does, options and words in any order. Raises UsageError with its words."""
    parser = _Parser(
        prog=declared.prog,
        description=declared.description,
        epilog=declared.epilog,
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    for one in declared.declared:
        _add(parser, one)
    read = vars(parser.parse_intermixed_args(arguments))
    # argparse gives an empty list for words that are not there, and makes a list anew of those that are.
    return {one.dest: read[one.dest] or one.default for one in declared.declared}


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's own words."""
        raise UsageError(message, hints=(f"see {self.prog} --help",))


def _add(parser: _Parser, one: Declared) -> None:
    more: dict[str, Any] = {"help": one.help}
    if one.kind == "switch":
        more.update(action="store_true", default=one.default)
    elif one.kind == "words":
        more.update(nargs="+" if one.at_least else "*", metavar=one.metavar)
    else:
        more.update(choices=one.choices or None)
        if one.metavar:
            more["metavar"] = one.metavar
        if one.kind != "word":
            more["default"] = one.default
        if one.kind == "values":
            more["action"] = _Collect
    parser.add_argument(*one.names, **more)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Make a formatter of known width: help reads the same on every terminal, in documents and in tests."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=100)


class _Collect(argparse.Action):
    """Collect values; those on the command line replace the ones from the environment."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        _option: str | None = None,
    ) -> None:
        given = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if given is self.default else [*given, values])
