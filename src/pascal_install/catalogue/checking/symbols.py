"""Extensions beside torches: which pairs load, read from the symbols of both; nothing is imported or run.

Only wheels on PyPI are read. A pair is an extension and a torch that its row may mean: the versions of torch that it is
coupled to, whatever their CUDA variant, and on demand their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pascal_install import cache
from pascal_install.binary.source import DamagedError
from pascal_install.catalogue.checking.binaries import Index, addresses_of
from pascal_install.catalogue.checking.places import Row, read_package_file
from pascal_install.errors import NetworkError
from pascal_install.inspection.pairs import check_pair, unpacked_torch
from pascal_install.inspection.remote import RangeFetcher
from pascal_install.model.build import Package, Release, Wheel
from pascal_install.model.checked import CheckedPair
from pascal_install.model.coupling import torch_matches
from pascal_install.model.cuda import variant_cuda
from pascal_install.resolve.rules import fits_torch
from pascal_install.value import NamedTuple

_KIND = "pairs"
#: Raised when the same files are judged differently.
_READER = [1]
#: Which Python's wheels are read; the symbols that matter do not depend on it.
_PYTHONS = ("cp311", "cp312", "cp310", "cp39", "cp38", "cp37")


class Pair(NamedTuple):
    """One extension beside one torch, with a wheel of each for the same Python."""

    row: Row
    release: Release
    torch: Release
    wheel: Wheel
    torch_wheel: Wheel

    @property
    def wheels(self) -> tuple[tuple[Release, Wheel], ...]:
        """Both wheels, each with its release."""
        return (self.release, self.wheel), (self.torch, self.torch_wheel)

    @property
    def key(self) -> str:
        """What the answer is kept under."""
        return f"{self.wheel.sha256[:40]}-{self.torch_wheel.sha256[:40]}"


def pairs_of(
    directory: str, packages: Iterable[Package], torch: Package, machine: str, *, neighbours: bool = False
) -> list[Pair]:
    """List the pairs whose wheels PyPI hosts for Linux on this kind of machine, those of one torch side by side."""
    torches = [one for one in torch.releases if _is_here(one, machine)]
    found = []
    for package in packages:
        if package.role != "torch-extension":
            continue
        file = read_package_file(directory, package.name)
        for release in package.releases:
            for other in _torches(release, torches, neighbours) if _is_here(release, machine) else ():
                wheels = _wheels(release, other)
                if wheels:
                    found.append(Pair(file.row(release), release, other, *wheels))
    return sorted(found, key=lambda pair: (-pair.torch.rank, pair.torch_wheel.sha256))


def _is_here(release: Release, machine: str) -> bool:
    on_pypi = any(wheel.sha256 and not wheel.url for wheel in release.wheels)
    return on_pypi and (release.os, release.machine) == ("linux", machine)


def _torches(release: Release, torches: Sequence[Release], neighbours: bool) -> list[Release]:
    """Give the torches of the versions that a row is coupled to; with `neighbours` also the next older and newer."""
    wanted = (release.torch, *release.torch_also) if release.torch else ()
    meant = [
        place for place, torch in enumerate(torches) if any(torch_matches(one, torch.public_version) for one in wanted)
    ]
    if meant and neighbours:
        meant = [place for place in range(min(meant) - 1, max(meant) + 2) if 0 <= place < len(torches)]
    return [torches[place] for place in meant]


def _wheels(release: Release, torch: Release) -> tuple[Wheel, Wheel] | None:
    """Choose a wheel of each for the same Python."""
    for python in _PYTHONS:
        of_torch = next((one for one in torch.wheels if one.tag.startswith(f"{python}-{python}-")), None)
        if of_torch is None or of_torch.url:
            continue
        for wheel in release.wheels:
            tag, abi, _ = wheel.tag.split("-")
            if tag == python or tag.startswith("py3") or abi == "abi3":
                return wheel, of_torch
    return None


class Kept:
    """Answers about pairs, kept in the cache."""

    def __init__(self, cache_dir: str) -> None:
        self._cache_dir = cache_dir

    def get(self, pair: Pair) -> tuple[str, tuple[str, ...]] | None:
        """Give the state of a pair, and why."""
        kept = cache.read(self._cache_dir, _KIND, pair.key, _READER)
        return (kept[0], tuple(kept[1])) if kept else None

    def keep(self, pair: Pair, state: str, why: Sequence[str]) -> None:
        """Keep the state of a pair, and why."""
        cache.write(self._cache_dir, _KIND, pair.key, _READER, [state, list(why)])


def check_pairs(
    pairs: Sequence[Pair], index: Index, fetcher: RangeFetcher, kept: Kept, tell: Callable[[str], None]
) -> tuple[CheckedPair, ...]:
    """Check each pair; a torch is fetched once for all extensions beside it. `tell` is called with what is going on.

    Raises NetworkError where the index, or a wheel, cannot be reached; what was found until then is kept.
    """
    open_pairs = [pair for pair in pairs if kept.get(pair) is None]
    urls = _addresses(open_pairs, index)
    for torch_wheel in dict.fromkeys(pair.torch_wheel for pair in open_pairs):
        beside = [pair for pair in open_pairs if pair.torch_wheel == torch_wheel]
        _check_beside(torch_wheel, beside, urls, fetcher, kept, tell)
    return tuple(_checked(pair, *(kept.get(pair) or ("unread", ()))) for pair in pairs)


def _addresses(pairs: Sequence[Pair], index: Index) -> dict[str, str]:
    """Find the addresses of both wheels of each pair; empty where the index has none, or --offline forbids asking."""
    wheels = [(release.name, wheel) for pair in pairs for release, wheel in pair.wheels]
    try:
        return addresses_of(wheels, index)
    except NetworkError as error:
        if error.code != "offline":
            raise
        return {wheel.sha256: "" for _, wheel in wheels}


def _check_beside(
    torch_wheel: Wheel,
    pairs: Sequence[Pair],
    urls: Mapping[str, str],
    fetcher: RangeFetcher,
    kept: Kept,
    tell: Callable[[str], None],
) -> None:
    if not urls[torch_wheel.sha256]:
        return
    tell(f"fetching the libraries of {torch_wheel.filename}")
    with unpacked_torch(urls[torch_wheel.sha256], fetcher) as folder:
        for pair in pairs:
            url = urls[pair.wheel.sha256]
            if not url:
                continue
            try:
                found = check_pair(url, folder, fetcher)
            except DamagedError as error:
                kept.keep(pair, "fails", [error.summary])
                continue
            errors = [finding for finding in found.findings if finding.severity == "error"]
            state = "loads" if found.loads and found.libraries else "fails" if errors else "links-nothing"
            kept.keep(pair, state, [f"{finding.summary}: {finding.evidence}" for finding in errors])
            tell(f"{pair.wheel.filename} beside {torch_wheel.filename}: {state}")


def _checked(pair: Pair, state: str, why: tuple[str, ...]) -> CheckedPair:
    return CheckedPair(
        name=pair.release.name,
        version=pair.release.version,
        variant=pair.release.variant,
        torch=pair.torch.public_version,
        torch_variant=pair.torch.variant,
        place=f"{pair.row.file}:{pair.row.line}",
        state=state,
        said=fits_torch(pair.release, pair.torch),
        why=why,
    )


def evidence(pairs: Iterable[Pair], found: Iterable[CheckedPair]) -> Iterator[tuple[Pair, CheckedPair]]:
    """Pick what a row can learn: the extension loads beside another CUDA minor of the one torch that it is made for.

    Of another torch version, or another CUDA major, this proves too little: symbols tell nothing of how structures are
    laid out, and only within a major does NVIDIA promise that builds go together (CUDA Compatibility guide, "Minor
    Version Compatibility").
    """
    for pair, checked in zip(pairs, found, strict=True):
        majors = {cuda.major for label in (checked.variant, checked.torch_variant) if (cuda := variant_cuda(label))}
        is_same = pair.release.torch == checked.torch and len(majors) == 1
        if checked.state == "loads" and not checked.said and is_same:
            yield pair, checked
