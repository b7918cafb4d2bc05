"""What one resolution needs of the catalogue, in a few milliseconds: this module and `store` import next to nothing."""

from __future__ import annotations

from pascal_install.catalogue.store import Store, compiled, packaged_or_compiled
from pascal_install.model.build import (
    EXISTENCE,
    Advice,
    Catalogue,
    CudaTables,
    Generation,
    Package,
    Release,
    VariantFacts,
    Wheel,
)
from pascal_install.model.cuda import CodeTarget, ComputeCapability, CudaVersion, DriverVersion, variant_cuda
from pascal_install.model.request import Wanted
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    _WheelSequence = Sequence[Wheel]
else:
    _WheelSequence = object


def load(
    names: Sequence[str], os: str, machine: str, *, overlay: str = "", user: str = "", cache_dir: str
) -> Catalogue:
    """Read these packages, by normalised name, for one platform. Names not found are in `Catalogue.unknown`.

    `overlay` is a folder of the same kind as resolver_data: its rows replace ours where they describe the same build,
    and come beside them otherwise. `user` is the person's own folder, between ours and the overlay: `refresh` writes
    there. Raises DataError for bad files, with all problems.
    """
    layers = open_layers(overlay=overlay, user=user, cache_dir=cache_dir)
    stores = [layer.store for layer in layers]
    metas = [store.read("meta.json") for store in stores]
    names = _with_those_meant(names, metas)
    ours, *laid_over = (_read(*layer, names, f"{os}_{machine}") for layer in zip(stores, metas, strict=True))
    for layer, above in zip(layers[1:], laid_over, strict=True):
        from pascal_install.catalogue.merge import check_hashes, merge

        if layer.is_plugin:
            check_hashes(ours, above, layer.origin)
        ours = merge(ours, above)
    return ours._replace(unknown=tuple(name for name in names if name not in ours.packages))


def package_names(*, overlay: str = "", user: str = "", cache_dir: str) -> tuple[str, ...]:
    """Name every package of the catalogue."""
    layers = open_layers(overlay=overlay, user=user, cache_dir=cache_dir)
    metas = [layer.store.read("meta.json") for layer in layers]
    return tuple(sorted({name for meta in metas for name in meta["packages"]}))


def driver_branches(*, cache_dir: str) -> tuple[tuple[int, CudaVersion], ...]:
    """Give the branches of the driver, oldest first, each with the CUDA version that it implements."""
    return _tables(packaged_or_compiled(cache_dir).read("tables.json")).driver_branches


class Layer(NamedTuple):
    """One folder of the catalogue, compiled."""

    origin: str
    """`built-in`, `plugin` with the name of its distribution, or the path of the folder."""
    store: Store
    is_plugin: bool = False


def open_layers(*, overlay: str = "", user: str = "", cache_dir: str) -> tuple[Layer, ...]:
    """Open our catalogue and what lies over it, from below to above: plugins, the person's own folder, the overlay.

    Raises DataError for bad files.
    """
    from pascal_install.catalogue.locate import data_dir, is_data_dir
    from pascal_install.catalogue.plugins import find_plugins

    folders = [(f"plugin {plugin.distribution}", plugin.folder, True) for plugin in find_plugins(cache_dir)]
    folders += [(folder, folder, False) for folder in (user if is_data_dir(user) else "", overlay) if folder]
    layers = [Layer("built-in", packaged_or_compiled(cache_dir))]
    for origin, folder, is_plugin in folders:
        labels = {label for layer in layers for label, *_ in layer.store.read("tables.json")["variants"]}
        layers.append(Layer(origin, compiled(data_dir(folder), cache_dir, tuple(sorted(labels))), is_plugin))
    return tuple(layers)


def _with_those_meant(names: Sequence[str], metas: Sequence[dict[str, Any]]) -> list[str]:
    """Add the names that a name stands for, and what these stand for in turn."""
    found = list(dict.fromkeys(names))
    for name in found:  # grows on the way
        for facts in (meta["packages"][name] for meta in metas if name in meta["packages"]):
            more = [*(wanted[0] for wanted in facts["uses"]), *facts["one_of"]]
            found += [one for one in dict.fromkeys(more) if one not in found]
    return found


def _read(store: Store, meta: dict[str, Any], names: Sequence[str], platform: str) -> Catalogue:
    packages = {}
    for name in names:
        facts = meta["packages"].get(name)
        if facts is not None:
            has_any = platform in facts["platforms"]
            packages[name] = Package(
                name=name,
                role=facts["role"],
                import_name=facts["import_name"],
                releases=platform_releases(store, name, platform) if has_any else (),
                never_from_pypi=facts["never_from_pypi"],
                uses=tuple(Wanted(*wanted) for wanted in facts["uses"]),
                one_of=tuple(facts["one_of"]),
                checked=facts["checked"],
            )
    return Catalogue(
        packages=packages,
        tables=_tables(store.read("tables.json")),
        data_date=max((meta["packages"][name]["date"] for name in packages), default=""),
    )


