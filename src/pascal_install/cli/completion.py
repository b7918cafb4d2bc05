"""`pascal-install completion SHELL`: print the completion script of a shell."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

from pascal_install.cli.main import COMMANDS
from pascal_install.cli.parser import Parser

EPILOG = """\
examples:
  pascal-install completion bash > ~/.local/share/bash-completion/completions/pascal-install
  pascal-install completion zsh  > "${fpath[1]}/_pascal-install"
  pascal-install completion fish > ~/.config/fish/completions/pascal-install.fish
"""

SHELLS = ("bash", "zsh", "fish")


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("completion", "Print the completion script of a shell.", environ, EPILOG)
    built.word("shell", "the shell that the script is for", choices=SHELLS)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the script."""
    shell = parser(environ).parse_args(arguments).shell
    flags = {name: importlib.import_module(f"pascal_install.cli.{name}").parser(environ).flags() for name in COMMANDS}
    sys.stdout.write({"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](flags))
    return 0


def _bash(flags: Mapping[str, Sequence[str]]) -> str:
    cases = "\n".join(f"    {name}) words='{' '.join(words)}' ;;" for name, words in flags.items())
    return f"""\
_pascal_install() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words
  case ${{COMP_WORDS[1]}} in
{cases}
    *) words='{" ".join([*flags, *flags["install"]])}' ;;
  esac
  if [[ $COMP_CWORD -eq 1 ]]; then words='{" ".join([*flags, "--help", "--version"])}'; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _pascal_install pascal-install
"""


def _zsh(flags: Mapping[str, Sequence[str]]) -> str:
    cases = "\n".join(f"    {name}) compadd -- {' '.join(words)} ;;" for name, words in flags.items())
    return f"""\
#compdef pascal-install
if (( CURRENT == 2 )); then
  compadd -- {" ".join([*flags, "--help", "--version"])}
else
  case $words[2] in
{cases}
    *) compadd -- {" ".join(flags["install"])} ;;
  esac
  _files
fi
"""


def _fish(flags: Mapping[str, Sequence[str]]) -> str:
    lines = [
        f"complete -c pascal-install -n __fish_use_subcommand -a {name} -d '{COMMANDS[name]}'".replace("`", "")
        for name in flags
    ]
    lines += [
        f"complete -c pascal-install -n '__fish_seen_subcommand_from {name}' -l {word[2:]}"
        for name, words in flags.items()
        for word in words
    ]
    return "\n".join(lines) + "\n"
