"""Where a Python may be: what `--python` names, the active environment, `./.venv`, the Python that runs us."""

from __future__ import annotations

import os
import sys

from pascal_install.errors import TargetError
from pascal_install.facts.tags import parse_python
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WINDOWS = os.name == "nt"


def python_in(folder: str) -> str:
    """Find the Python of an environment folder (venv, conda, pyenv, installation), or empty."""
    names = ("Scripts\\python.exe", "python.exe") if _WINDOWS else ("bin/python", "bin/python3")
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    return ""


def chosen_environment(environ: Mapping[str, str], cwd: str) -> tuple[str, str]:
    """Find the target that nobody named: its Python and where the choice came from.

    Raises TargetError where an active environment has no Python: silently taking another one would change what nobody
    meant.
    """
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = environ.get(variable, "")
        if folder:
            python = python_in(folder)
            if not python:
                raise TargetError(
                    f"the active environment has no Python: {folder}",
                    code="python-not-found",
                    cause=f"${variable} names it",
                    hints=("make it anew, or name another one with --python",),
                )
            return python, f"${variable}"
    folder = os.path.join(cwd, ".venv")
    if os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
        python = python_in(folder)
        if not python:
            raise TargetError(
                f"the environment {folder} has no Python",
                code="python-not-found",
                hints=("make it anew: python3 -m venv --clear .venv", "or name another one with --python"),
            )
        return python, "./.venv"
    return sys.executable, "running"


def named_pythons(text: str, environ: Mapping[str, str], cwd: str) -> Iterator[str]:
    """Give the Pythons that `--python` may mean, best first.

    A path gives one; a version gives every python of about that name, so the caller checks the version of each.
    """
    asked = parse_python(text)
    if asked is None:
        path = os.path.join(cwd, os.path.expanduser(text))
        if os.path.isdir(path):
            if python := python_in(path):
                yield python
        elif os.path.dirname(text):
            if os.path.isfile(path):
                yield path
        else:
            yield from _on_path((text,), environ)
        return
    parts, free_threaded = asked
    short = ".".join(str(part) for part in parts[:2])
    names = (f"python{short}t",) if free_threaded else ()
    yield from _on_path((*names, f"python{short}"), environ)
    if _WINDOWS:
        yield from _from_launcher(f"{short}t" if free_threaded else short, environ)
    yield from _from_pyenv(parts, free_threaded, environ)
    yield from _on_path(("python3", "python"), environ)


def _on_path(names: tuple[str, ...], environ: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        for folder in environ.get("PATH", os.defpath).split(os.pathsep):
            path = os.path.join(folder, f"{name}.exe" if _WINDOWS and not name.endswith(".exe") else name)
            if folder and os.path.isfile(path) and os.access(path, os.X_OK):
                yield path


def _from_launcher(version: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Ask the `py` launcher of Windows."""
    from pascal_install.process import ProcessTimeout, run

    for launcher in _on_path(("py",), environ):
        try:
            done = run([launcher, f"-{version}", "-I", "-c", "import sys; print(sys.executable)"], timeout_s=30)
        except (OSError, ProcessTimeout):
            continue
        lines = done.stdout.split("\n")
        if done.returncode == 0 and lines[0].strip():
            yield lines[0].strip()


def _from_pyenv(parts: tuple[int, ...], free_threaded: bool, environ: Mapping[str, str]) -> Iterator[str]:
    """Find the versions that pyenv installed, newest first; also those that it has not made active."""
    home = os.path.expanduser("~")
    root = environ.get("PYENV_ROOT") or os.path.join(home, ".pyenv", *(("pyenv-win",) if _WINDOWS else ()))
    folder = os.path.join(root, "versions")
    try:
        names = os.listdir(folder)
    except OSError:
        return
    fitting = []
    for name in names:
        read = parse_python(name)
        if read and read[0][: len(parts)] == parts and read[1] == free_threaded:
            fitting.append((read[0], name))
    for _, name in sorted(fitting, reverse=True):
        if python := python_in(os.path.join(folder, name)):
            yield python
