"""Find the command, run it, and turn every ending into an exit code."""

from __future__ import annotations

import itertools
import os
import sys

from pascal_install.errors import PascalInstallError, UsageError
from pascal_install.value import TYPE_CHECKING
from pascal_install.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Each command with its line in `--help`; the module of the same name holds `main(arguments, environ) -> exit code`.
COMMANDS: Mapping[str, str] = {
    "install": "resolve, install, verify (what `pascal-install PACKAGE` does)",
    "plan": "resolve only: what would be installed, and why",
    "explain": "every candidate, and the rule that passed it over",
    "lock": "a pylock.toml (PEP 751) that pip, uv and `install --from` take",
    "download": "a folder of wheels for machines without a network",
    "inspect": "which architectures a wheel, library or environment carries",
    "info": "GPUs, driver and target, as detected, and how",
    "doctor": "what is wrong with this environment, and the plan that mends it",
    "catalogue": "the data behind it: list, check, refresh",
    "rollback": "back to what was there before the last install",
    "completion": "print the completion script of a shell",
}

EPILOG = """\
examples:
  pascal-install exllamav2                          find out, choose, install, verify
  pascal-install plan exllamav2 --gpu "GTX 1080 Ti" what would be installed, on a machine without that GPU
  pascal-install explain torch                      why not a newer one
  pascal-install info                               what this machine is

Each command has its own --help. Exit codes: 0 done, 2 usage, 3 no build runs here, 4 GPU or driver, 5 target Python,
6 data, 7 network, 8 pip or uv failed, 9 verification, 10 doctor found problems, 130 interrupted.
"""


#: How alike, from 0 to 1, a mistyped command and the one that is meant are (difflib's ratio).
_ALIKE = 0.7


def run() -> None:
    """Run the console script."""
    import gc

    gc.set_threshold(200_000)  # a plan makes many small values and no cycles: looking for them takes a tenth of it
    code = main(sys.argv[1:], os.environ)
    gc.freeze()  # the same for the search that the interpreter makes when it ends
    sys.exit(code)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command line and return its exit code; nothing else prints errors or catches everything."""
    command, arguments = split_command(argv)
    try:
        return _dispatch(list(argv), command, arguments, environ)
    except PascalInstallError as error:
        _tell(error, command, wants_json=_wants_json(arguments, environ))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): writing to what is left at exit would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if "--debug" in arguments:
            raise
        _tell(
            PascalInstallError(
                "unexpected error: this is a bug of pascal-install",
                cause=f"{type(error).__name__}: {error}",
                hints=("run the same with --debug and report what it prints",),
            ),
            command,
            wants_json=_wants_json(arguments, environ),
        )
        return 1


def split_command(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Split off the command: a bare package list is `install`; no argument at all is `help`."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        return "help" if argv else "", list(argv[1:])
    if argv[0] in ("-V", "--version"):
        return "version", list(argv[1:])
    if argv[0] in COMMANDS:
        return argv[0], list(argv[1:])
    return "install", list(argv)


def check_for_slip(argv: Sequence[str]) -> None:
    """Raise UsageError for a mistyped command: taken for a package, it would be searched on PyPI and installed."""
    if not (argv and argv[0].isalpha() and any(_share_letters(argv[0], command) for command in COMMANDS)):
        return
    import difflib

    meant = difflib.get_close_matches(argv[0], COMMANDS, n=1, cutoff=_ALIKE)
    if meant:
        raise UsageError(
            f"{argv[0]!r} is not a command",
            code="unknown-command",
            hints=(
                f"did you mean: pascal-install {meant[0]}",
                f"a package of that name: pascal-install install {argv[0]}",
            ),
        )


def _share_letters(one: str, other: str) -> bool:
    """Tell whether two words have so many letters in common that they may be alike: loading difflib takes longer."""
    common = sum(min(one.count(letter), other.count(letter)) for letter in set(one))
    return 2 * common >= _ALIKE * (len(one) + len(other))


def _dispatch(argv: Sequence[str], command: str, arguments: list[str], environ: Mapping[str, str]) -> int:
    if command == "version":
        sys.stdout.write(f"pascal-install {__version__}\n")
        return 0
    if command in ("help", ""):
        (sys.stdout if command else sys.stderr).write(help_text())
        return 0 if command else UsageError.exit_code
    if arguments == argv:
        check_for_slip(argv)
    from pascal_install.cli.project import with_project

    environ = with_project(environ, os.getcwd())
    # As importlib.import_module does, without loading importlib.
    module = __import__(f"pascal_install.cli.{command}", fromlist=["main"])
    code: int = module.main(arguments, environ)
    return code


def help_text() -> str:
    """Give the text of `pascal-install --help`."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    return (
        "usage: pascal-install PACKAGE... [options]\n       pascal-install COMMAND [options]\n\n"
        "Choose, prove and install the CUDA wheels that really run on this machine's NVIDIA GPU.\n\n"
        f"commands:\n{lines}\n\n{EPILOG}"
    )


def _wants_json(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell the format even where the arguments cannot be parsed: a script must get its document all the same."""
    given = [value for option, value in itertools.pairwise(arguments) if option == "--format"]
    given += [text.partition("=")[2] for text in arguments if text.startswith("--format=")]
    return (given[-1] if given else environ.get("PASCAL_INSTALL_FORMAT", "")) == "json"


def _tell(error: PascalInstallError, command: str, *, wants_json: bool) -> None:
    from pascal_install.report import text
    from pascal_install.report.fit import columns_of, fit

    if wants_json:
        from pascal_install.report.document import SCHEMA, error_document, to_json

        # Of a command that gives a plan, no plan is the same document, whatever the reason.
        without: dict[str, list[str]] = {"pins": []} if command in ("install", "plan") else {}
        sys.stdout.write(to_json({"schema": SCHEMA, **without, **error_document(error)}))
    sys.stderr.write(fit(text.error(error), columns_of(sys.stderr)))
