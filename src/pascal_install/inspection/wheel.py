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


def inspect_wheel(
    path: str, gpus: Sequence[ComputeCapability] = (), *, quick: bool = False, deep: bool = False
) -> Report:
    """Inspect all libraries in a wheel on disk. See `read_wheel`."""
    with FileSource(path) as source:
        try:
            return read_wheel(os.path.basename(path), source, library_members(source), gpus, quick=quick, deep=deep)
        except DamagedError as error:
            raise error.of(os.path.basename(path)) from error


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
) -> Report:
    """Inflate members as streams and read their device code; what is damaged in one member does not stop the others.

    `quick` stops in each library where it is proven that the GPUs (or, without any, some GPU) are served, and
    altogether with torch's deciding library. A proof is a fatbin for several architectures, which somebody asked for,
    or the third fatbin of any kind.
    """
    binaries, skipped, damaged = [], [], []
    complete = True
    proves = partial(_is_proof, gpus=tuple(gpus)) if quick else None
    names: set[str] = set()
    for member in sorted(members, key=_likely_first) if quick else members:
        if member.name in names:
            damaged.append(DamagedError(member.header_offset, "a second member of this name", member.name))
            continue
        names.add(member.name)
        try:
            streamed = _read_member(source, member, deep=deep, proves=proves)
        except UnsupportedError as error:
            skipped.append(Skipped(member.name, error.summary))
            continue
        except DamagedError as error:
            damaged.append(error.of(member.name))
            continue
        binaries.append(Binary(member.name, member.size_bytes, streamed.library))
        complete = complete and streamed.complete
        if quick and not streamed.complete and _decides_alone(binaries[-1]):
            break
    return Report(subject, (Part("", tuple(binaries)),), tuple(skipped), tuple(damaged), complete=complete)


def _read_member(
    source: Source, member: Member, *, deep: bool, proves: Callable[[FatbinSection], bool] | None
) -> Streamed:
    if member.method == STORED and not member.unreadable:
        window = WindowSource(source, data_offset(source, member), member.size_bytes)
        return Streamed(read_library(window, deep=deep), complete=True)

    def start() -> Iterator[bytes]:
        return content_chunks(source, member)

    return read_streamed(StreamedSource(start, member.size_bytes), deep=deep, proves=proves)


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
