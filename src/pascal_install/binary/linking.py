"""Would the system's loader be content? Every wanted symbol is looked for as the loader does, breadth first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pascal_install.binary.symbols import DynamicLibrary, Symbol, VersionNeed
from pascal_install.value import NamedTuple

#: Finds a library by the name that another one (first argument) needs; None where there is none.
Finder = Callable[[DynamicLibrary, str], DynamicLibrary | None]

# Libraries that come with the driver: they are absent where wheels are built or checked, and that says nothing.
_DRIVER_LIBRARIES = ("libcuda.so", "libnvidia-")
_MAX_LIBRARIES = 1000

# The part of a C++ name that the switch _GLIBCXX_USE_CXX11_ABI changes most visibly: std::string.
_NEW_STRING = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
_OLD_STRING = "Ss"


class Resolution(NamedTuple):
    """What became of the symbols that a library wants."""

    resolved: int
    missing: tuple[Symbol, ...]
    """Found nowhere. Certain only where `missing_libraries` is empty."""
    missing_versions: tuple[VersionNeed, ...]
    """Versions that the library named in them does not define: the loader stops at the first."""
    missing_libraries: tuple[str, ...]
    weak: int
    """Unresolved and allowed to be."""
    python: int
    """Left to the interpreter, which defines them when it loads an extension."""
    driver: int
    """Left to the GPU driver."""
    other_cxx11_abi: bool
    """Missing ones are there under the name that the other setting of the C++ ABI switch gives."""

    @property
    def loads(self) -> bool:
        """Whether the loader would be content."""
        return not (self.missing or self.missing_versions or self.missing_libraries)


def resolve(library: DynamicLibrary, find: Finder, loaded: Iterable[DynamicLibrary] = ()) -> Resolution:
    """Resolve all undefined symbols of a library; `loaded` is what the process offers to all of its libraries."""
    scope, absent = _scope(library, find)
    everything = [library, *scope.values(), *loaded]
    missing: list[Symbol] = []
    counts = {"resolved": 0, "weak": 0, "python": 0, "driver": 0}
    for symbol in library.undefined():
        if any(provider.defines(symbol.name, symbol.version) for provider in everything):
            counts["resolved"] += 1
        elif symbol.weak:
            counts["weak"] += 1
        elif symbol.name.startswith(("Py", "_Py")):
            counts["python"] += 1
        elif _is_driver_symbol(symbol.name):
            counts["driver"] += 1
        else:
            missing.append(symbol)
    return Resolution(
        missing=tuple(missing),
        missing_versions=tuple(_missing_versions(library, scope)),
        missing_libraries=tuple(absent),
        other_cxx11_abi=any(_is_under_other_abi(symbol.name, everything) for symbol in missing),
        **counts,
    )


def missing_libraries(library: DynamicLibrary, find: Finder) -> tuple[str, ...]:
    """Name the libraries that this one, and those it needs in turn, need and that are nowhere."""
    return tuple(_scope(library, find)[1])


def _scope(library: DynamicLibrary, find: Finder) -> tuple[dict[str, DynamicLibrary], list[str]]:
    """Walk through the needed libraries breadth first: those found, by name, and the names of those that are absent."""
    found: dict[str, DynamicLibrary] = {}
    absent: list[str] = []
    queue = [library]
    for requester in queue:
        for name in requester.needed:
            if name in found or name in absent or name.startswith(_DRIVER_LIBRARIES) or len(found) >= _MAX_LIBRARIES:
                continue
            needed = find(requester, name)
            if needed is None:
                absent.append(name)
            else:
                found[name] = needed
                queue.append(needed)
    return found, absent


def _missing_versions(library: DynamicLibrary, scope: dict[str, DynamicLibrary]) -> Iterable[VersionNeed]:
    for need in library.version_needs():
        provider = scope.get(need.library)
        # A provider that defines no versions at all satisfies every one.
        if provider and not need.weak and provider.versions() and need.version not in provider.versions().values():
            yield need


def _is_driver_symbol(name: str) -> bool:
    for prefix in ("cu", "nvml"):
        following = name[len(prefix) : len(prefix) + 1]
        if name.startswith(prefix) and following.isupper():
            return True
    return False


def _is_under_other_abi(name: str, providers: Iterable[DynamicLibrary]) -> bool:
    if not name.startswith("_Z"):
        return False
    if _NEW_STRING in name:
        other = name.replace(_NEW_STRING, _OLD_STRING)
    elif _OLD_STRING in name:
        other = name.replace(_OLD_STRING, _NEW_STRING)
    else:
        return False
    return any(provider.defines(other) for provider in providers)


def readable(name: str) -> str:
    """Give the qualified name of a C++ symbol, `c10::detail::torchCheckFail`; other names as they are.

    Parameters and template arguments are left out: the name is what a person searches for.
    """
    rest = name.removeprefix("_Z")
    for prefix in ("TV", "TI", "TS", "N", "K"):
        rest = rest.removeprefix(prefix)
    if rest == name:
        return name
    parts = []
    while rest[:1].isdigit():
        digits = len(rest) - len(rest.lstrip("0123456789"))
        size = int(rest[: min(digits, 5)])
        if digits + size > len(rest):
            return name
        parts.append(rest[digits : digits + size])
        rest = rest[digits + size :]
    return "::".join(parts) if parts and all(parts) else name
