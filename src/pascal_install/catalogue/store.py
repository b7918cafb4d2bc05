"""The compiled files of one catalogue: read from the installed package, from the cache, or made in memory."""

from __future__ import annotations

import os

from pascal_install.catalogue.locate import compiled_dir, data_dir
from pascal_install.errors import DataError
from pascal_install.read_json import read_json
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_KEPT_S = 30 * 24 * 3600

#: What was compiled where the cache cannot be written, by the folder that it would lie in: a plan opens it twice.
_IN_MEMORY: dict[str, Store] = {}


class Store:
    """Compiled files by name, in a folder or, where that could not be written, in memory."""

    def __init__(self, folder: str, files: Mapping[str, bytes] | None = None) -> None:
        self._folder = folder
        self._files = files

    def read(self, name: str) -> Any:
        """Read one file. Raises DataError where it is missing or damaged."""
        path = os.path.join(self._folder, name)
        try:
            if self._files is not None:
                return read_json(self._files[name])
            with open(path, "rb") as file:
                return read_json(file.read())
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"the compiled catalogue is damaged: {path}",
                code="damaged-catalogue",
                cause=str(error),
                hints=("install pascal-install again", f"or, in a checkout, remove {self._folder}"),
            ) from error


def packaged_or_compiled(cache_dir: str) -> Store:
    """Open our own catalogue: the compiled form of an installed package, else that of the checkout's TOML."""
    folder = compiled_dir()
    return Store(folder) if folder else compiled(data_dir(), cache_dir)


def compiled(directory: str, cache_dir: str, known_variants: tuple[str, ...] = ()) -> Store:
    """Open the compiled form of a folder of TOML, made on first use and kept in the cache.

    Raises DataError with every problem of the TOML. A cache that cannot be written only costs time.
    """
    folder = os.path.join(cache_dir, f"catalogue-{_digest(directory, known_variants)}")
    if os.path.exists(os.path.join(folder, "meta.json")):
        return Store(folder)
    if folder in _IN_MEMORY:
        return _IN_MEMORY[folder]
    from pascal_install.catalogue.compile import compile_data
    from pascal_install.catalogue.decode import decode

    files = compile_data(decode(directory, known_variants))
    if _keep(folder, files):
        return Store(folder)
    _IN_MEMORY[folder] = Store(directory, files)
    return _IN_MEMORY[folder]


def _digest(directory: str, known_variants: tuple[str, ...]) -> str:
    """Tell one state of the TOML, and of the code that compiles it, from another."""
    import hashlib

    lines = [os.path.abspath(directory), *sorted(known_variants)]
    for folder in (directory, os.path.join(directory, "packages"), os.path.dirname(os.path.abspath(__file__))):
        if os.path.isdir(folder):
            with os.scandir(folder) as entries:
                found = sorted(entry.path for entry in entries if entry.name.endswith((".toml", ".py")))
            for path in found:
                facts = os.stat(path)
                lines.append(f"{path} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _keep(folder: str, files: Mapping[str, bytes]) -> bool:
    """Write the compiled files aside, then give them their name; False where the cache cannot be written."""
    import shutil
    import tempfile

    cache_dir = os.path.dirname(folder)
    try:
        os.makedirs(cache_dir, exist_ok=True)
        aside = tempfile.mkdtemp(prefix="catalogue-new-", dir=cache_dir)
        try:
            for name, content in files.items():
                with open(os.path.join(aside, name), "wb") as file:
                    file.write(content)
            os.rename(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        _forget_old(cache_dir)
    except OSError:
        pass  # read-only or full; or another process was first
    return os.path.exists(os.path.join(folder, "meta.json"))


def _forget_old(cache_dir: str) -> None:
    import shutil
    import time

    with os.scandir(cache_dir) as entries:
        for entry in entries:
            if entry.name.startswith("catalogue-") and time.time() - entry.stat().st_mtime > _KEPT_S:
                shutil.rmtree(entry.path, ignore_errors=True)