def platform_releases(store: Store, name: str, platform: str) -> tuple[Release, ...]:
    """Read the releases of a package for a platform (`linux_x86_64`) that its layer has some for, newest first."""
    shard = store.read(f"{name}.{platform}.json")
    os, _, machine = platform.partition("_")
    texts = shard["texts"]
    architectures = [tuple(map(CodeTarget.parse, targets)) for targets in shard["architectures"]]
    stem = f"{name.replace('-', '_')}-"
    releases = []
    end = 0
    for row in shard["releases"]:
        version, variant, publisher, index_url, targets, confidence, source, *facts, heads, plus, count, odd = row
        torch, torch_variants, cxx11_abi, cudnn, rank, note, torch_also = facts
        start, end = end, end + count
        releases.append(
            Release(
                name,
                version,
                variant,
                os,
                machine,
                publisher,
                texts[index_url],
                architectures[targets],
                confidence,
                texts[source],
                _Wheels(shard, (start, end), (f"{stem}{version}-", heads, plus, odd)),
                torch,
                tuple(torch_variants),
                cxx11_abi,
                cudnn,
                rank,
                texts[note],
                tuple(torch_also),
            )
        )
    return tuple(releases)


class _Wheels(_WheelSequence):
    """The wheels of one release, made when somebody looks at them: a plan looks at few releases."""

    __slots__ = ("_addresses", "_made", "_place", "_shard")

    def __init__(self, shard: dict[str, Any], place: tuple[int, int], addresses: tuple[Any, ...]) -> None:
        self._shard = shard
        self._place = place
        self._addresses = addresses
        self._made: tuple[Wheel, ...] | None = None

    def _all(self) -> tuple[Wheel, ...]:
        if self._made is None:
            self._made = _wheels(self._shard, self._place, *self._addresses)
        return self._made

    def __len__(self) -> int:
        return self._place[1] - self._place[0]

    def __getitem__(self, place: Any) -> Any:
        return self._all()[place]

    def __iter__(self) -> Iterator[Wheel]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, _Wheels) else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


def _wheels(
    shard: dict[str, Any], place: tuple[int, int], stem: str, heads: list[str], plus: str, odd: dict[str, list[Any]]
) -> tuple[Wheel, ...]:
    """Put the wheels of one release together: those from one place to another of the shard's lists."""
    texts, tags = shard["texts"], shard["tags"]
    lists = [shard["wheels"][fact][slice(*place)] for fact in ("tag", "sha256", "size", "existence", "source")]
    quoted = stem.replace("+", plus)
    head, *others = [head and head + quoted for head in heads]
    wheels = [
        Wheel(
            tags[tag],
            f"{stem}{tags[tag]}.whl",
            head and f"{head}{tags[tag]}.whl",
            sha256,
            size,
            EXISTENCE[existence],
            texts[source],
            tuple([f"{other}{tags[tag]}.whl" for other in others]) if others else (),
        )
        for tag, sha256, size, existence, source in zip(*lists, strict=True)
    ]
    for number, (filename, url, mirrors) in odd.items():
        wheels[int(number)] = wheels[int(number)]._replace(filename=filename, url=url, mirrors=tuple(mirrors))
    return tuple(wheels)


def _tables(tables: dict[str, Any]) -> CudaTables:
    return CudaTables(
        variants=tuple(
            VariantFacts(
                label,
                variant_cuda(label) or CudaVersion(0, 0),
                DriverVersion.parse(linux),
                DriverVersion.parse(windows),
                source,
            )
            for label, linux, windows, source in tables["variants"]
        ),
        driver_branches=tuple((branch, CudaVersion.parse(cuda)) for branch, cuda in tables["driver_branches"]),
        generations=tuple(
            Generation(name, tuple(capabilities), *rest) for name, capabilities, *rest in tables["generations"]
        ),
        advice=tuple(
            Advice(name, text, source, tuple(capabilities), tuple(packages), when)
            for name, text, source, capabilities, packages, when in tables["advice"]
        ),
    )


class Gpus:
    """The cards that the catalogue knows. The file is read at the first question."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores
        self._files: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Give pairs of a card's name, without `NVIDIA`, and its compute capability as text."""
        for file in self._read():
            yield from ((name, capability) for name, capability in file["names"])

    def lookup_pci(self, device_id: str) -> tuple[str, ComputeCapability] | None:
        """Find name and compute capability by PCI device id: `1b06`, `0x1b06`. The name may be empty."""
        for file in self._read():
            found = file["pci"].get(device_id.lower().removeprefix("0x"))
            if found:
                return found[0], ComputeCapability.parse(found[1])
        return None

    def _read(self) -> list[dict[str, Any]]:
        """Give the files' content, what lies above first."""
        if not self._files:
            self._files = [store.read("gpus.json") for store in self._stores]
        return self._files


def load_gpus(*, overlay: str = "", user: str = "", cache_dir: str) -> Gpus:
    """Open the table of GPUs; what lies above comes first. Raises DataError for bad files."""
    return Gpus([layer.store for layer in open_layers(overlay=overlay, user=user, cache_dir=cache_dir)[::-1]])
