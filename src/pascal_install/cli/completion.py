"""`pascal-install completion SHELL`: print the completion script of a shell."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pascal_install.api import cache_dir
from pascal_install.catalogue.load import package_names
from pascal_install.catalogue.locate import user_dir
from pascal_install.cli.catalogue import SUBCOMMANDS
from pascal_install.cli.main import COMMANDS
from pascal_install.cli.parser import Declared, Parser

EPILOG = """\
examples:
  pascal-install completion bash > ~/.local/share/bash-completion/completions/pascal-install
  pascal-install completion zsh  > "${fpath[1]}/_pascal-install"
  pascal-install completion fish > ~/.config/fish/completions/pascal-install.fish
"""

SHELLS = ("bash", "zsh", "fish")

_HELP = Declared(("--help",), "switch", "show the help of the command")


class Completed(NamedTuple):
    """What can follow one command."""

    options: tuple[Declared, ...]
    words: tuple[str, ...]

    @property
    def flags(self) -> str:
        """The long form of every option, separated by spaces."""
        return " ".join(sorted(one.names[-1] for one in self.options))


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("completion", "Print the completion script of a shell.", environ, EPILOG)
    built.word("shell", "the shell that the script is for", choices=SHELLS)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the script; it holds the names of the packages that the catalogue knows now."""
    shell = parser(environ).parse_args(arguments).shell
    packages = package_names(user=user_dir(environ), cache_dir=cache_dir(environ))
    commands = {name: _completed(name, packages) for name in COMMANDS}
    sys.stdout.write({"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands, packages))
    return 0


def _completed(command: str, packages: tuple[str, ...]) -> Completed:
    """Find out what can follow a command; for `catalogue`, what can follow any of its sub-commands."""
    modules = [command, *(f"catalogue_{name}" for name in SUBCOMMANDS if command == "catalogue")]
    declared = [
        one for name in modules for one in importlib.import_module(f"pascal_install.cli.{name}").parser({}).declared
    ]
    options = {one.names[-1]: one for one in declared if one.names[-1].startswith("--")}
    words = SUBCOMMANDS if command == "catalogue" else [word for one in declared for word in _positional(one, packages)]
    return Completed((*options.values(), _HELP), tuple(dict.fromkeys(words)))


def _positional(declared: Declared, packages: tuple[str, ...]) -> tuple[str, ...]:
    if declared.kind == "words":
        return packages if "PACKAGE" in declared.metavar or "NAME" in declared.metavar else ()
    return declared.choices if declared.kind == "word" else ()


def _cases(commands: Mapping[str, Completed], form: str) -> str:
    """Give a shell's `case` lines for the options that take one of a few values."""
    return "".join(
        form.format(command=name, option=option.names[-1], words=" ".join(option.choices))
        for name, one in commands.items()
        for option in one.options
        if option.choices
    )


def _with_files(commands: Mapping[str, Completed]) -> str:
    """Give a pattern of the options that take any value: the shell offers file names after them."""
    flags = {
        flag
        for one in commands.values()
        for option in one.options
        if option.kind in ("value", "values") and not option.choices
        for flag in option.names
    }
    return "|".join(f'*" {flag}"' for flag in sorted(flags))


def _bash(commands: Mapping[str, Completed], packages: Sequence[str]) -> str:
    by_command = "".join(
        f"    {name}) flags='{one.flags}' words='{' '.join(one.words)}' ;;\n" for name, one in commands.items()
    )
    return f"""\
_pascal_install() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}} flags words
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '{" ".join([*commands, *packages])} --help --version' -- "$current"))
    return
  fi
  case $command in {"|".join(commands)}) ;; *) command=install ;; esac
  case "$command ${{COMP_WORDS[COMP_CWORD-1]}}" in
{_cases(commands, '    "{command} {option}") COMPREPLY=($(compgen -W "{words}" -- "$current")); return ;;' + chr(10))}\
    {_with_files(commands)}) return ;;
  esac
  case $command in
{by_command}\
  esac
  if [[ $current == -* ]]; then words=$flags; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _pascal_install pascal-install
"""


def _zsh(commands: Mapping[str, Completed], packages: Sequence[str]) -> str:
    by_command = "".join(
        f"    {name}) flags=({one.flags}) positional=({' '.join(one.words)}) ;;\n" for name, one in commands.items()
    )
    told = " ".join(f"'{name}:{_plain(summary)}'" for name, summary in COMMANDS.items())
    return f"""\
#compdef pascal-install
_pascal_install() {{
  local command=$words[2]
  local -a commands flags positional
  if (( CURRENT == 2 )); then
    commands=({told})
    _describe command commands
    compadd -- {" ".join(packages)} --help --version
    _files -g '*.whl'
    return
  fi
  case $command in ({"|".join(commands)}) ;; (*) command=install ;; esac
  case "$command $words[CURRENT-1]" in
{_cases(commands, '    "{command} {option}") compadd -- {words}; return ;;' + chr(10))}\
    {_with_files(commands)}) _files; return ;;
  esac
  case $command in
{by_command}\
  esac
  if [[ $PREFIX == -* ]]; then
    compadd -- $flags
  else
    compadd -- $positional
    _files
  fi
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _pascal_install "$@"
else
  compdef _pascal_install pascal-install
fi
"""


def _fish(commands: Mapping[str, Completed], packages: Sequence[str]) -> str:
    names = " ".join(commands)
    lines = [
        f"complete -c pascal-install -n __fish_use_subcommand -a {name} -d '{_plain(COMMANDS[name])}'"
        for name in commands
    ]
    lines.append(f"complete -c pascal-install -n __fish_use_subcommand -a '{' '.join(packages)}' -d package")
    lines += [
        "complete -c pascal-install -n __fish_use_subcommand -l help",
        "complete -c pascal-install -n __fish_use_subcommand -l version",
    ]
    for name, one in commands.items():
        condition = f"__fish_seen_subcommand_from {name}"
        if name == "install":  # a bare package list is an install
            condition = f"{condition}; or not __fish_use_subcommand; and not __fish_seen_subcommand_from {names}"
        start = f"complete -c pascal-install -n '{condition}'"
        if one.words:
            files = "" if set(one.words) & set(packages) else " -f"
            lines.append(f"{start}{files} -a '{' '.join(one.words)}'")
        for option in one.options:
            values = f" -x -a '{' '.join(option.choices)}'" if option.choices else ""
            takes = values or (" -r" if option.kind in ("value", "values") else "")
            short = f" -s {option.names[0][1:]}" if len(option.names) > 1 else ""
            lines.append(f"{start} -l {option.names[-1][2:]}{short}{takes} -d '{_plain(option.help)}'")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Take out what a shell would read inside of quotes."""
    return text.replace("`", "").replace("'", "").replace(":", "")
