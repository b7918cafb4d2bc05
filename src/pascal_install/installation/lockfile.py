"""A plan with all that it requires as a PEP 751 lock, which pip, uv and we install from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import Marker
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockValidationError
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from pascal_install.errors import DataError, UnsatisfiableError
from pascal_install.installation.selection import Selected
from pascal_install.installation.toml_text import to_toml
from pascal_install.installation.wheelstore import File
from pascal_install.model.address import redact
from pascal_install.model.build import Build, Release, VariantFacts, Wheel
from pascal_install.model.cuda import CodeTarget, coverage
from pascal_install.model.gpu import HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Pin, Plan
from pascal_install.model.request import Request, Wanted

TOOL = "pascal-install"
_DRIVES = {"linux": "linux", "windows": "win32"}


class Locked(NamedTuple):
    """What a lock holds for one target."""

    plan: Plan
    selected: tuple[Selected, ...]


def lock_text(plan: Plan, selected: Sequence[Selected], own_index: str, paths: Mapping[str, str] | None = None) -> str:
    """Write the lock: every file with address, hash and index. `paths` name files beside the lock instead of addresses.

    Every file must have its hash by now. What only we read, the architectures that a plan was made for, stands in
    tables of our own, which other tools keep and ignore.
    """
    pins = {pin.build.release.name: pin for pin in plan.pins}
    packages = [_package(one, pins.get(one.name), own_index, paths or {}) for one in selected]
    packages.sort(key=lambda package: package.name)
    version = ".".join(str(part) for part in plan.target.version[:2])
    machine = {"x86_64": "AMD64", "aarch64": "ARM64"} if plan.target.os == "windows" else {}
    marker = (
        f"sys_platform == '{_DRIVES.get(plan.target.os, plan.target.os)}'"
        f" and platform_machine == '{machine.get(plan.target.machine, plan.target.machine)}'"
        f" and python_version == '{version}' and implementation_name == 'cpython'"
    )
    lock = Pylock(
        lock_version=Version("1.0"),
        environments=[Marker(marker)],
        requires_python=SpecifierSet(f"=={version}.*"),
        created_by=TOOL,
        packages=packages,
        tool={
            TOOL: {
                "asked": [wanted.text or wanted.name for wanted in plan.request.wanted],
                "gpus": sorted({str(capability) for pin in plan.pins for capability, _ in pin.coverage}),
                "abi": plan.target.abi,
            }
        },
    )
    lock.validate()
    return to_toml(lock.to_dict())


def _package(one: Selected, pin: Pin | None, own_index: str, paths: Mapping[str, str]) -> Package:
    file = one.file
    path = paths.get(file.filename)
    facts: dict[str, Any] = {
        "url": None if path else redact(file.urls[0]),
        "path": path,
        "size": file.size_bytes,
        "hashes": {"sha256": file.sha256},
    }
    tool = None
    if pin is not None:
        release = pin.build.release
        tool = {TOOL: {"variant": release.variant, "architectures": [str(target) for target in release.architectures]}}
    index = one.index_url or ("" if pin is not None and pin.build.wheel.url else own_index)
    return Package(
        name=canonicalize_name(one.name),
        version=Version(one.version),
        index=redact(index) or None,
        wheels=[PackageWheel(name=file.filename, **facts)] if one.is_wheel else None,
        sdist=None if one.is_wheel else PackageSdist(name=file.filename, **facts),
        tool=tool,
    )


def read_lock(text: str, where: str, target: Target, host: HostFacts) -> Locked:
    """Read a lock for a target. Raises DataError where it is none, UnsatisfiableError where it does not fit the target.

    `where` is its path: files that it names by path lie beside it or below. Whether it fits GPUs and driver is for
    `check_fits` to say.
    """
    lock = _parse(text, where)
    pins, others, selected = [], [], []
    missing = []
    for package in lock.packages:
        entry = _pick(package, target)
        if entry is None:
            missing.append(f"{package.name} {package.version}: no file for {target.best_tag or target.abi}")
            continue
        one = Selected(str(package.name), str(package.version), _file(entry, where), package.index or "")
        tool = (package.tool or {}).get(TOOL)
        if tool is not None:
            pins.append(_pin(one, tool, host, where))
        else:
            others.append(f"{one.name}==={one.version}")
        selected.append(one._replace(is_pin=tool is not None))
    if missing:
        raise UnsatisfiableError(
            f"{where} is not for Python {target.python} on {target.os} {target.machine}",
            code="wheel-tag",
            cause="\n".join(missing),
            hints=("make a lock for it: pascal-install lock, with --python or --python-version",),
        )
    asked = (lock.tool or {}).get(TOOL, {}).get("asked", [])
    request = Request(tuple(Wanted(str(text), "", str(text)) for text in asked))
    return Locked(Plan(request, host, target, tuple(pins), (), (), None, tuple(others)), tuple(selected))


def _parse(text: str, where: str) -> Pylock:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, PylockValidationError, ValueError) as error:
        raise DataError(f"{where} is no lock of PEP 751", code="bad-lock", cause=str(error)) from error


def _pick(package: Package, target: Target) -> PackageWheel | PackageSdist | None:
    """Choose the wheel that the target wants most; a source distribution where there is no wheel at all."""
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
    return best if package.wheels else package.sdist


def _file(entry: PackageWheel | PackageSdist, where: str) -> File:
    sha256 = entry.hashes.get("sha256", "")
    if not sha256:
        raise DataError(f"{where}: {entry.filename} has no sha256", code="bad-lock")
    if entry.path:
        return File(entry.filename, (_beside(entry.path, where),), sha256, entry.size)
    scheme = (entry.url or "").partition(":")[0]
    if scheme not in ("https", "http"):
        raise DataError(f"{where}: {entry.filename} has an address of the kind {scheme!r}", code="bad-lock")
    return File(entry.filename, (entry.url or "",), sha256, entry.size)


def _beside(path: str, where: str) -> str:
    """Give the address of a file that lies beside its lock, or below; nothing else of the disk is read."""
    folder = Path(where).resolve().parent
    file = folder.joinpath(path).resolve()
    if folder not in file.parents:
        raise DataError(f"{where}: {path!r} leads out of the folder of the lock", code="bad-lock")
    return file.as_uri()


def _pin(one: Selected, tool: Mapping[str, Any], host: HostFacts, where: str) -> Pin:
    try:
        targets = tuple(CodeTarget.parse(str(text)) for text in tool["architectures"])
        variant = str(tool["variant"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: the table {TOOL} of {one.name} is damaged", code="bad-lock", cause=str(error)
        ) from error
    wheel = Wheel("", one.file.filename, one.file.urls[0], one.file.sha256, one.file.size_bytes)
    release = Release(
        one.name, one.version, variant, host.os, host.machine, "", one.index_url, targets, "binary", where, (wheel,)
    )
    capabilities = [gpu.capability for gpu in host.visible_gpus if gpu.capability]
    return Pin(Build(release, wheel), tuple((one, coverage(targets, one)) for one in capabilities), (where,))


def check_fits(locked: Locked, where: str, variants: Mapping[str, VariantFacts]) -> None:
    """Raise UnsatisfiableError, naming all that does not fit, where a lock is not for these GPUs and this driver."""
    host = locked.plan.host
    problems = []
    for pin in locked.plan.pins:
        release = pin.build.release
        problems += [
            f"{release.name} {release.version} has no code for compute capability {capability}"
            for capability, found in pin.coverage
            if found.kind == "none"
        ]
        facts = variants.get(release.variant)
        version = host.driver.version if host.driver else None
        if facts and version:
            minimum = facts.min_driver_windows if host.os == "windows" else facts.min_driver_linux
            if version < minimum:
                problems.append(f"{release.name} {release.version} needs driver {minimum} or newer, found {version}")
    if problems:
        raise UnsatisfiableError(
            f"{where} does not fit this machine",
            code="lock-does-not-fit",
            cause="\n".join(dict.fromkeys(problems)),
            hints=("make a lock for it: pascal-install lock",),
        )
