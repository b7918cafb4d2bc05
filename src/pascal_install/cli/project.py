"""`[tool.pascal-install]` in a project's pyproject.toml: what options and packages are there when nobody types them.

It is read as if its settings were environment variables, below those that are really set.
"""

from __future__ import annotations

import os
import sys

from pascal_install.errors import DataError
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = b"[tool.pascal-install"
_FILE = "pyproject.toml"
_PREFIX = "PASCAL_INSTALL_"

#: Key of the table, and the option that it stands for; lists only where the option may be repeated.
_TEXTS = ("driver", "torch-source", "installer", "catalogue", "python", "cert")
_LISTS = {"packages": "PACKAGES", "gpu": "GPU", "mirror": "MIRROR"}
_SWITCHES = ("allow-unconfirmed", "offline")


def with_project(environ: Mapping[str, str], folder: str) -> Mapping[str, str]:
    """Add the settings of the nearest pyproject.toml with our table, from a folder upwards.

    Raises DataError, with the file and the key, for what cannot be read.
    """
    path = _find(folder)
    if not path:
        return environ
    found = _read(path)
    return {**found, **environ}


def _find(folder: str) -> str:
    """Find the nearest pyproject.toml that has our table. Only its bytes are looked at: parsing TOML takes longer."""
    while True:
        path = os.path.join(folder, _FILE)
        try:
            with open(path, "rb") as file:
                if TABLE in file.read():
                    return path
        except OSError:
            pass  # most folders have none
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent


def _read(path: str) -> dict[str, str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file).get("tool", {}).get("pascal-install", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}", code="bad-project", cause=str(error)) from error
    problems: list[str] = []
    found: dict[str, str] = {}
    for key, value in table.items():
        if key in _TEXTS and isinstance(value, str):
            found[key] = os.path.join(os.path.dirname(path), value) if key == "catalogue" else value
        elif key in _LISTS and isinstance(value, (str, list)) and _are_texts(value):
            found[key] = ";".join([value] if isinstance(value, str) else value)
        elif key in _SWITCHES and isinstance(value, bool):
            found[key] = "1" if value else ""
        else:
            problems.append(f"[tool.pascal-install] {key}: {_expected(key)}")
    if problems:
        raise DataError(
            f"cannot use {path}",
            code="bad-project",
            cause="\n".join(problems),
            hints=("docs/plugins.md shows the keys",),
        )
    return {_PREFIX + key.replace("-", "_").upper(): text for key, text in found.items()}


def _are_texts(value: str | list[object]) -> bool:
    """Tell texts that can stand beside each other: `;` separates values of environment variables."""
    return all(
        isinstance(one, str) and one and ";" not in one for one in ([value] if isinstance(value, str) else value)
    )


def _expected(key: str) -> str:
    if key in _TEXTS:
        return "expected a text"
    if key in _LISTS:
        return "expected a text or a list of texts, without `;`"
    if key in _SWITCHES:
        return "expected true or false"
    return f"no such key; there are {', '.join(sorted((*_TEXTS, *_LISTS, *_SWITCHES)))}"
