"""A plan with all that it requires as a PEP 751 lock, which pip, uv and we install from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from packaging.markers import Marker
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from pascal_install.catalogue.toml_text import to_toml
from pascal_install.installation.selection import Selected
from pascal_install.model.address import Mirror, mirrored, redact
from pascal_install.model.plan import Pin, Plan
from pascal_install.value import NamedTuple

TOOL = "pascal-install"
_DRIVES = {"linux": "linux", "windows": "win32"}


class Naming(NamedTuple):
    """How a lock names its files."""

    own_index: str
    """The index of what the person's own settings lead to."""
    mirrors: tuple[Mirror, ...] = ()
    paths: Mapping[str, str] = {}
    """Files that lie beside the lock, by file name: they are named by path instead of by address."""
    first_use: Collection[str] = ()
    """Files whose hash nobody published: it was learned from the first download."""


def lock_text(plan: Plan, selected: Sequence[Selected], naming: Naming) -> str:
    """Write the lock: every file with address, hash and index.

    Every file must have its hash by now. What only we read, the architectures that a plan was made for, stands in
    tables of our own, which other tools keep and ignore.
    """
    pins = {pin.build.release.name: pin for pin in plan.pins}
    packages = [_package(one, pins.get(one.name), naming) for one in selected]
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


def _package(one: Selected, pin: Pin | None, naming: Naming) -> Package:
    file = one.file
    path = naming.paths.get(file.filename)
    facts: dict[str, Any] = {
        "url": None if path else redact(mirrored(file.urls[0], naming.mirrors)),
        "path": path,
        "size": file.size_bytes,
        "hashes": {"sha256": file.sha256},
    }
    table: dict[str, Any] = {}
    if pin is not None:
        release = pin.build.release
        table = {"variant": release.variant, "architectures": [str(target) for target in release.architectures]}
    if file.filename in naming.first_use:
        table["hash-source"] = "first-use"
    index = one.index_url or ("" if pin is not None and pin.build.wheel.url else naming.own_index)
    return Package(
        name=canonicalize_name(one.name),
        version=Version(one.version),
        index=redact(mirrored(index, naming.mirrors)) or None,
        wheels=[PackageWheel(name=file.filename, **facts)] if one.is_wheel else None,
        sdist=None if one.is_wheel else PackageSdist(name=file.filename, **facts),
        tool={TOOL: table} if table else None,
    )
