"""Whether extensions load beside a torch: their symbols, as findings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

from pascal_install.binary.coverage import deciding, is_for_cuda
from pascal_install.binary.linking import Resolution, readable
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.errors import UsageError
from pascal_install.inspection.files import FileSource
from pascal_install.inspection.loader import Loader
from pascal_install.inspection.local import Found, libraries_below, read_files, torch_cuda_label
from pascal_install.inspection.names import is_shared_library
from pascal_install.inspection.report import Report
from pascal_install.inspection.subject import site_packages_of
from pascal_install.model.finding import Finding

_TORCH_LIBRARIES = ("libtorch", "libc10")
#: Libraries that come with torch, with NVIDIA's wheels or not at all: one that is nowhere makes the loader stop.
_PROVEN_BY_ABSENCE = (*_TORCH_LIBRARIES, "libcu", "libnccl", "libnv")
# The namespaces of torch, as they stand in C++ symbols.
_TORCH_NAMES = ("3c10", "2at", "5torch", "6caffe2")


def check_against(subject: str, torch: str) -> tuple[Finding, ...]:
    """Check whether the extensions in `subject` load beside the torch in `torch`; no error: they do.

    Each is an environment, a folder or a wheel; `subject` may also be one library. Wheels are unpacked, their libraries
    only, into a temporary folder. NVIDIA's libraries may be absent: then torch's own symbols and the names of libraries
    decide. Raises UsageError where there is nothing to check, DamagedError for broken wheels.
    """
    with ExitStack() as stack:
        site_dirs = _unpacked(torch, stack)
        if not any(os.path.isdir(os.path.join(site_dir, "torch", "lib")) for site_dir in site_dirs):
            raise UsageError(f"there is no torch in {torch}", code="no-torch")
        if os.path.isfile(subject) and not subject.endswith(".whl"):
            files = [Found(os.path.basename(subject), subject)]
        else:
            folders = _unpacked(subject, stack)
            files = [found for folder in folders for found in libraries_below(folder)]
        files = [found for found in files if not found.member.startswith("torch/")]
        name = os.path.basename(subject.rstrip(os.sep))
        report = read_files(name, files)._replace(cuda_label=torch_cuda_label(site_dirs))
        with Loader(site_dirs) as loader:
            found = symbol_findings(loader, report, files, is_whole=False)
            return (*_other_python(name, files, site_dirs), *found)


def symbol_findings(
    loader: Loader, report: Report, files: Sequence[Found], *, is_whole: bool = True
) -> Iterator[Finding]:
    """Resolve the symbols of all libraries that link with torch.

    `is_whole`: all that they need should be there, so that what is not found is missing.
    """
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
            # A package may load its own libraries in an order that lets one serve the next.
            siblings = (other for _, other in files if other != path)
            resolution = resolution._replace(missing=loader.without(resolution.missing, siblings))
            # A library made for single GPUs, beside the one that decides, is loaded only there.
            severity = "error" if not decisive or member in decisive else "warning"
            yield from _absent(loader, report.subject, member, resolution, severity, is_whole=is_whole)
            yield from _unresolved(report.subject, member, resolution, severity)


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


def _other_python(name: str, files: Iterable[Found], site_dirs: Sequence[str]) -> Iterator[Finding]:
    of_torch = next(
        (tag for site_dir in site_dirs for tag in map(_python_tag, _listed(os.path.join(site_dir, "torch"))) if tag), ""
    )
    for member, _ in files:
        tag = _python_tag(member)
        if tag and of_torch and tag != of_torch:
            yield Finding(
                "other-python", "error", f"{name} was built for another Python", f"{member}, and torch {of_torch}"
            )
            return


def _python_tag(member: str) -> str:
    """Read `cpython-311` out of `_C.cpython-311-x86_64-linux-gnu.so`; empty for other names."""
    parts = member.rpartition("/")[2].split(".")
    return next(("-".join(part.split("-")[:2]) for part in parts if part.startswith("cpython-")), "")


def _listed(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _unresolved(name: str, member: str, resolution: Resolution, severity: str) -> Iterator[Finding]:
    if resolution.missing_versions:
        need = resolution.missing_versions[0]
        yield Finding(
            "symbol-version-missing",
            severity,
            f"{name} does not load: this system's {need.library} is too old",
            f"{member} wants {', '.join(need.version for need in resolution.missing_versions)}",
        )
    missing = resolution.missing
    if resolution.missing_libraries:
        # A library that is not at hand may define the others; only torch's own define torch's names.
        missing = tuple(symbol for symbol in missing if _is_torchs(symbol.name))
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


def _unpacked(place: str, stack: ExitStack) -> Sequence[str]:
    """Give the folders that play site-packages: those of an environment, a folder, or a wheel's libraries."""
    if os.path.isdir(place):
        return site_packages_of(place) or (place,)
    if not place.endswith(".whl") or not os.path.isfile(place):
        raise UsageError(f"{place} is no environment, folder or wheel", code="not-found")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pascal-install-"))
    with FileSource(place) as source:
        try:
            members = read_members(source, read_directory_place(source), _is_wanted)
            for member in members:
                # read_members refuses names that lead out of the folder.
                path = os.path.join(folder, *member.name.split("/"))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.writelines(content_chunks(source, member))
        except DamagedError as error:
            raise error.of(os.path.basename(place)) from error
    return (folder,)


def _is_wanted(name: str) -> bool:
    return is_shared_library(name) or name == "torch/version.py"
