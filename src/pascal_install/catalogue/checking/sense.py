"""What the fields of one row cannot tell: rows that contradict each other, or what is known of CUDA and of wheels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from packaging.tags import parse_tag

from pascal_install.catalogue.checking.places import PackageFile, Row, read_package_file, read_text
from pascal_install.catalogue.decode import Data, parse_toml, toml_files
from pascal_install.catalogue.decode_package import is_version
from pascal_install.model.build import CudaTables, Package, Release
from pascal_install.model.coupling import torch_matches, variant_matches
from pascal_install.model.cuda import ComputeCapability, CudaVersion, variant_cuda
from pascal_install.resolve.rules import fits_torch
from pascal_install.value import NamedTuple

_PYTHON = re.compile(r"(cp|pp)3\d{1,2}|py[23](\d{1,2})?")
_ABI = re.compile(r"none|abi3|cp3\d{1,2}[mt]?|pypy3\d{1,2}_pp\d+")
_PLATFORM = re.compile(
    r"any|win_amd64|(linux|manylinux1|manylinux2010|manylinux2014|(many|musl)linux_\d+_\d+)_(x86_64|aarch64)"
)
#: The first GPUs with features of their own (`sm_90a`), and of their family (`sm_100f`): CUDA C++ Programming Guide,
#: "Feature Set Compiler Targets".
_FIRST_SUFFIXED = {"a": (9, 0), "f": (10, 0)}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NOTHING = Package("torch", "torch", "torch", ())


class World(NamedTuple):
    """What the rows are held against."""

    names: frozenset[str]
    """All packages."""
    torches: tuple[Release, ...]
    tables: CudaTables


def make_world(checked: Data, below: Data | None) -> World:
    """Take torch and the tables from what is checked, and from what lies below it."""
    layers = [data for data in (checked, below) if data is not None]
    all_torches = (release for data in layers for release in data.packages.get("torch", _NOTHING).releases)
    torches = tuple(release for release in all_torches if is_version(release.version))
    generations = tuple(one for data in layers for one in data.tables.generations)
    names = frozenset(name for data in layers for name in data.packages)
    return World(names, torches, checked.tables._replace(generations=generations))


def nonsense(directory: str, checked: Data, below: Data | None, bad: Collection[tuple[str, str]] = ()) -> list[str]:
    """List what makes no sense in a folder, each with file and field.

    `bad` names the rows (file, `release[3]`) with fields that could not be read: nothing follows from those.
    """
    world = make_world(checked, below)
    if any(file == "cuda.toml" and field.startswith("generation") for file, field in bad):
        world = world._replace(tables=world.tables._replace(generations=()))
    problems: list[str] = []
    for package in checked.packages.values():
        name = f"packages/{package.name}.toml"
        of_file = {field for file, field in bad if file == name}
        problems += _names(package, world)
        if of_file & {"release", "index"}:
            continue
        file = read_package_file(directory, package.name)
        rows = {id(one): file.rows.get(one.identity) for one in package.releases}
        sound = [(row, one) for one in package.releases if (row := rows[id(one)]) and row.field not in of_file]
        sound.sort(key=lambda pair: pair[0].number)
        for row, release in sound:
            problems += _architectures(row, release, world)
            problems += _tags(row, release)
            problems += _coupling(row, release, world)
        if not any(field.startswith("index[") for field in of_file):
            problems += _addresses(file, sound)
        problems += _files(sound)
    problems += _advice(directory, world)
    return list(dict.fromkeys(problems))


def _architectures(row: Row, release: Release, world: World) -> Iterator[str]:
    """Device code is for GPUs that exist, that the row's CUDA still compiles for, and is named once."""
    if len(set(release.architectures)) < len(release.architectures):
        yield row.problem("architectures", "each architecture once", " ".join(map(str, release.architectures)))
    cuda = variant_cuda(release.variant)
    last_of = {
        capability: generation.last_cuda
        for generation in world.tables.generations
        for capability in generation.capabilities
    }
    for target in release.architectures if last_of else ():
        # Thor was 10.1 before CUDA 13 (model.cuda says so too).
        known = str(target.capability) in last_of or target.capability == ComputeCapability(10, 1)
        first = _FIRST_SUFFIXED.get(target.suffix)
        if not known or (first and target.capability < first):
            yield row.problem("architectures", "architectures of GPUs that cuda.toml knows", repr(str(target)))
            continue
        last = last_of.get(str(target.capability), "")
        if cuda and last and CudaVersion.parse(last) < cuda:
            yield row.problem("architectures", f"what CUDA {cuda} compiles for", f"{target}, last in CUDA {last}")


