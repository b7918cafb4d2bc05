"""`pascal-install install`, which `pascal-install PACKAGE` is short for: resolve, fetch, change, verify."""

from __future__ import annotations

import sys

from pascal_install.cli.options import (
    FORMATS,
    add_network,
    add_output,
    add_resolving,
    lock_of,
    settings_of,
)
from pascal_install.cli.parser import Parser
from pascal_install.cli.plan import wants_color
from pascal_install.errors import UnsatisfiableError, UsageError
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EPILOG = """\
examples:
  pascal-install exllamav2
  pascal-install install exllamav2 --python ./venv
  pascal-install install exllamav2 --gpu "GTX 1080 Ti"         in a Dockerfile, where there is no GPU
  pascal-install install torch --torch-source pypi             where only PyPI can be reached
  pascal-install install ./some.whl                            your own wheel: read first, then held to the same rules
  pascal-install install --from pylock.toml                    what `pascal-install lock` wrote
  pascal-install install --wheelhouse DIR                      without a network, what `download` brought

Everything is fetched and checked before the environment is touched, and put back if anything fails.
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("install", "Resolve, fetch, change the environment in one step, verify.", environ, EPILOG)
    add_resolving(built, or_lock=True)
    add_network(built)
    built.switch("--dry-run", "resolve only: the same as `pascal-install plan`")
    add_output(built, FORMATS)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Install; 3 where nothing serves, and the environment is as before whatever the error."""
    options = parser(environ).parse_args(arguments)
    if options.dry_run:
        from pascal_install.cli import plan

        return plan.main([argument for argument in arguments if argument != "--dry-run"], environ)
    if options.format not in ("", "text", "json"):
        raise UsageError(f"--format {options.format} shows a plan: add --dry-run, or use `pascal-install plan`")
    from pascal_install.actions import install_locked, make_install
    from pascal_install.cli.watch import Watch

    wants_json = options.format == "json"
    watch = Watch(quiet=options.quiet or wants_json, verbose=options.verbose, color=wants_color(options, environ))
    lock, settings = lock_of(options), settings_of(options)
    if lock:
        done = install_locked(lock, options.packages, settings, environ, watch, watch.progress)
    else:
        done = make_install(options.packages, settings, environ, watch, watch.progress)
    if wants_json:
        from pascal_install.report.document import to_json
        from pascal_install.report.outcome import outcome_document

        sys.stdout.write(to_json(outcome_document(done.plan, done.outcome)))
    else:
        from pascal_install.report.fit import columns_of, fit
        from pascal_install.report.outcome import outcome

        words = outcome(done.plan, done.outcome, color=wants_color(options, environ))
        sys.stdout.write(fit(words, columns_of(sys.stdout)))
    return 0 if done.outcome else UnsatisfiableError.exit_code
