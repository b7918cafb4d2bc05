"""The order of releases within a package."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from pascal_install.model.cuda import CudaVersion, variant_cuda
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pascal_install.model.build import Release


def newest_first(releases: Iterable[Release]) -> tuple[Release, ...]:
    """Give every release its rank, and sort: newest version first, then newest CUDA, then by name, always the same."""
    releases = tuple(releases)
    versions = {release.public_version for release in releases}
    ranks = {version: rank for rank, version in enumerate(sorted(versions, key=_version), start=1)}
    ranked = [release._replace(rank=ranks[release.public_version]) for release in releases]
    return tuple(sorted(ranked, key=_place))


def _version(text: str) -> tuple[Version, str]:
    try:
        return Version(text), text
    except InvalidVersion:  # decode tells where; this only keeps it going
        return Version("0"), text


def _place(release: Release) -> tuple[int, CudaVersion, tuple[str, ...]]:
    try:
        cuda = variant_cuda(release.variant) or CudaVersion(0, 0)
    except ValueError:
        cuda = CudaVersion(0, 0)
    words = (release.publisher, release.os, release.machine, release.version)
    return (-release.rank, CudaVersion(-cuda.major, -cuda.minor), words)
