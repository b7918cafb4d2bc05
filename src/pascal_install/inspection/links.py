"""Whether extensions load beside a torch: their symbols, as findings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from pascal_install.binary.coverage import deciding, is_for_cuda
from pascal_install.binary.linking import Resolution, readable
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.binary.symbols import Symbol
from pascal_install.inspection.loader import Loader
from pascal_install.inspection.local import Found
from pascal_install.inspection.names import is_shared_library
from pascal_install.inspection.report import Report
from pascal_install.model.finding import Finding
from pascal_install.value import NamedTuple

_TORCH_LIBRARIES = ("libtorch", "libc10")
#: Libraries that come with torch, with NVIDIA's wheels or not at all: one that is nowhere makes the loader stop.
_PROVEN_BY_ABSENCE = (*_TORCH_LIBRARIES, "libcu", "libnccl", "libnv")
# The namespaces of torch, as they stand in C++ symbols.
_TORCH_NAMES = ("3c10", "2at", "5torch", "6caffe2")


class Linked(NamedTuple):
    """One library that links with torch, and what became of its symbols."""

    member: str
    resolution: Resolution
    severity: str
    """How bad it is when it does not load: `error`, or `warning` for a library that only few GPUs load."""


def symbol_findings(
    loader: Loader, report: Report, files: Sequence[Found], *, is_whole: bool = True
) -> Iterator[Finding]:
    """Resolve the symbols of all libraries that link with torch.

    `is_whole`: all that they need should be there, so that what is not found is missing.
    """
    for found in resolve_all(loader, report, files):
        yield from [found] if isinstance(found, Finding) else findings_of(found, loader, report.subject, is_whole)


def resolve_all(loader: Loader, report: Report, files: Sequence[Found]) -> Iterator[Linked | Finding]:
    """Resolve the symbols of each library that links with torch; a finding for each that cannot be read."""
    decisive = {binary.member for group in deciding(report.binaries) for binary in group}
    for member, path in files:
        if not is_shared_library(member) or (report.cuda_label and not is_for_cuda(member, report.cuda_label)):
            continue
        try:
            resolution = loader.resolve(path, if_needs=_TORCH_LIBRARIES)
        except UnsupportedError:
            continue
        except DamagedError as error:
            named = error.of(member)
            yield Finding("damaged-library", "error", named.summary, named.cause, f"install {report.subject} again")
            continue
        except OSError as error:
            yield Finding("unreadable-library", "warning", f"{member} cannot be read", error.strerror or "")
            continue
        if resolution:
            # A package may load its own libraries in an order that lets one serve the next, by its name too.
            others = [other for _, other in files if other != path]
            names = {os.path.basename(other) for other in others}
            resolution = resolution._replace(
                missing=loader.without(resolution.missing, others),
                missing_libraries=tuple(name for name in resolution.missing_libraries if name not in names),
            )
            # A library made for single GPUs, beside the one that decides, is loaded only there.
            yield Linked(member, resolution, "error" if not decisive or member in decisive else "warning")


def findings_of(linked: Linked, loader: Loader, name: str, is_whole: bool) -> Iterator[Finding]:
    """Tell what stands in the way of one library; nothing: it loads."""
    yield from _absent(loader, name, linked.member, linked.resolution, linked.severity, is_whole=is_whole)
    yield from _unresolved(name, linked.member, linked.resolution, linked.severity)


def certainly_missing(resolution: Resolution) -> tuple[Symbol, ...]:
    """Give the missing symbols that are proven: where a library is not at hand, it may define all but torch's."""
    if resolution.missing_libraries:
        return tuple(symbol for symbol in resolution.missing if _is_torchs(symbol.name))
    return resolution.missing


def absent(name: str, member: str, library: str, severity: str = "error") -> Finding:
    """Report a library that is needed and nowhere."""
    certain = library.startswith(_PROVEN_BY_ABSENCE)
    return Finding(
        "library-missing",
        severity if certain else "warning",
        f"{name} needs {library}, which is nowhere",
        f"{member} was built with it",
    )


def _absent(
    loader: Loader, name: str, member: str, resolution: Resolution, severity: str, *, is_whole: bool
) -> Iterator[Finding]:
    for library in resolution.missing_libraries:
        stem = library.partition(".so")[0]
        rival = next((need for need in loader.torch_needs() if need.partition(".so")[0] == stem), library)
        if rival != library:
            yield Finding(
                "other-cuda",
                severity,
                f"{name} was built for another CUDA than torch",
                f"{member} needs {library}, torch uses {rival}",
                f"install the build of {name} that was made for this torch",
            )
        elif is_whole or library.startswith(_TORCH_LIBRARIES):
            yield absent(name, member, library, severity)


def _unresolved(name: str, member: str, resolution: Resolution, severity: str) -> Iterator[Finding]:
    if resolution.missing_versions:
        need = resolution.missing_versions[0]
        yield Finding(
            "symbol-version-missing",
            severity,
            f"{name} does not load: this system's {need.library} is too old",
            f"{member} wants {', '.join(need.version for need in resolution.missing_versions)}",
        )
    missing = certainly_missing(resolution)
    if missing:
        shown = ", ".join(dict.fromkeys(readable(symbol.name) for symbol in missing[:3]))
        abi = " (torch has them with the other setting of the C++ ABI switch)" if resolution.other_cxx11_abi else ""
        number = "a symbol" if len(missing) == 1 else f"{len(missing)} symbols"
        yield Finding(
            "symbols-missing",
            severity,
            f"{name} does not load beside this torch",
            f"{member} wants {number} that nothing defines, such as {shown}{abi}",
            f"install the build of {name} that was made for this torch",
        )


def _is_torchs(name: str) -> bool:
    """Tell C++ names of torch's namespaces: `_ZN3c10...`, `_ZNK2at...`, `_ZTIN5torch...`."""
    start = name.removeprefix("_Z").lstrip("TVISKNGR")
    return name.startswith("_Z") and start.startswith(_TORCH_NAMES)
