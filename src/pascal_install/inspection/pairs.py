"""An extension and a torch: will the one load beside the other? Read from both, nothing is imported."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pascal_install.binary.source import DamagedError
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.errors import TargetError, UsageError
from pascal_install.inspection.files import FileSource
from pascal_install.inspection.links import Linked, certainly_missing, findings_of, resolve_all
from pascal_install.inspection.loader import Loader
from pascal_install.inspection.local import (
    Found,
    distributions,
    libraries_below,
    read_files,
    recorded_files,
    torch_cuda_label,
)
from pascal_install.inspection.names import is_shared_library
from pascal_install.inspection.remote import BLOCK, RangeFetcher, RemoteSource
from pascal_install.inspection.report import Report
from pascal_install.inspection.subject import site_packages_of
from pascal_install.model.finding import Finding
from pascal_install.model.names import normalise
from pascal_install.value import NamedTuple

#: Of torch's own libraries no other one is linked with.
_TORCH_MEMBERS = ("torch/lib/libtorch", "torch/lib/libc10", "torch/lib/libshm", "torch/_C.")


class Pair(NamedTuple):
    """What became of the symbols of an extension beside a torch."""

    subject: str
    torch: str
    libraries: tuple[Linked, ...]
    """Those that link with torch; without any there is nothing that could fail."""
    findings: tuple[Finding, ...]

    @property
    def loads(self) -> bool:
        """Whether nothing proves that it does not load."""
        return not any(finding.severity == "error" for finding in self.findings)


def check_pair(subject: str, torch: str, fetcher: RangeFetcher | None = None, *, site_dirs: Sequence[str] = ()) -> Pair:
    """Check whether the extensions in `subject` load beside the torch in `torch`.

    Each is an environment, a folder, a wheel, the address of a wheel (with a `fetcher`) or the name of a distribution
    that is installed in `site_dirs`; `subject` may also be one library. Wheels are unpacked, their libraries only, into
    a temporary folder: the tables lie at the far ends of each library, so that a deflated one must be inflated whole.
    NVIDIA's libraries may be absent: then torch's own symbols and the names of libraries decide. Raises UsageError
    where there is nothing to check, TargetError for names that are not installed, DamagedError for broken wheels.
    """
    with ExitStack() as stack:
        folders = stack.enter_context(unpacked(torch, fetcher, site_dirs, _is_torchs_member))
        if not any(os.path.isdir(os.path.join(folder, "torch", "lib")) for folder in folders):
            if is_name(torch):
                raise TargetError("torch is not installed", code="not-installed", cause=", ".join(folders))
            raise UsageError(f"there is no torch in {torch}", code="no-torch")
        python = _python_of_torch(folders)
        files = _without_spare_pythons(_files(subject, fetcher, site_dirs, stack), python)
        name = os.path.basename(subject.rstrip(os.sep))
        report = read_files(name, files)._replace(cuda_label=torch_cuda_label(folders))
        findings = [*_other_python(name, files, python), *_unreadable(name, files)]
        foreign = _other_machine(name, report, folders)
        if foreign:
            return Pair(name, torch, (), (foreign,))
        with Loader(folders) as loader:
            found = list(resolve_all(loader, report, files))
            for one in found:
                findings += [one] if isinstance(one, Finding) else findings_of(one, loader, name, is_whole=False)
    return Pair(name, torch, tuple(one for one in found if isinstance(one, Linked)), tuple(findings))


def pair_document(pair: Pair) -> dict[str, object]:
    """Build the part `against` of an inspection as JSON."""
    return {
        "torch": pair.torch,
        "loads": pair.loads,
        "libraries": [_linked_document(linked) for linked in pair.libraries],
        "findings": [finding._asdict() for finding in pair.findings],
    }


def _linked_document(linked: Linked) -> dict[str, object]:
    found = linked.resolution
    return {
        "member": linked.member,
        "resolved": found.resolved,
        "weak": found.weak,
        "python": found.python,
        "driver": found.driver,
        "missing": [{"symbol": symbol.name, "version": symbol.version} for symbol in certainly_missing(found)],
        "missing_versions": [{"library": need.library, "version": need.version} for need in found.missing_versions],
        "not_at_hand": list(found.missing_libraries),
    }


def _files(subject: str, fetcher: RangeFetcher | None, site_dirs: Sequence[str], stack: ExitStack) -> list[Found]:
    if os.path.isfile(subject) and not subject.endswith(".whl"):
        return [Found(os.path.basename(subject), subject)]
    if is_name(subject):
        installed = (one for one in distributions(site_dirs) if one.name == normalise(subject))
        distribution = next(installed, None)
        if distribution is None:
            raise TargetError(f"{subject} is not installed", code="not-installed", cause=", ".join(site_dirs))
        return recorded_files(distribution)
    folders = stack.enter_context(unpacked(subject, fetcher))
    found = (one for folder in folders for one in libraries_below(folder))
    return [one for one in found if not one.member.startswith("torch/")]


def is_name(place: str) -> bool:
    """Tell names of installed distributions from paths and addresses."""
    return not os.path.exists(place) and os.sep not in place and not place.endswith(".whl")


@contextmanager
def unpacked_torch(url: str, fetcher: RangeFetcher) -> Iterator[str]:
    """Give a temporary folder with torch's own libraries, out of a wheel at an address."""
    with unpacked(url, fetcher, (), _is_torchs_member) as (folder,):
        yield folder


