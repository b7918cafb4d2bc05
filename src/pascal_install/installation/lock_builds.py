"""Which build of the catalogue a file of a lock is, where several share a wheel or the name of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pascal_install.installation.wheelstore import File
from pascal_install.model.build import Build, Catalogue, Release
from pascal_install.model.cuda import coverage
from pascal_install.model.plan import Pin
from pascal_install.resolve.rules import fits_torch


def known_build(file: File, variant: str, releases: Iterable[Release]) -> Build | None:
    """Find the build of a file, by hash, else by name.

    Several CUDA variants may share a wheel (bitsandbytes) or the name of one (llama-cpp-python): then the variant that
    the lock tells decides, else the address.
    """
    builds = [Build(release, wheel) for release in releases for wheel in release.wheels]
    found = [build for build in builds if build.wheel.sha256 and build.wheel.sha256 == file.sha256]
    found = found or [build for build in builds if build.wheel.filename == file.filename]
    by_variant = [build for build in found if build.release.variant == variant]
    by_address = [build for build in found if build.wheel.url and build.wheel.url in file.urls]
    return next(iter(by_variant or by_address or found), None)


def beside_torch(pins: Sequence[Pin], catalogue: Catalogue) -> Iterator[Pin]:
    """Of builds that share a wheel, take the one for the torch of the lock: a foreign lock tells no variant."""
    torch = next((pin.build.release for pin in pins if pin.build.release.name == "torch"), None)
    for pin in pins:
        release, wheel = pin.build
        if torch is None or fits_torch(release, torch) or release.name not in catalogue.packages:
            yield pin
            continue
        sharing = (
            other._replace(index_url=release.index_url, wheels=(wheel,))
            for other in catalogue.packages[release.name].releases
            if any(one.sha256 and one.sha256 == wheel.sha256 for one in other.wheels) and fits_torch(other, torch)
        )
        chosen = next(sharing, release)
        covered = tuple((capability, coverage(chosen.architectures, capability)) for capability, _ in pin.coverage)
        yield Pin(Build(chosen, wheel), covered, (pin.evidence[0], f"architectures: {chosen.source}"))
