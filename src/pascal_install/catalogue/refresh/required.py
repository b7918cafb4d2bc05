"""Releases that torch requires, such as triton: which torch, and for which GPUs, is told by torch's own wheels.

triton's wheels hold no device code and name no torch. But a torch pins the triton that it was tested with, and its
compiler refuses GPUs that are too old for triton (`torch/_inductor/scheduler.py`, in every wheel since 2.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from packaging.version import Version

from pascal_install.binary.source import DamagedError
from pascal_install.catalogue.refresh import pypi
from pascal_install.catalogue.refresh.compare import Row, wheel_row
from pascal_install.catalogue.refresh.read_release import NotTaken, chosen, look_inside
from pascal_install.catalogue.refresh.upstream import Index, Offered, World
from pascal_install.errors import NetworkError
from pascal_install.model.cuda import ANY, JIT
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_SCHEDULER = "torch/_inductor/scheduler.py"
_LEAST = re.compile(r"device_props\b[^\n]*\.major < (\d+)")
_MINOR = re.compile(r"cp(\d)(\d+)-")

Platform = tuple[str, str]


class Torch(NamedTuple):
    """A torch that requires the package."""

    version: str
    filename: str
    wants: SpecifierSet
    least: str
    """The major compute capability from which its compiler uses it; empty where it does not say so."""


class Coupled(NamedTuple):
    """Releases with the torches that require them."""

    updated: tuple[tuple[Row, tuple[str, ...]], ...]
    """Recorded ones, as they were, with further torch versions, newest first."""
    new: tuple[tuple[tuple[Offered, ...], Row | NotTaken], ...]
    """The others, each with its row."""


def couple(
    index: Index, recorded: Sequence[Row], groups: Iterable[Sequence[Offered]], key: str, world: World
) -> Coupled:
    """Find the torches of new releases, and new torches of recorded ones.

    Nothing is read where no release and no torch is new. Raises NetworkError.
    """
    fresh = {(group[0].version, group[0].platform or ("", "")): tuple(group) for group in groups}
    rows = {(row["version"], (row["os"], row["machine"])): row for row in recorded}
    read = _Reader(index, world)
    updated, new = [], []
    for platform in sorted({platform for _, platform in (*fresh, *rows)}):
        named = {version for (_, of), row in rows.items() if of == platform for version in _torches_of(row)}
        newest = max(named, key=Version, default="0")
        later = [one for one in read.known(platform) if one not in named and Version(one) > Version(newest)]
        versions = [version for version, of in (*fresh, *rows) if of == platform]
        if not later and not any(of == platform for _, of in fresh):
            continue
        # The newest torch that is named may also take what is new.
        torches = [read.torch(one, platform) for one in sorted({*later, *named & {newest}}, key=Version, reverse=True)]
        taken: dict[str, list[Torch]] = {}
        for torch in torches:
            fitting = [version for version in versions if torch and torch.wants.contains(version)]
            if torch and fitting:
                taken.setdefault(max(fitting, key=Version), []).append(torch)
        for version in versions:
            by = taken.get(version, [])
            if (version, platform) in fresh:
                group = fresh[version, platform]
                new.append((group, _new_row(index, group, by, key)))
            elif more := tuple(torch.version for torch in by if torch.version not in named):
                updated.append((rows[version, platform], more))
    return Coupled(tuple(updated), tuple(new))


def with_torches(row: Row, versions: Sequence[str], source: str) -> Row:
    """Give a row with further torch versions; the newest stands first."""
    newest, *rest = sorted({*versions, *_torches_of(row)}, key=Version, reverse=True)
    after = {}
    for field, value in row.items():
        after[field] = value
        if field == "torch":
            after |= {"torch": newest, "torch_also": rest}
    return after | {"source": f"{row['source']}; {source}"}


def _torches_of(row: Row) -> tuple[str, ...]:
    return (row["torch"], *row.get("torch_also", ()))


def _new_row(index: Index, group: Sequence[Offered], torches: Sequence[Torch], key: str) -> Row | NotTaken:
    one = group[0]
    if not torches:
        return NotTaken(f"no torch of {index.id} that is recorded requires it: refresh torch first, or wait for one")
    newest, *others = torches
    if not newest.least:
        return NotTaken(
            f"{_SCHEDULER} of torch {newest.version} does not say for which GPUs it is used: a person has to find out"
        )
    os_name, machine = one.platform or ("", "")
    row: Row = {"version": one.version, "variant": ANY, "os": os_name, "machine": machine, "index": index.id}
    row |= {"architectures": [f"{JIT}_{newest.least}0"], "confidence": "script"}
    row["source"] = f"{key}; METADATA and {_SCHEDULER} of {newest.filename}"
    row["torch"] = newest.version
    if others:
        row["torch_also"] = [torch.version for torch in others]
    row["wheels"] = [wheel_row(wheel._replace(variant=ANY), index.package, index.file, key) for wheel in group]
    return row


class _Reader:
    """Reads torches, once each; the index's page of torch is asked for with the first of them."""

    def __init__(self, index: Index, world: World) -> None:
        self._index = index._replace(variant_member=_SCHEDULER)
        self._world = world
        self._listed: dict[tuple[str, Platform], list[Offered]] = {}

    def known(self, platform: Platform) -> list[str]:
        """Give the versions of the recorded torches."""
        return [
            version
            for publisher, version, *of in self._world.torches
            if publisher == self._index.id and tuple(of) == platform
        ]

    def torch(self, version: str, platform: Platform) -> Torch | None:
        """Read what a torch says; None where it does not require the package there, or is listed no longer."""
        if not self._listed:
            for one in pypi.offered(self._index._replace(package="torch"), self._world):
                self._listed.setdefault((one.version, one.platform or ("", "")), []).append(one)
        group = self._listed.get((version, platform))
        if not group:
            return None
        wheel = chosen(group)
        try:
            found = look_inside(wheel, self._index, self._world)
        except (NetworkError, DamagedError) as error:
            raise NetworkError(
                f"{wheel.filename} cannot be read", code="unexpected-answer", cause=error.summary
            ) from error
        here = _environment(wheel, platform)
        wants = [
            requirement.specifier
            for requirement in found.requires
            if requirement.name == self._index.package
            and (requirement.marker is None or requirement.marker.evaluate(here))
        ]
        least = _LEAST.search(found.member)
        return Torch(version, wheel.filename, wants[0], least[1] if least else "") if wants else None


def _environment(wheel: Offered, platform: Platform) -> Mapping[str, str]:
    """Give what the markers of a wheel's requirements are asked about: its own Python and platform, not ours."""
    os_name, machine = platform
    python = _MINOR.match(wheel.tag)
    version = f"{python[1]}.{python[2]}" if python else "3.12"
    return {
        "platform_system": os_name.capitalize(),
        "sys_platform": "win32" if os_name == "windows" else os_name,
        "platform_machine": machine,
        "python_version": version,
        "python_full_version": f"{version}.0",
    }