@contextmanager
def unpacked(
    place: str,
    fetcher: RangeFetcher | None = None,
    site_dirs: Sequence[str] = (),
    is_wanted: Callable[[str], bool] = is_shared_library,
) -> Iterator[Sequence[str]]:
    """Give the folders that play site-packages: those of an environment, a folder, or a wheel's libraries.

    Whoever checks many extensions beside one torch unpacks its wheel once, and names the folder from then on.
    """
    if os.path.isdir(place):
        yield site_packages_of(place) or (place,)
    elif normalise(place) == "torch" and site_dirs:
        yield site_dirs
    elif "://" in place and fetcher is not None:
        with tempfile.TemporaryDirectory(prefix="pascal-install-") as folder:
            remote = RemoteSource(place, fetcher)
            _unpack(remote.subject, remote, folder, is_wanted)
            yield (folder,)
    elif place.endswith(".whl") and os.path.isfile(place):
        with FileSource(place) as source, tempfile.TemporaryDirectory(prefix="pascal-install-") as folder:
            _unpack(os.path.basename(place), source, folder, is_wanted)
            yield (folder,)
    else:
        raise UsageError(f"{place} is no environment, folder or wheel", code="not-found")


def _unpack(name: str, source: FileSource | RemoteSource, folder: str, is_wanted: Callable[[str], bool]) -> None:
    try:
        members = read_members(source, read_directory_place(source), is_wanted)
        if isinstance(source, RemoteSource):
            source.read_ahead(BLOCK, members)
        for member in members:
            # read_members refuses names that lead out of the folder.
            path = os.path.join(folder, *member.name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.writelines(content_chunks(source, member))
    except DamagedError as error:
        raise error.of(name) from error


def _is_torchs_member(name: str) -> bool:
    is_own = name.startswith(_TORCH_MEMBERS) or name == "torch/version.py"
    return is_own and not name.endswith("/")  # newer wheels list their folders too


def _without_spare_pythons(files: Sequence[Found], of_torch: str) -> list[Found]:
    """Leave out modules for other Pythons that are there for torch's too: vllm carries DeepGEMM's for each."""
    fitting = {_module(found.member) for found in files if _python_tag(found.member) in ("", of_torch)}
    return [
        found
        for found in files
        if _python_tag(found.member) in ("", of_torch) or not of_torch or _module(found.member) not in fitting
    ]


def _python_of_torch(site_dirs: Sequence[str]) -> str:
    listed = (entry for site_dir in site_dirs for entry in _listed(os.path.join(site_dir, "torch")))
    return next((tag for tag in map(_python_tag, listed) if tag), "")


def _other_python(name: str, files: Iterable[Found], of_torch: str) -> Iterator[Finding]:
    for member, _ in files:
        tag = _python_tag(member)
        if tag and of_torch and tag != of_torch:
            evidence = f"{member}, and torch {of_torch}"
            yield Finding("other-python", "error", f"{name} was built for another Python", evidence)
            return

    # A library that has no Python in its name may load, but no installer puts this wheel beside that torch.
    built_for = name.removesuffix(".whl").split("-")[-3:-1] if name.endswith(".whl") else []
    python = of_torch.replace("cpython-", "cp")
    if of_torch and len(built_for) == 2 and built_for[1].startswith("cp") and python not in built_for[1].split("."):
        evidence = f"the wheel is for {built_for[1]}, and torch for {python}"
        yield Finding("other-python", "warning", f"{name} was built for another Python", evidence)


def _unreadable(name: str, files: Iterable[Found]) -> Iterator[Finding]:
    if name.endswith(("win_amd64.whl", "win_arm64.whl")) or any(one.member.endswith((".pyd", ".dll")) for one in files):
        summary = "the symbols of Windows libraries are not read: whether it loads is not known"
        yield Finding("unreadable-library", "warning", summary, name)


def _other_machine(name: str, report: Report, torch_dirs: Sequence[str]) -> Finding | None:
    """Tell an extension of which no library is for torch's machine."""
    torch = next((path for folder in torch_dirs for path in sorted(glob.glob(_torchs_libraries(folder)))), "")
    machines = {binary.library.machine: binary.member for binary in report.binaries if binary.library.format == "elf"}
    if not torch or not machines:
        return None
    of_torch = {binary.library.machine for binary in read_files("torch", [Found("torch", torch)]).binaries}
    if not of_torch or of_torch & machines.keys():
        return None
    machine, member = next(iter(machines.items()))
    summary = f"{name} was built for another machine than torch"
    return Finding("other-machine", "error", summary, f"{member} is for {machine}, torch for {min(of_torch)}")


def _torchs_libraries(folder: str) -> str:
    return os.path.join(glob.escape(folder), "torch", "lib", "lib*torch*.so")


def _module(member: str) -> str:
    """Name a compiled module without the Python that it is for: `deep_gemm/_C`."""
    return member.rpartition("/")[0] + "/" + member.rpartition("/")[2].split(".")[0]


def _python_tag(member: str) -> str:
    """Read `cpython-311` out of `_C.cpython-311-x86_64-linux-gnu.so`; empty for other names."""
    parts = member.rpartition("/")[2].split(".")
    return next(("-".join(part.split("-")[:2]) for part in parts if part.startswith("cpython-")), "")


def _listed(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
