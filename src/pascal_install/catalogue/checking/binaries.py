"""The rows against the wheels themselves: the device code of the files that an index keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from pascal_install.binary.coverage import Binary, architectures, partly_served
from pascal_install.binary.source import DamagedError
from pascal_install.catalogue.checking.places import Row, read_package_file
from pascal_install.errors import NetworkError
from pascal_install.inspection.kept import KeptReadings
from pascal_install.inspection.remote import RangeFetcher
from pascal_install.model.build import Package, Release, Wheel
from pascal_install.model.checked import CheckedRow
from pascal_install.model.cuda import JIT, CodeTarget
from pascal_install.value import NamedTuple

#: Faults of one file; after any other one, asking for the next file would only fail as well.
_OF_ONE_FILE = frozenset({"not-found", "forbidden", "no-ranges", "cut-off", "unexpected-answer"})

#: File name, address and SHA-256 (or nothing) of each file that an index lists.
Listed = Sequence[tuple[str, str, str]]
#: Lists the files of a project, by its normalised name.
Index = Callable[[str], Listed]


class Watch(Protocol):
    """Is told what is read; any thread may call."""

    def announce(self, files: int, total_bytes: int, *, is_exact: bool) -> None:
        """Say how much will come."""

    def start(self, name: str, total_bytes: int | None) -> None:
        """Begin a file."""

    def advance(self, name: str, count: int) -> None:
        """Add bytes to a file."""

    def finish(self, name: str) -> None:
        """End a file."""

    def close(self) -> None:
        """Nothing more comes."""


class Job(NamedTuple):
    """One wheel of one row."""

    row: Row
    release: Release
    variants: tuple[str, ...]
    """The CUDA variants that the row speaks of."""
    wheel: Wheel
    number: int
    """Its place among the wheels of the row."""


class StoppedError(Exception):
    """Reading was told to stop; no error that a person sees."""


def jobs_of(directory: str, packages: Iterable[Package], *, one_each: bool = False) -> list[Job]:
    """List the wheels with a hash whose address only pip's settings tell, the first one of each row first."""
    found = []
    for package in packages:
        file = read_package_file(directory, package.name)
        rows: dict[Row, list[Release]] = {}
        for release in package.releases:
            rows.setdefault(file.row(release), []).append(release)
        for row, releases in rows.items():
            variants = tuple(release.variant for release in releases)
            wheels = [wheel for wheel in releases[0].wheels if wheel.sha256 and not wheel.url]
            found += [Job(row, releases[0], variants, wheel, number) for number, wheel in enumerate(wheels)]
    # Of what is compiled on the machine, a wheel shows nothing.
    found = [job for job in found if job.release.architectures and not _is_jit(job.release)]
    found = [job for job in found if not (one_each and job.number)]
    return sorted(found, key=lambda job: job.number)


def _is_jit(release: Release) -> bool:
    return any(target.suffix == JIT for target in release.architectures)


def check_binaries(
    jobs: Sequence[Job], index: Index, fetcher: RangeFetcher, kept: KeptReadings, watch: Watch, workers: int = 3
) -> tuple[CheckedRow, ...]:
    """Read every wheel, several at a time, and compare each row with its wheels; in the order of the files.

    What `kept` has is not read again. Raises NetworkError where the index cannot be reached; what was read until then
    is kept.
    """
    outcomes: dict[str, Outcome] = {}
    for job in jobs:
        binaries = kept.wheel(job.wheel.sha256)
        if binaries is not None:
            outcomes[job.wheel.sha256] = binaries
    to_read = list({job.wheel.sha256: job for job in jobs if job.wheel.sha256 not in outcomes}.values())
    if to_read:
        outcomes |= _read(to_read, index, fetcher, kept, watch, workers)
    rows: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        rows.setdefault((job.row.file, job.row.number), []).append(job)
    return tuple(_compare(of_row, outcomes) for _, of_row in sorted(rows.items()))


Outcome = tuple[Binary, ...] | str
"""The libraries that can decide, or why they could not be read."""


def _read(
    jobs: Sequence[Job], index: Index, fetcher: RangeFetcher, kept: KeptReadings, watch: Watch, workers: int
) -> dict[str, Outcome]:
    try:
        addresses = addresses_of([(job.release.name, job.wheel) for job in jobs], index)
    except NetworkError as error:
        if error.code != "offline":
            raise
        return dict.fromkeys((job.wheel.sha256 for job in jobs), "not read yet, and --offline forbids it")
    watch.announce(len(jobs), sum(job.wheel.size_bytes or 0 for job in jobs), is_exact=False)
    try:
        return _Reader(addresses, fetcher, kept, watch).all(jobs, workers)
    finally:
        watch.close()


