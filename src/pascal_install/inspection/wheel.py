"""Wheels, on disk or far away, without unpacking them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from pascal_install.binary.coverage import Binary, judge
from pascal_install.binary.fatbin import FatbinSection
from pascal_install.binary.library import Library, read_library
from pascal_install.binary.source import DamagedError, Source, UnsupportedError, WindowSource
from pascal_install.binary.stream import Streamed, StreamedSource, read_streamed
from pascal_install.binary.wheelzip import (
    STORED,
    Member,
    content_chunks,
    data_offset,
    read_directory_place,
    read_members,
)
from pascal_install.inspection.files import FileSource
from pascal_install.inspection.names import may_hold_code
from pascal_install.inspection.report import Part, Report, Skipped
from pascal_install.model.cuda import ComputeCapability

# More would wait for the memory bus, and take some megabytes each.
_MAX_WORKERS = 4
# Each job costs some kilobytes, and a wheel may claim a quarter of a million members.
_MAX_JOBS = 4096


def inspect_wheel(
    path: str, gpus: Sequence[ComputeCapability] = (), *, quick: bool = False, deep: bool = False
) -> Report:
    """Inspect all libraries in a wheel on disk, several at a time where there are processors. See `read_wheel`."""
    name = os.path.basename(path)
    with FileSource(path) as source:
        workers = min(_MAX_WORKERS, os.cpu_count() or 1) if source.is_shareable and not quick else 1
        try:
            return read_wheel(name, source, library_members(source), gpus, quick=quick, deep=deep, workers=workers)
        except DamagedError as error:
            raise error.of(name) from error


def library_members(source: Source) -> tuple[Member, ...]:
    """List the members of a wheel that may hold device code. Raises DamagedError."""
    return read_members(source, read_directory_place(source), may_hold_code)


def read_wheel(
    subject: str,
    source: Source,
    members: Sequence[Member],
    gpus: Sequence[ComputeCapability] = (),
    *,
    quick: bool = False,
    deep: bool = False,
    workers: int = 1,
) -> Report:
    """Inflate members as streams and read their device code; what is damaged in one member does not stop the others.

    `quick` stops in each library where it is proven that the GPUs (or, without any, some GPU) are served, and
    altogether with torch's deciding library. A proof is a fatbin for several architectures, which somebody asked for,
    or the third fatbin of any kind. With several `workers` the source is read by threads: inflating leaves the
    interpreter free.
    """
    proves = partial(_is_proof, gpus=tuple(gpus)) if quick else None
    reader = _Reader(source, deep, proves)
    ordered = sorted(members, key=_likely_first) if quick else list(members)
    is_shared = workers > 1 and 1 < len(ordered) <= _MAX_JOBS
    found = reader.at_once(ordered, workers) if is_shared else reader.in_turn(ordered)
    binaries, skipped, damaged = [], [], []
    names: set[str] = set()
    complete = True
    for member, result in found:
        if member.name in names:
            damaged.append(DamagedError(member.header_offset, "a second member of this name", member.name))
        elif isinstance(result, UnsupportedError):
            skipped.append(Skipped(member.name, result.summary, is_opaque=bool(member.unreadable)))
        elif isinstance(result, DamagedError):
            damaged.append(result.of(member.name))
        else:
            binaries.append(Binary(member.name, member.size_bytes, result.library))
            complete = complete and result.complete
            if quick and not result.complete and _decides_alone(binaries[-1]):
                break
        names.add(member.name)
    return Report(subject, (Part("", tuple(binaries)),), tuple(skipped), tuple(damaged), complete=complete)


_Result = Streamed | UnsupportedError | DamagedError


class _Reader:
    """Reads members of one wheel."""

    def __init__(self, source: Source, deep: bool, proves: Callable[[FatbinSection], bool] | None) -> None:
        self._source = source
        self._deep = deep
        self._proves = proves
        self._stopped = False

    def in_turn(self, members: Sequence[Member]) -> Iterator[tuple[Member, _Result]]:
        """Read one after the other, each when it is asked for."""
        return ((member, self._read(member)) for member in members)

    def at_once(self, members: Sequence[Member], workers: int) -> Iterator[tuple[Member, _Result]]:
        """Read by threads, the largest member first, and give the results in the order of the members."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(workers) as pool:
            largest_first = sorted(members, key=lambda member: -member.size_bytes)
            jobs = {id(member): pool.submit(self._read, member) for member in largest_first}
            try:
                for member in members:
                    yield member, jobs[id(member)].result()
            finally:
                # An interrupt must not wait for gigabytes.
                self._stopped = True

    def _read(self, member: Member) -> _Result:
        try:
            if member.method == STORED and not member.unreadable:
                window = WindowSource(self._source, data_offset(self._source, member), member.size_bytes)
                return Streamed(read_library(window, deep=self._deep), complete=True)
            stream = StreamedSource(partial(self._chunks, member), member.size_bytes)
            return read_streamed(stream, deep=self._deep, proves=self._proves)
        except (UnsupportedError, DamagedError) as error:
            return error

    def _chunks(self, member: Member) -> Iterator[bytes]:
        for chunk in content_chunks(self._source, member):
            if self._stopped:
                raise UnsupportedError("stopped")
            yield chunk


def _is_proof(section: FatbinSection, gpus: tuple[ComputeCapability, ...]) -> bool:
    seen = Binary("", 0, Library("elf", "", section, FatbinSection()))
    if any(judge(seen, gpu).coverage.target is None for gpu in gpus):
        return False
    several = any(len({target.capability for target in group.targets}) > 1 for group in section.groups)
    return several or section.fatbins >= 3


def _likely_first(member: Member) -> tuple[bool, bool, int]:
    name = member.name.rpartition("/")[2]
    return not name.startswith(("libtorch_cuda.", "torch_cuda.")), "cuda" not in name, -member.size_bytes


def _decides_alone(binary: Binary) -> bool:
    return binary.name.startswith(("libtorch_cuda.", "torch_cuda."))
