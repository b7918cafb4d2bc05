"""Reading a lock of PEP 751, ours or another tool's, with care: it may come from anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.pylock import (
    Package,
    PackageArchive,
    PackageSdist,
    PackageWheel,
    Pylock,
    PylockValidationError,
    is_valid_pylock_path,
)
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pascal_install.errors import DataError, UnsatisfiableError, VerificationError
from pascal_install.inspection.subject import wheel_code
from pascal_install.installation.lock_builds import beside_torch, known_build
from pascal_install.installation.lockfile import TOOL
from pascal_install.installation.needs import Markers, markers_for
from pascal_install.installation.selection import Selected
from pascal_install.installation.wheelstore import File
from pascal_install.model.build import UNREAD, Build, Catalogue, CudaTables, Release, Wheel, compiles_itself
from pascal_install.model.cuda import CodeTarget, coverage, variant_cuda
from pascal_install.model.gpu import HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Pin, Plan
from pascal_install.model.request import Request, Wanted
from pascal_install.resolve.context import Context, make_context
from pascal_install.resolve.rules import driver_drives_gpu, driver_is_new_enough, has_kernels
from pascal_install.value import NamedTuple

_Entry = PackageWheel | PackageSdist | PackageArchive
_RULES = (has_kernels, driver_drives_gpu, driver_is_new_enough)


class Locked(NamedTuple):
    """What a lock holds for one target."""

    plan: Plan
    selected: tuple[Selected, ...]
    catalogue: Catalogue
    """What is known of the packages in it."""


def parse_lock(text: str, where: str) -> Pylock:
    """Read the text of a lock. Raises DataError, naming the field, where it is none of PEP 751."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, PylockValidationError, ValueError, TypeError, AttributeError) as error:
        hints = () if is_valid_pylock_path(Path(where)) else ("a lock is called pylock.toml, or pylock.NAME.toml",)
        raise DataError(f"{where} is no lock of PEP 751", code="bad-lock", cause=str(error), hints=hints) from error


def read_lock(lock: Pylock, where: str, target: Target, host: HostFacts, catalogue: Catalogue) -> Locked:
    """Choose from a lock what this target takes.

    `where` is its path: files that it names by path lie beside it or below. The architectures of a build come from the
    catalogue, by hash, else from the lock's own table, else from the wheel once it is here (`UNREAD`). Raises DataError
    for what a lock must not hold, VerificationError where it names a recorded file with another hash, and
    UnsatisfiableError, naming all that does not fit, where it is not for this target.
    """
    markers = markers_for(target)
    _check_environment(lock, where, target, markers)
    pins: list[Pin] = []
    others: list[str] = []
    selected: list[Selected] = []
    missing: list[str] = []
    for package in lock.packages:
        if package.marker is not None and not package.marker.evaluate(_with_groups(markers, lock), context="lock_file"):
            continue
        entry = _pick(package, target, where)
        if entry is None:
            missing.append(f"{package.name} {package.version or ''}: no file for {target.best_tag or target.abi}")
            continue
        file = _file(entry, where)
        one = Selected(str(package.name), _version(package, file, where), file, package.index or "")
        if one.name in [other.name for other in selected]:
            raise DataError(f"{where}: {one.name} stands in it more than once for this target", code="bad-lock")
        release = _release(one, (package.tool or {}).get(TOOL), host, catalogue, where)
        if release is not None:
            pins.append(_pin(release, one, host, where))
        else:
            others.append(f"{one.name}==={one.version}")
        selected.append(one._replace(is_pin=release is not None))
    if missing:
        raise _not_for(where, target, missing)
    if not selected:
        raise DataError(f"{where} holds nothing for this target", code="bad-lock")
    _check_files_are_there(selected, where)
    asked = (lock.tool or {}).get(TOOL, {}).get("asked", ())
    request = Request(tuple(Wanted(str(text), "", str(text)) for text in asked))
    return Locked(
        Plan(
            request, host, target, tuple(beside_torch(pins, catalogue)), (), (), None, tuple(others), is_complete=True
        ),
        tuple(selected),
        catalogue,
    )


def check_fits(locked: Locked, where: str, catalogue: Catalogue) -> Locked:
    """Hold the builds of a lock against GPUs and driver, with the resolver's own rules.

    Raises UnsatisfiableError, naming all that does not fit.
    """
    plan = locked.plan
    context = make_context(plan.request, plan.host, plan.target, catalogue)
    _check(plan.pins, where, context)
    return locked._replace(plan=plan._replace(host=context.host))