def _tags(row: Row, release: Release) -> Iterator[str]:
    """Wheel tags are made of parts that exist, and a CPython ABI is that of its Python."""
    for number, wheel in enumerate(release.wheels):
        for tag in parse_tag(wheel.tag):
            parts = ((_PYTHON, tag.interpreter), (_ABI, tag.abi), (_PLATFORM, tag.platform))
            exists = all(pattern.fullmatch(part) for pattern, part in parts)
            if not exists or (tag.abi.startswith("cp3") and tag.abi.rstrip("tm") != tag.interpreter):
                yield row.problem(f"wheels[{number}].tag", "a wheel tag that exists", repr(wheel.tag))


def _coupling(row: Row, release: Release, world: World) -> Iterator[str]:
    """An extension's torch is one that the catalogue has for the same platform."""
    if not release.torch:
        return
    platform = (release.os, release.machine)
    where = " ".join(platform)
    torches = [torch for torch in world.torches if (torch.os, torch.machine) == platform]
    if not any(fits_torch(release, torch) for torch in torches):
        wanted = " or ".join(dict.fromkeys((release.variant, *release.torch_variants)))
        yield row.problem("torch", f"a torch {wanted} that the catalogue has for {where}", repr(release.torch))
        return
    for version in release.torch_also:
        if not any(torch_matches(version, torch.public_version) for torch in torches):
            yield row.problem("torch_also", f"torch versions that the catalogue has for {where}", repr(version))
    for label in release.torch_variants:
        if not any(variant_matches(label, torch.variant) for torch in torches):
            yield row.problem("torch_variants", f"CUDA variants of a torch for {where}", repr(label))


def _addresses(file: PackageFile, sound: Sequence[tuple[Row, Release]]) -> Iterator[str]:
    """Files lie on hosts that the file's `[[index]]` tables name, and come encrypted."""
    plain = [template for _, template in file.templates if _is_plain(template)]
    for field, template in file.templates:
        if template in plain:
            yield f"{file.file}: {field}: expected an address with https, found {template!r}"
    hosts = {urlsplit(template).hostname or "" for _, template in file.templates}
    for row, release in sound:
        for number, wheel in enumerate(release.wheels):
            field = f"wheels[{number}].url"
            if wheel.url and (urlsplit(wheel.url).hostname or "") not in hosts:
                named = ", ".join(sorted(hosts)) or "none names one"
                yield row.problem(field, f"a host that an [[index]] names ({named})", repr(wheel.url))
            elif _is_plain(wheel.url) and not plain:
                yield row.problem(field, "an address with https", repr(wheel.url))


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _files(sound: Sequence[tuple[Row, Release]]) -> Iterator[str]:
    """One address has one hash, and one hash has one file. Releases that differ in variant only may share a wheel."""
    hash_of: dict[str, str] = {}
    file_of: dict[str, tuple[str, int | None]] = {}
    for row, release in sound:
        for number, wheel in enumerate(release.wheels):
            if not wheel.sha256:
                continue
            field = f"wheels[{number}].sha256"
            if wheel.url and hash_of.setdefault(wheel.url, wheel.sha256) != wheel.sha256:
                yield row.problem(field, f"one hash for {wheel.url}", f"{hash_of[wheel.url]} and {wheel.sha256}")
            name, size_bytes = file_of.setdefault(wheel.sha256, (wheel.filename, wheel.size_bytes))
            if name != wheel.filename or (wheel.size_bytes and size_bytes and size_bytes != wheel.size_bytes):
                found = f"{name} and {wheel.filename}" if name != wheel.filename else f"two sizes of {name}"
                yield row.problem(field, f"one file with the hash {wheel.sha256}", found)


def _names(package: Package, world: World) -> Iterator[str]:
    """What a package uses, or stands for, is in the catalogue."""
    for field, names in (("uses", [wanted.name for wanted in package.uses]), ("one_of", package.one_of)):
        unknown = [name for name in names if name not in world.names]
        if unknown:
            yield f"packages/{package.name}.toml: {field}: expected packages of the catalogue, found {unknown}"


def _advice(directory: str, world: World) -> Iterator[str]:
    """Advice is about packages of the catalogue: about any other it would never be shown."""
    for file in toml_files(directory):
        for place, row in enumerate(_rows(read_text(directory, file), "advice")):
            names = row.get("packages", [])
            unknown = [name for name in names if name not in world.names] if isinstance(names, list) else []
            if unknown:
                yield f"{file}: advice[{place}].packages: expected packages of the catalogue, found {unknown}"


def _rows(text: str, table: str) -> list[dict[str, Any]]:
    try:
        found = parse_toml(text).get(table, []) if table in text else []
    except ValueError:  # `decode` tells
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
