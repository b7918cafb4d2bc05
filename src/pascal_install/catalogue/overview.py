"""What each layer of the catalogue holds, counted: packages, builds, versions, confidence, age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from pascal_install.catalogue.decode import Data
from pascal_install.catalogue.load import Layer, platform_releases
from pascal_install.model.build import CONFIDENCE, Release
from pascal_install.model.overview import Part


def overview(layers: Iterable[Layer]) -> tuple[Part, ...]:
    """Count every part of every layer: packages by name, what lies above behind what lies below; then the tables."""
    found = [part for layer in layers for part in _parts(layer)]
    return tuple(sorted(found, key=lambda part: (not part.role, part.name)))


def count_parts(data: Data, origin: str) -> tuple[Part, ...]:
    """Count the packages of one folder that is decoded."""
    return tuple(
        _part(
            package.name, package.role, origin, data.dates[f"packages/{package.name}.toml"], package.releases
        )._replace(checked=package.checked)
        for package in data.packages.values()
    )


def _parts(layer: Layer) -> Iterator[Part]:
    meta = layer.store.read("meta.json")
    for name, facts in meta["packages"].items():
        releases = [one for platform in facts["platforms"] for one in platform_releases(layer.store, name, platform)]
        part = _part(name, facts["role"], layer.origin, facts["date"], releases)
        yield part._replace(checked=facts["checked"])
    for file, date in meta["dates"].items():
        if not file.startswith("packages/"):
            yield Part(file, layer.origin, date)


def _part(name: str, role: str, origin: str, date: str, releases: Collection[Release]) -> Part:
    versions = [release.public_version for release in sorted(releases, key=lambda release: release.rank)]
    # Releases that differ in their CUDA variant only may share a wheel.
    wheels = {wheel.url or wheel.sha256 or wheel.filename for release in releases for wheel in release.wheels}
    return Part(
        name=name,
        origin=origin,
        data_date=date,
        role=role,
        releases=len(releases),
        builds=len(wheels),
        oldest=versions[0] if versions else "",
        newest=versions[-1] if versions else "",
        confidence=_confidence(releases),
    )


def _confidence(releases: Iterable[Release]) -> tuple[tuple[str, int], ...]:
    """Count the releases of each confidence, strongest first."""
    counts = Counter(release.confidence for release in releases)
    return tuple((word, counts[word]) for word in CONFIDENCE if counts[word])
