"""What each layer of the catalogue holds, counted: packages, builds, versions, confidence, age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pascal_install.catalogue.load import Layer, platform_releases
from pascal_install.model.build import CONFIDENCE, Release
from pascal_install.model.overview import Part


def overview(layers: Iterable[Layer]) -> tuple[Part, ...]:
    """Count every part of every layer: packages by name, what lies above behind what lies below; then the tables."""
    found = [part for layer in layers for part in _parts(layer)]
    return tuple(sorted(found, key=lambda part: (not part.role, part.name)))


def count_confidence(releases: Iterable[Release]) -> tuple[tuple[str, int], ...]:
    """Count the releases of each confidence, strongest first."""
    counts = Counter(release.confidence for release in releases)
    return tuple((word, counts[word]) for word in CONFIDENCE if counts[word])


def _parts(layer: Layer) -> Iterator[Part]:
    meta = layer.store.read("meta.json")
    for name, facts in meta["packages"].items():
        releases = [one for platform in facts["platforms"] for one in platform_releases(layer.store, name, platform)]
        versions = [release.public_version for release in sorted(releases, key=lambda release: release.rank)]
        yield Part(
            name=name,
            origin=layer.origin,
            data_date=facts["date"],
            role=facts["role"],
            releases=len(releases),
            builds=sum(len(release.wheels) for release in releases),
            oldest=versions[0] if versions else "",
            newest=versions[-1] if versions else "",
            confidence=count_confidence(releases),
        )
    for file, date in meta["dates"].items():
        if not file.startswith("packages/"):
            yield Part(file, layer.origin, date)
