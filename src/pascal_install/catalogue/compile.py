"""Values to JSON shards, one for each package and platform, so that a plan reads only what it needs.

Texts, tags and lists of architectures stand once in a table and are named by their place. Names and addresses of files
are kept as the parts that a release's files share. The same values give the same bytes.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pascal_install.model.build import EXISTENCE, CudaTables, Package, Release, Wheel
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pascal_install.catalogue.decode import Data
    from pascal_install.catalogue.decode_tables import KnownGpu
    from pascal_install.model.cuda import CodeTarget

T = TypeVar("T")


class Table(dict[T, int]):
    """Gives each value the place that it has in a list."""

    def place(self, value: T) -> int:
        """Find the place of a value, and make one where it has none."""
        return self.setdefault(value, len(self))


def compile_data(data: Data) -> dict[str, bytes]:
    """Turn decoded files into the compiled ones, by file name."""
    files: dict[str, Any] = {
        "tables.json": _tables(data.tables),
        "gpus.json": _gpus(data.gpus),
        "meta.json": _meta(data),
    }
    for package in data.packages.values():
        for platform in platforms(package):
            files[f"{package.name}.{platform}.json"] = _shard(package, platform)
    return {name: _bytes(value) for name, value in sorted(files.items())}


def platforms(package: Package) -> list[str]:
    """Name the platforms that a package has releases for, such as `linux_x86_64`."""
    return sorted({platform_of(release) for release in package.releases})


def platform_of(release: Release) -> str:
    """Name the platform of a release."""
    return f"{release.os}_{release.machine}"


def _bytes(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n").encode()


def _meta(data: Data) -> dict[str, Any]:
    return {
        "digest": data.digest,
        "dates": data.dates,
        "packages": {
            package.name: {
                "role": package.role,
                "import_name": package.import_name,
                "never_from_pypi": package.never_from_pypi,
                "uses": package.uses,
                "one_of": package.one_of,
                "checked": package.checked,
                "date": data.dates[f"packages/{package.name}.toml"],
                "platforms": platforms(package),
            }
            for package in data.packages.values()
        },
    }


def _shard(package: Package, platform: str) -> dict[str, Any]:
    texts: Table[str] = Table()
    tags: Table[str] = Table()
    architectures: Table[tuple[CodeTarget, ...]] = Table()
    of_platform = [release for release in package.releases if platform_of(release) == platform]
    wheels = [wheel for release in of_platform for wheel in release.wheels]
    return {
        "releases": [
            [
                release.version,
                release.variant,
                release.publisher,
                texts.place(release.index_url),
                architectures.place(release.architectures),
                release.confidence,
                texts.place(release.source),
                release.torch,
                release.torch_variants,
                release.cxx11_abi,
                release.cudnn,
                release.rank,
                texts.place(release.note),
                release.torch_also,
                *_addresses(release),
            ]
            for release in of_platform
        ],
        # One list for each fact of the wheels, of all releases in turn: many short lists take twice as long to read.
        "wheels": {
            "tag": [tags.place(wheel.tag) for wheel in wheels],
            "sha256": [wheel.sha256 for wheel in wheels],
            "size": [wheel.size_bytes for wheel in wheels],
            "existence": [EXISTENCE.index(wheel.existence) for wheel in wheels],
            "source": [texts.place(wheel.source) for wheel in wheels],
        },
        "texts": list(texts),
        "tags": list(tags),
        "architectures": [[str(target) for target in targets] for targets in architectures],
    }


def _addresses(release: Release) -> list[Any]:
    """Give what the addresses of a release's wheels share, how many they are, and those that do not share it."""
    regular = next((wheel for wheel in release.wheels if wheel.filename == _filename(release, wheel)), None)
    plus = "%2B" if regular and "%2B" in regular.url else "+"
    heads = [_head(url, regular.filename, plus) for url in (regular.url, *regular.mirrors)] if regular else [""]
    odd = {
        str(place): [wheel.filename, wheel.url, wheel.mirrors]
        for place, wheel in enumerate(release.wheels)
        if [wheel.filename, wheel.url, *wheel.mirrors]
        != [_filename(release, wheel), *(_address(head, _filename(release, wheel), plus) for head in heads)]
    }
    return [heads, plus, len(release.wheels), odd]


def _filename(release: Release, wheel: Wheel) -> str:
    return f"{release.name.replace('-', '_')}-{release.version}-{wheel.tag}.whl"


def _head(url: str, filename: str, plus: str) -> str:
    return url.removesuffix(filename.replace("+", plus))


def _address(head: str, filename: str, plus: str) -> str:
    return head and head + filename.replace("+", plus)


def _tables(tables: CudaTables) -> dict[str, Any]:
    return {
        "variants": [
            [facts.label, str(facts.min_driver_linux), str(facts.min_driver_windows), facts.source]
            for facts in tables.variants
        ],
        "driver_branches": [[branch, str(cuda)] for branch, cuda in tables.driver_branches],
        "generations": [list(generation) for generation in tables.generations],
        "advice": [list(advice) for advice in tables.advice],
    }


def _gpus(gpus: Iterable[KnownGpu]) -> dict[str, Any]:
    gpus = list(gpus)
    return {
        "names": sorted({(gpu.name, str(gpu.capability)) for gpu in gpus if gpu.name}),
        "pci": {gpu.pci: [gpu.name, str(gpu.capability)] for gpu in gpus if gpu.pci},
    }
