"""Finds the libraries that a library needs, in the places where the system's loader would."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from types import TracebackType

from pascal_install.binary.linking import Resolution, missing_libraries, resolve
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.binary.symbols import DynamicLibrary, Symbol
from pascal_install.inspection.files import FileSource

_SYSTEM_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/usr/local/cuda/lib64")


class Loader:
    """Libraries of one environment and of this system, opened as they are asked for. Use it as a context manager.

    Where torch is imported, its libraries and NVIDIA's are loaded before those of any extension, and what is loaded is
    found again by name: so their folders come first, whatever a library's own run path says.
    """

    def __init__(self, site_dirs: Sequence[str], *, search_path: str = "") -> None:
        self._loaded = _folders(site_dirs, "torch/lib", "nvidia/*/lib", "cusparselt/lib")
        # The last of the packages' folders is where conda keeps an environment's libraries.
        self._others = [
            *filter(None, search_path.split(":")),
            *_folders(site_dirs, "*.libs", "../.."),
            *_system_folders(),
        ]
        self._open: dict[str, DynamicLibrary | None] = {}
        self._sources: list[FileSource] = []

    def resolve(self, path: str, *, if_needs: tuple[str, ...] = ()) -> Resolution | None:
        """Resolve the symbols of one library.

        With `if_needs` the answer is None for a library that needs none whose name starts with one of these. Raises
        UnsupportedError, DamagedError or OSError.
        """
        library = self._load(path)
        if if_needs and not any(needed.startswith(if_needs) for needed in library.needed):
            return None
        offered = self._open_file(self._loaded, "libtorch_global_deps.so", library.machine)
        return resolve(library, self._find, (offered,) if offered else ())

    def missing_libraries(self, path: str) -> tuple[str, ...]:
        """Name what a library, and what it needs in turn, needs and is nowhere."""
        return missing_libraries(self._load(path), self._find)

    def without(self, symbols: Iterable[Symbol], paths: Iterable[str]) -> tuple[Symbol, ...]:
        """Leave out the symbols that one of these libraries defines. Files that cannot be read define nothing."""
        left = list(symbols)
        for path in paths:
            if not left:
                break
            try:
                library = self._load(path)
                left = [symbol for symbol in left if not library.defines(symbol.name, symbol.version)]
            except (UnsupportedError, DamagedError, OSError):
                continue
        return tuple(left)

    def torch_needs(self) -> tuple[str, ...]:
        """Name the libraries that torch's part for CUDA needs, there or not."""
        parts = [self._open_file(self._loaded, f"lib{part}.so") for part in ("torch_cuda", "c10_cuda")]
        return tuple(dict.fromkeys(name for part in parts if part for name in part.needed))

    def _load(self, path: str) -> DynamicLibrary:
        source = FileSource(path)
        self._sources.append(source)
        try:
            library = DynamicLibrary(source)
        except DamagedError as error:
            raise error.of(os.path.basename(path)) from error
        library.origin = os.path.dirname(path)
        return library

    def _find(self, requester: DynamicLibrary, name: str) -> DynamicLibrary | None:
        own = [
            path.replace("$ORIGIN", requester.origin).replace("${ORIGIN}", requester.origin)
            for path in requester.run_path
            if path.startswith(("/", "$ORIGIN", "${ORIGIN}"))
        ]
        return self._open_file([*self._loaded, *own, *self._others], name, requester.machine)

    def _open_file(self, folders: list[str], name: str, machine: str = "") -> DynamicLibrary | None:
        if "/" in name:
            folders, name = [os.path.dirname(name)], os.path.basename(name)
        if self._open.get(name) is None:
            self._open[name] = None
            for folder in folders:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    try:
                        library = self._load(path)
                    except (UnsupportedError, OSError):
                        continue
                    if machine in ("", library.machine):
                        self._open[name] = library
                        break
        return self._open[name]

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for source in self._sources:
            source.close()


def _folders(site_dirs: Sequence[str], *patterns: str) -> list[str]:
    folders = []
    for site_dir in site_dirs:
        escaped = glob.escape(site_dir)
        for pattern in patterns:
            folders += sorted(glob.glob(os.path.join(escaped, *pattern.split("/"))))
    return folders


def _system_folders() -> list[str]:
    folders = []
    for configuration in sorted(glob.glob("/etc/ld.so.conf.d/*.conf")):
        try:
            with open(configuration, encoding="utf-8", errors="replace") as file:
                folders += [line.strip() for line in file if line.startswith("/")]
        except OSError:
            continue
    return [*folders, *_SYSTEM_FOLDERS]