def check_holds(locked: Locked, where: str, wanted: Sequence[Wanted]) -> None:
    """Raise UnsatisfiableError where a lock does not hold what was asked for."""
    versions = {one.name: one.version for one in locked.selected}
    problems = [
        f"{one.text or one.name}: {versions.get(one.name) or 'not in it'}"
        for one in wanted
        if one.name not in versions or not SpecifierSet(one.specifier).contains(versions[one.name], prereleases=True)
    ]
    if problems:
        raise UnsatisfiableError(
            f"{where} does not hold what was asked for", code="lock-does-not-fit", cause="\n".join(problems)
        )


def check_unread(plan: Plan, wheels: Mapping[str, str]) -> Plan:
    """Read the architectures of builds that a foreign lock names and nobody knows, from their wheels, by name.

    Raises UnsatisfiableError where one has no code for the GPUs. A wheel without any device code promises nothing.
    """
    pins = []
    for pin in plan.pins:
        release, wheel = pin.build
        path = wheels.get(release.name)
        code = wheel_code(path) if release.confidence == UNREAD and path else None
        if code and code.architectures:
            targets = code.architectures
            release = release._replace(
                architectures=targets, ptx_cuda=code.ptx_cuda, confidence="binary", source=wheel.filename
            )
            covered = tuple((capability, coverage(targets, capability)) for capability, _ in pin.coverage)
            pins.append(Pin(Build(release, wheel), covered, pin.evidence))
        else:
            pins.append(pin)
    if not any(pin.build.release.confidence == "binary" and pin not in plan.pins for pin in pins):
        return plan
    tables = CudaTables((), (), (), ())
    _check(pins, "the lock", make_context(plan.request, plan.host, plan.target, Catalogue({}, tables, "")))
    return plan._replace(pins=tuple(pins))


def _check(pins: Sequence[Pin], where: str, context: Context) -> None:
    releases = [pin.build.release for pin in pins]
    found = [
        (release, rejection)
        for release in releases
        for rule in _RULES
        if not (rule is has_kernels and release.confidence == UNREAD)
        if (rejection := rule(release, context)) is not None
    ]
    if found:
        raise UnsatisfiableError(
            f"{where} does not fit this machine",
            code="lock-does-not-fit",
            cause="\n".join(
                f"{release.name} {release.version}: {rejection.why}  [{rejection.rule}]" for release, rejection in found
            ),
            hints=("make one for it: pascal-install lock, here or with --gpu and --driver",),
        )


def _check_environment(lock: Pylock, where: str, target: Target, markers: Markers) -> None:
    problems = []
    if lock.requires_python is not None and not lock.requires_python.contains(_full(target), prereleases=True):
        problems.append(f"it needs Python {lock.requires_python}")
    if lock.environments and not any(marker.evaluate(markers) for marker in lock.environments):
        problems += [f"it is for: {marker}" for marker in lock.environments]
    if problems:
        raise _not_for(where, target, problems)


def _full(target: Target) -> str:
    """Give the version in full; a missing last part counts as 0, as pip's --python-version does."""
    return ".".join(str(max(part, 0)) for part in target.version)


def _not_for(where: str, target: Target, why: Sequence[str]) -> UnsatisfiableError:
    return UnsatisfiableError(
        f"{where} is not for Python {target.python} on {target.os} {target.machine}",
        code="lock-does-not-fit",
        cause="\n".join(why),
        hints=("make one for it: pascal-install lock, with --python or --python-version and --platform",),
    )


def _with_groups(markers: Markers, lock: Pylock) -> dict[str, Any]:
    return {**markers, "extras": frozenset(), "dependency_groups": frozenset(lock.default_groups or ())}


def _pick(package: Package, target: Target, where: str) -> _Entry | None:
    """Choose the wheel that the target wants most; a source distribution where there is no wheel at all."""
    if package.vcs is not None or package.directory is not None:
        kind = "vcs" if package.vcs is not None else "directory"
        raise DataError(
            f"{where}: {package.name} comes from a {kind}, which has no hash",
            code="bad-lock",
            hints=("only wheels, sdists and archives with a sha256 are installed",),
        )
    if package.archive is not None:
        return package.archive
    best, best_rank = None, len(target.tags)
    ranks = {tag: rank for rank, tag in enumerate(target.tags)}
    for wheel in package.wheels or ():
        try:
            tags = parse_wheel_filename(wheel.filename)[3]
        except InvalidWheelFilename:
            continue
        rank = min((ranks.get(str(tag), best_rank) for tag in tags), default=best_rank)
        if rank < best_rank:
            best, best_rank = wheel, rank
    return best if package.wheels and best else package.sdist


