"""Libraries, folders, environments and installed distributions on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from pascal_install.binary.coverage import Binary
from pascal_install.binary.library import read_library
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.errors import TargetError
from pascal_install.inspection.files import FileSource
from pascal_install.inspection.names import may_hold_code, part_of
from pascal_install.inspection.report import Part, Report, Skipped
from pascal_install.model.names import normalise
from pascal_install.value import NamedTuple


class Found(NamedTuple):
    """A file to read: its name in the report, and where it is."""

    member: str
    path: str


class Distribution(NamedTuple):
    """An installed distribution."""

    name: str
    """Normalised."""
    version: str
    site_dir: str
    dist_info: str


def inspect_library(path: str, *, deep: bool = False) -> Report:
    """Inspect one library, object or archive. Raises DamagedError."""
    report = read_files(path, [Found(os.path.basename(path), path)], deep=deep)
    if report.damaged:
        raise report.damaged[0]
    return report


def inspect_folder(path: str, *, deep: bool = False) -> Report:
    """Inspect all libraries below a folder, as one."""
    return read_files(path, libraries_below(path), deep=deep)


def inspect_environment(site_dirs: Sequence[str], *, subject: str = "", deep: bool = False) -> Report:
    """Inspect everything installed in an environment, given its site-packages folders."""
    files = [found for site_dir in _distinct(site_dirs) for found in libraries_below(site_dir)]
    report = read_files(subject or site_dirs[0], files, deep=deep)
    parts: dict[str, list[Binary]] = {}
    for binary in report.binaries:
        parts.setdefault(part_of(binary.member), []).append(binary)
    return report._replace(
        parts=tuple(Part(name, tuple(binaries)) for name, binaries in parts.items()),
        cuda_label=torch_cuda_label(site_dirs),
    )


def inspect_distribution(name: str, site_dirs: Sequence[str], *, deep: bool = False) -> Report:
    """Inspect one installed distribution. Raises TargetError when it is not there."""
    wanted = normalise(name)
    for distribution in distributions(site_dirs):
        if distribution.name == wanted:
            report = read_files(f"{wanted} {distribution.version}", recorded_files(distribution), deep=deep)
            return report._replace(cuda_label=torch_cuda_label(site_dirs))
    raise TargetError(
        f"{name} is not installed", code="not-installed", cause=f"no {wanted} dist-info in {', '.join(site_dirs)}"
    )


def read_files(subject: str, files: Iterable[Found], *, deep: bool = False) -> Report:
    """Read files into a report of one part; what is damaged or of another kind is noted, and the rest goes on."""
    binaries, skipped, damaged = [], [], []
    seen: dict[tuple[int, int], str] = {}
    for member, path in files:
        try:
            with FileSource(path) as source:
                if not source.is_regular:
                    skipped.append(Skipped(member, "not a regular file"))
                    continue
                first = seen.setdefault(source.identity, member)
                if first is not member:
                    skipped.append(Skipped(member, f"the same file as {first}"))
                    continue
                if deep:
                    source.expect_whole()
                binaries.append(Binary(member, source.size_bytes, read_library(source, deep=deep)))
        except UnsupportedError as error:
            skipped.append(Skipped(member, error.summary))
        except DamagedError as error:
            damaged.append(error.of(member))
        except OSError as error:
            skipped.append(Skipped(member, error.strerror or str(error)))
    return Report(subject, (Part("", tuple(binaries)),), tuple(skipped), tuple(damaged))


def distributions(site_dirs: Sequence[str]) -> Iterator[Distribution]:
    """Walk through the installed distributions, by their dist-info folders."""
    for site_dir in _distinct(site_dirs):
        for entry in sorted(_listed(site_dir)):
            if entry.endswith(".dist-info"):
                name, _, version = entry.removesuffix(".dist-info").partition("-")
                yield Distribution(normalise(name), version, site_dir, os.path.join(site_dir, entry))


def recorded_files(distribution: Distribution) -> list[Found]:
    """List the files of a distribution that may hold device code, by its RECORD; missing files are left out."""
    files = []
    try:
        with open(os.path.join(distribution.dist_info, "RECORD"), encoding="utf-8", errors="replace") as record:
            for line in record:
                # Names with a comma are quoted; the two fields after the name hold none.
                member = line.rsplit(",", 2)[0].strip('"').replace("\\", "/")
                if may_hold_code(member):
                    path = os.path.join(distribution.site_dir, *member.split("/"))
                    if os.path.isfile(path):
                        files.append(Found(member, path))
    except OSError as error:
        raise TargetError(
            f"{distribution.name} {distribution.version} is only half installed",
            code="half-installed",
            cause=f"its RECORD cannot be read: {error.strerror}",
        ) from error
    return files


def torch_cuda_label(site_dirs: Sequence[str]) -> str:
    """Read which CUDA variant the installed torch is, from the line that its build writes into `torch/version.py`."""
    for site_dir in site_dirs:
        try:
            with open(os.path.join(site_dir, "torch", "version.py"), encoding="utf-8", errors="replace") as file:
                lines = file.read(1 << 16).splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition("=")
            if name.partition(":")[0].strip() == "cuda":
                digits = value.strip().strip("'\"").replace(".", "")
                return f"cu{digits}" if digits.isdigit() else "cpu"
    return ""


def libraries_below(top: str) -> Iterator[Found]:
    """Walk through the files below a folder that may hold device code, in a fixed order."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            if may_hold_code(name):
                path = os.path.join(folder, name)
                yield Found(os.path.relpath(path, top).replace(os.sep, "/"), path)


def _distinct(folders: Sequence[str]) -> list[str]:
    """Leave out what is there twice: purelib and platlib mostly are one folder."""
    return list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())[::-1]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
