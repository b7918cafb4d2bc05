"""Command lines: what a command takes is declared once, and read without argparse where it is written plainly.

argparse has the last word (`cli.argparsing`): help, errors, and every line that is not of the plain kind go through it.
It is loaded for those only, since loading it costs more than a whole plan.
"""

from __future__ import annotations

from pascal_install.errors import UsageError
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

PREFIX = "PASCAL_INSTALL_"


class Declared(NamedTuple):
    """One option or positional argument of a command."""

    names: tuple[str, ...]
    """`-o` and `--output`; of a positional argument its name, without dashes."""
    kind: str
    """`value`, `values` (repeatable), `switch`; positional: `word` (exactly one), `words` (any number)."""
    help: str
    default: Any = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    at_least: int = 0
    """How many words must be there."""

    @property
    def dest(self) -> str:
        """Its name among the values that are read."""
        return self.names[-1].lstrip("-").replace("-", "_")


class Options:
    """What a command line says: each option by its name, `--torch-source` as `torch_source`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Give an option; which there are depends on the command."""

        def __setattr__(self, name: str, value: object) -> None:
            """Change one."""


class Parser:
    """What one command takes. Each option has an environment variable, which gives its default."""

    def __init__(self, command: str, description: str, environ: Mapping[str, str], epilog: str = "") -> None:
        self.prog = f"pascal-install {command}"
        self.description = description
        self.epilog = epilog
        self.declared: list[Declared] = []
        self._environ = environ
        self._declare("--debug", "switch", "on an unexpected error, show the traceback", default=False)

    def words(self, name: str, help_text: str, *, metavar: str, at_least: int = 0, default: Sequence[str] = ()) -> None:
        """Take any number of positional arguments."""
        self._declare(name, "words", help_text, default=default, metavar=metavar, at_least=at_least)

    def word(self, name: str, help_text: str, *, choices: Sequence[str]) -> None:
        """Take exactly one positional argument."""
        self._declare(name, "word", help_text, choices=tuple(choices), at_least=1)

    def value(
        self,
        flag: str,
        help_text: str,
        *,
        metavar: str = "",
        choices: Sequence[str] = (),
        default: str = "",
        short: str = "",
    ) -> None:
        """Take an option with one value."""
        preset = self._preset(flag, choices) or default
        self._declare(flag, "value", help_text, default=preset, metavar=metavar, choices=tuple(choices), short=short)

    def values(self, flag: str, help_text: str, *, metavar: str) -> None:
        """Take a repeatable option; its environment variable holds several values, separated by `;`.

        Those on the command line replace the ones from the environment.
        """
        self._declare(flag, "values", help_text, default=self.preset_list(flag), metavar=metavar)

    def switch(self, flag: str, help_text: str, short: str = "") -> None:
        """Take a switch; its environment variable is on when it is neither empty nor 0, false, no or off."""
        self._declare(
            flag,
            "switch",
            help_text,
            default=self._preset(flag).lower() not in ("", "0", "false", "no", "off"),
            short=short,
        )

    def preset_list(self, flag: str) -> list[str]:
        """Give the values that an environment variable holds, separated by `;`."""
        return [part.strip() for part in self._preset(flag).split(";") if part.strip()]

    def parse_args(self, arguments: Sequence[str]) -> Options:
        """Read a command line. Raises UsageError; `--help` prints and leaves the program."""
        values = self.read_plain(arguments)
        if values is None:
            from pascal_install.cli.argparsing import parse

            values = parse(self, arguments)
        return Options(values)

    def read_plain(self, arguments: Sequence[str]) -> dict[str, Any] | None:
        """Read a line of words, known options and values; None for any other, also where something is wrong in it."""
        options = {name: one for one in self.declared for name in one.names if name.startswith("-")}
        values = {one.dest: one.default for one in self.declared}
        words: list[str] = []
        left = iter(arguments)
        for text in left:
            if not text.startswith("-"):
                words.append(text)
                continue
            flag, equals, value = text.partition("=")
            option = options.get(flag)
            if option is None or (equals and (option.kind == "switch" or not flag.startswith("--"))):
                return None
            if option.kind == "switch":
                values[option.dest] = True
                continue
            given = value if equals else next(left, "-")
            if (not equals and given.startswith("-")) or (option.choices and given not in option.choices):
                return None
            before = values[option.dest]
            repeated = [given] if before is option.default else [*before, given]
            values[option.dest] = repeated if option.kind == "values" else given
        return values if self._take_words(words, values) else None

    def _take_words(self, words: list[str], values: dict[str, Any]) -> bool:
        """Put the words where they belong; False where there are too many or too few, or another one is meant."""
        takes = next((one for one in self.declared if one.kind in ("word", "words")), None)
        if takes is None:
            return not words
        if len(words) < takes.at_least:
            return False
        if takes.kind == "word":
            values[takes.dest] = words[0]
            return len(words) == 1 and words[0] in takes.choices
        if words:
            values[takes.dest] = words
        return True

    def _declare(self, name: str, kind: str, help_text: str, *, short: str = "", **more: Any) -> None:
        self.declared.append(Declared((short, name) if short else (name,), kind, help_text, **more))

    def _preset(self, flag: str, choices: Sequence[str] = ()) -> str:
        name = PREFIX + flag.lstrip("-").replace("-", "_").upper()
        value = self._environ.get(name, "")
        if value and choices and value not in choices:
            raise UsageError(f"{name}={value!r} is not one of {', '.join(choices)}", code="bad-setting")
        return value
