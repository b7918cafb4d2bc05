"""`pascal-install lock`: a plan with all that it requires as a pylock.toml (PEP 751)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from pascal_install.actions import make_lock
from pascal_install.cli.options import add_network, add_output, add_resolving, packages_of, settings_of
from pascal_install.cli.parser import Options, Parser
from pascal_install.cli.plan import wants_color
from pascal_install.cli.signals import interrupt_when_told_to_end
from pascal_install.cli.watch import Watch
from pascal_install.errors import DataError, UnsatisfiableError, UsageError
from pascal_install.report.fit import columns_of

EPILOG = """\
examples:
  pascal-install lock exllamav2
  pascal-install lock torch --gpu "GTX 1080 Ti" --gpu "RTX 3060"          one lock that serves both
  pascal-install lock torch --gpu 6.1 --driver 580.95.05 --platform linux_x86_64 --python-version 3.12 -o -
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("lock", "Write a pylock.toml that pip, uv and `install --from` take.", environ, EPILOG)
    add_resolving(built)
    built.value("--output", "where to; - for stdout", default="pylock.toml", metavar="FILE", short="-o")
    add_network(built)
    add_output(built, ("text",))
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Write the lock; 3 where there is no plan, and then nothing is written."""
    options = parser(environ).parse_args(arguments)
    return write_lock(options, options.output, environ)


def write_lock(options: Options, output: str, environ: Mapping[str, str]) -> int:
    """Make the lock and write it to a file in one step, or to stdout."""
    interrupt_when_told_to_end()
    _check_place(output)
    watch = Watch(quiet=options.quiet, verbose=options.verbose, color=wants_color(options, environ))
    known = {} if output == "-" else _known_hashes(output)
    plan, text = make_lock(packages_of(options), settings_of(options), environ, watch, watch.progress, known)
    if text is None:
        from pascal_install.report import text as words

        sys.stdout.write(words.plan(plan, color=wants_color(options, environ), columns=columns_of(sys.stdout)))
        return UnsatisfiableError.exit_code
    if output == "-":
        sys.stdout.write(text)
        return 0
    from pathlib import Path

    from packaging.pylock import is_valid_pylock_path

    from pascal_install.fetch import disk

    with disk.writing(output):
        with open(f"{output}.part", "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(f"{output}.part", output)
    sys.stdout.write(f"wrote {output}\n")
    if not options.quiet and not is_valid_pylock_path(Path(output)):
        sys.stderr.write("pip and uv know a lock by its name only: pylock.toml, or pylock.NAME.toml\n")
    return 0


def _check_place(output: str) -> None:
    """Raise UsageError for a place where no file can be made, before anything is asked or fetched."""
    folder = os.path.dirname(os.path.abspath(output))
    if output != "-" and (os.path.isdir(output) or not os.path.isdir(folder)):
        why = f"{output} is a folder" if os.path.isdir(output) else f"there is no folder {folder}"
        raise UsageError(f"-o {output}: {why}", code="bad-output", hints=("name a file, such as pylock.toml",))


def _known_hashes(output: str) -> dict[str, str]:
    """Read the hashes that an earlier lock in this place recorded; a file that is no lock has none."""
    from pascal_install.installation.locking import recorded_hashes

    try:
        with open(output, encoding="utf-8") as file:
            return recorded_hashes(file.read(), output)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, DataError):
        sys.stderr.write(f"{output} is no lock that can be read: the hashes in it are not kept\n")
        return {}
