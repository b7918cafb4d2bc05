"""Asking a Python what it is: in this process, from the cache, or by running the probe in it."""

from __future__ import annotations

import os
import sys

from pascal_install import cache
from pascal_install.errors import TargetError
from pascal_install.read_json import read_json
from pascal_install.value import TYPE_CHECKING, NamedTuple
from pascal_install.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PROBE = os.path.join(os.path.dirname(__file__), "probe.py")

#: A first start of a Python on a cold network drive takes long; one that hangs in its sitecustomize takes for ever.
_TIMEOUT_S = 60.0


class Answer(NamedTuple):
    """What the probe reports, as `probe.py` names it."""

    executable: str
    implementation: str
    version: tuple[int, int, int]
    free_threaded: bool
    debug: bool
    pointer_bits: int
    platform: str
    libc: str
    prefix: str
    base_prefix: str
    purelib: str
    platlib: str
    scripts: str
    stdlib: str


def ask(executable: str, environ: Mapping[str, str], cache_dir: str = "") -> Answer:
    """Ask a Python what it is. Raises TargetError where it does not answer."""
    key = _key(executable)
    if key and (kept := _decode(cache.read(cache_dir, "pythons", executable, key))):
        return kept
    if _is_running(executable):
        from pascal_install.facts.probe import FACTS

        facts: Any = FACTS
    else:
        facts = _ask_child(executable, environ)
    answer = _decode(facts)
    if answer is None:
        raise TargetError(f"{executable} answers what cannot be read", code="python-broken", cause=str(facts)[:200])
    if key:
        cache.write(cache_dir, "pythons", executable, key, facts)
    return answer


def _is_running(executable: str) -> bool:
    """Tell whether a path leads to the very Python that runs us.

    A virtual environment links to the Python it was made from, so both the file and the folder of the link count.
    """
    here = sys.executable
    return bool(here) and (
        os.path.realpath(os.path.dirname(executable)) == os.path.realpath(os.path.dirname(here))
        and os.path.realpath(executable) == os.path.realpath(here)
    )


def _key(executable: str) -> list[Any]:
    """What must be the same for a kept answer to hold; empty where nothing can be kept.

    A script (pyenv's shims) leads to another Python each day. The C library belongs to the answer, not to the Python.
    """
    try:
        with open(executable, "rb") as file:
            if file.read(2) == b"#!":
                return []
        stat = os.stat(executable)
        folder = os.path.dirname(os.path.dirname(os.path.abspath(executable)))
        try:
            config = os.stat(os.path.join(folder, "pyvenv.cfg"))
            environment = [config.st_mtime_ns, config.st_size]
        except OSError:
            environment = []
    except OSError:
        return []
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        libc = ""
    paths = [os.path.abspath(executable), os.path.realpath(executable)]
    return [__version__, *paths, stat.st_mtime_ns, stat.st_size, environment, libc]


def _decode(facts: Any) -> Answer | None:
    try:
        return Answer(**{**facts, "version": tuple(facts["version"])})
    except (TypeError, KeyError):
        return None


def _ask_child(executable: str, environ: Mapping[str, str]) -> Any:
    """Run the probe in a Python: isolated from the person's PYTHON* variables and user site."""
    from pascal_install.facts.probe import MARKER

    isolated: tuple[str, ...] = ("-I",)
    done = _run(executable, isolated, environ)
    if done.returncode == 2 and "-I" in done.stderr:
        done = _run(executable, ("-E", "-s"), environ)  # Python 2.7 knows no -I
    parts = done.stdout.split(f"\n{MARKER}\n")
    if len(parts) < 3:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        last = said[-1 if said[0].startswith("Traceback") else 0] if said else ""
        if done.returncode == 0 and not last:
            raise TargetError(
                f"{executable} is not a Python", code="not-a-python", cause="it ran our probe and said nothing"
            )
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise TargetError(
            f"{executable} does not work as a Python",
            code="python-broken",
            cause=f"{how}: {last}" if last else how,
            hints=(f"try it: {executable} -c 'import sysconfig, json'", "or name another one with --python"),
        )
    try:
        return read_json(parts[1])
    except ValueError as error:
        raise TargetError(
            f"{executable} answered what cannot be read", code="not-a-python", cause=str(error)
        ) from error


def _run(executable: str, options: tuple[str, ...], environ: Mapping[str, str]) -> Any:
    from pascal_install.process import ProcessTimeout, run

    try:
        return run([executable, *options, _PROBE], timeout_s=_TIMEOUT_S, env=dict(environ))
    except ProcessTimeout as error:
        raise TargetError(
            f"{executable} did not answer within {_TIMEOUT_S:.0f} s",
            code="python-timeout",
            hints=("a sitecustomize or .pth file of it may hang: try it with -S",),
        ) from error
    except OSError as error:
        raise TargetError(
            f"{executable} cannot be run", code="not-a-python", cause=error.strerror or str(error)
        ) from error
