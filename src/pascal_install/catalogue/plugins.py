"""Recipes of other packages and teams: distributions with an entry point of the group `pascal_install.catalogue`.

The entry point names a Python package, whose folder holds TOML of the same kind as resolver_data. It is not imported.
"""

from __future__ import annotations

import os
import sys

from pascal_install import cache
from pascal_install.errors import DataError
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "pascal_install.catalogue"


class Plugin(NamedTuple):
    """One folder of recipes."""

    distribution: str
    """Name and version, as its metadata folder spells them: `my_recipes-1.0`."""
    folder: str


def find_plugins(cache_dir: str) -> tuple[Plugin, ...]:
    """Find the plugins beside us, by name. What was found is kept as long as the folders of packages stay as they are.

    Reading the entry points of every distribution costs as much as a plan; the times of a few folders cost nothing.
    Raises DataError where an entry point leads nowhere.
    """
    sites = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    stamps = [[path, os.stat(path).st_mtime_ns] for path in sites if os.path.isdir(path)]
    kept = cache.read(cache_dir, "plugins", sys.prefix, stamps)
    if kept is not None:
        return tuple(Plugin(*one) for one in kept)
    plugins = tuple(sorted(plugin for path, _ in stamps for plugin in _plugins_of(str(path))))
    cache.write(cache_dir, "plugins", sys.prefix, stamps, plugins)
    return plugins


def _plugins_of(site: str) -> Iterator[Plugin]:
    for name in os.listdir(site):
        if name.endswith(".dist-info"):
            path = os.path.join(site, name, "entry_points.txt")
            try:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
            except (OSError, UnicodeDecodeError):
                continue
            if GROUP in text:
                yield from _read(name.removesuffix(".dist-info"), path, text, site)


def _read(distribution: str, path: str, text: str, site: str) -> Iterator[Plugin]:
    import configparser

    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise DataError(f"cannot read {path}", code="bad-plugin", cause=str(error)) from error
    for _, module in parser[GROUP].items() if parser.has_section(GROUP) else ():
        folder = os.path.join(site, *module.strip().split("."))
        if not os.path.isdir(folder):
            folder = _folder_of(module.strip())
        if not folder:
            raise DataError(
                f"the plugin {distribution} has no recipes",
                code="bad-plugin",
                cause=f"{path}: there is no Python package {module}",
                hints=("install it again, or uninstall it",),
            )
        yield Plugin(distribution, folder)


def _folder_of(module: str) -> str:
    """Ask the import system where a package lies that is not in site-packages itself: an editable install."""
    from importlib.util import find_spec

    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return ""
    places = list(spec.submodule_search_locations or ()) if spec else []
    return places[0] if places else ""