def addresses_of(wheels: Iterable[tuple[str, Wheel]], index: Index) -> dict[str, str]:
    """Find the address of each package's wheel, by its SHA-256; empty where the index lists no such file.

    Where the index announces no hash, the file's name counts.
    """
    by_package: dict[str, list[Wheel]] = {}
    for name, wheel in wheels:
        by_package.setdefault(name, []).append(wheel)
    found = {}
    for name, of_package in sorted(by_package.items()):
        files = index(name)
        by_hash = {sha256: url for _, url, sha256 in files if sha256}
        by_name = {filename: url for filename, url, sha256 in files if not sha256}
        for wheel in of_package:
            found[wheel.sha256] = by_hash.get(wheel.sha256) or by_name.get(wheel.filename, "")
    return found


class _Reader:
    def __init__(self, addresses: dict[str, str], fetcher: RangeFetcher, kept: KeptReadings, watch: Watch) -> None:
        self._addresses = addresses
        self._fetcher = fetcher
        self._kept = kept
        self._watch = watch
        self._stopped = False

    def all(self, jobs: Sequence[Job], workers: int) -> dict[str, Outcome]:
        """Read all wheels; give the outcome by hash. The first fault that is not of one file ends it."""
        results: dict[str, Outcome] = {}
        with ThreadPoolExecutor(workers) as pool:
            running: dict[Future[Outcome], str] = {}
            try:
                for job in jobs:
                    running[pool.submit(self._one, job)] = job.wheel.sha256
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        results[running.pop(future)] = future.result()
            finally:
                self._stopped = True  # an interrupt must not wait for gigabytes
                for future in running:
                    future.cancel()
        return results

    def _one(self, job: Job) -> Outcome:
        if self._stopped:
            raise StoppedError
        wheel = job.wheel
        url = self._addresses[wheel.sha256]
        if not url:
            return "the index does not list it, or announces another hash"
        self._watch.start(wheel.filename, None)
        before = 0

        def tell(fetched: int, _to_fetch: int) -> None:
            nonlocal before
            if self._stopped:
                raise StoppedError
            self._watch.advance(wheel.filename, fetched - before)
            before = fetched

        try:
            found: Outcome = self._kept.read(url, wheel.sha256, self._fetcher, tell)
        except DamagedError as error:
            found = f"damaged: {error.summary}"
        except NetworkError as error:
            if error.code not in _OF_ONE_FILE:
                raise
            found = error.summary
        self._watch.finish(wheel.filename)
        return found


def _carried(release: Release, binaries: Sequence[Binary], variant: str) -> tuple[CodeTarget, ...]:
    """List what a wheel serves throughout and, of what an extension's row says, what it serves in a good part."""
    least = architectures(binaries, variant)
    if release.name == "torch":
        return least
    partly = partly_served(binaries, variant)
    more = {target for target in release.architectures if target in partly}
    return tuple(sorted({*least, *more}, key=lambda target: (target.ptx, target)))


def _compare(jobs: Sequence[Job], outcomes: dict[str, Outcome]) -> CheckedRow:
    row, release = jobs[0].row, jobs[0].release
    says = release.architectures
    found = [(job.wheel.filename, outcomes[job.wheel.sha256]) for job in jobs]
    read = {name: binaries for name, binaries in found if not isinstance(binaries, str)}
    wheels = ((binaries, variant) for binaries in read.values() for variant in jobs[0].variants)
    kinds = list(dict.fromkeys(_carried(release, *wheel) for wheel in wheels))
    if not kinds:
        verdict = "unread"
    elif len(kinds) > 1:
        verdict = "mixed"
    else:
        verdict = "agrees" if set(kinds[0]) == set(says) else "differs"
    return CheckedRow(
        name=release.name,
        version=release.version,
        platform=f"{release.os} {release.machine}",
        place=f"{row.file}:{row.line}",
        verdict=verdict,
        says=says,
        has=next((kind for kind in kinds if set(kind) != set(says)), kinds[0] if kinds else ()),
        read=tuple(read),
        unread=tuple((name, why) for name, why in found if isinstance(why, str)),
    )