def _version(package: Package, file: File, where: str) -> str:
    if package.version is not None:
        return str(package.version)
    try:
        return str(parse_wheel_filename(file.filename)[1])
    except InvalidWheelFilename as error:
        raise DataError(f"{where}: {package.name} has no version", code="bad-lock", cause=str(error)) from error


def _file(entry: _Entry, where: str) -> File:
    address = entry.path or urlsplit(entry.url or "").path
    filename = address.replace("\\", "/").rpartition("/")[2] if isinstance(entry, PackageArchive) else entry.filename
    sha256 = entry.hashes.get("sha256", "")
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise DataError(f"{where}: {filename} has no sha256, or one that is none", code="bad-lock")
    if entry.path:
        return File(filename, (_beside(entry.path, where),), sha256, entry.size)
    scheme = (entry.url or "").partition(":")[0]
    if scheme not in ("https", "http"):
        raise DataError(f"{where}: {filename} has an address of the kind {scheme!r}", code="bad-lock")
    return File(filename, (entry.url or "",), sha256, entry.size)


def _beside(path: str, where: str) -> str:
    """Give the address of a file that lies beside its lock, or below; nothing else of the disk is read."""
    folder = Path(where).resolve().parent
    file = folder.joinpath(path).resolve()
    if folder not in file.parents:
        raise DataError(f"{where}: {path!r} leads out of the folder of the lock", code="bad-lock")
    return file.as_uri()


def _check_files_are_there(selected: Sequence[Selected], where: str) -> None:
    folder = Path(where).resolve().parent
    missing = [
        one.file.filename
        for one in selected
        if one.file.urls[0].startswith("file:") and not os.path.isfile(url2pathname(urlsplit(one.file.urls[0]).path))
    ]
    if missing:
        raise DataError(
            f"{folder} lacks files that {Path(where).name} names",
            code="wheelhouse-incomplete",
            cause="\n".join(missing),
            hints=("copy the folder again, or fill it again with `pascal-install download`",),
        )


def _release(
    one: Selected, tool: Mapping[str, Any] | None, host: HostFacts, catalogue: Catalogue, where: str
) -> Release | None:
    """Find what is known of a build; None where it is a plain dependency, of which nothing needs to be known."""
    package = catalogue.packages.get(one.name)
    # torch says itself which triton it needs: that it makes no kernels for the GPU is a note, and no reason to refuse.
    compiles_on_the_machine = package is not None and compiles_itself(package)
    known = known_build(one.file, str(tool.get("variant", "")) if tool else "", package.releases if package else ())
    if known is not None:
        release, wheel = known
        if wheel.sha256 and wheel.sha256 != one.file.sha256:
            raise VerificationError(
                f"{where}: {wheel.filename} is not the file that is recorded",
                code="hash-mismatch",
                cause=f"recorded sha256 {wheel.sha256}, the lock says {one.file.sha256}",
            )
        return None if compiles_on_the_machine else release._replace(wheels=(wheel,))
    if compiles_on_the_machine:
        return None
    targets: tuple[CodeTarget, ...] = ()
    variant, confidence = "", UNREAD
    if tool is not None and "architectures" in tool:
        try:
            targets = tuple(CodeTarget.parse(str(text)) for text in tool["architectures"])
            variant, confidence = str(tool["variant"]), "lock"
            variant_cuda(variant)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: the table tool.{TOOL} of {one.name} is damaged", code="bad-lock", cause=str(error)
            ) from error
    elif package is None:
        return None
    return Release(one.name, one.version, variant, host.os, host.machine, "", "", targets, confidence, where, ())


def _pin(release: Release, one: Selected, host: HostFacts, where: str) -> Pin:
    wheel = Wheel("", one.file.filename, one.file.urls[0], one.file.sha256, one.file.size_bytes)
    release = release._replace(index_url=one.index_url, wheels=(wheel,))
    capabilities = sorted({gpu.capability for gpu in host.visible_gpus if gpu.capability})
    covered = tuple((capability, coverage(release.architectures, capability)) for capability in capabilities)
    return Pin(Build(release, wheel), covered, (f"lock: {where}", f"architectures: {release.source}"))
