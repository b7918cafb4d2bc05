"""The binary readers: what is written is read back, and no bytes at all do harm."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pascal_install.binary import stream
from pascal_install.binary.coverage import Binary, architectures, decide, judge
from pascal_install.binary.source import BytesSource
from pascal_install.binary.stream import read_streamed
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.errors import DataError
from pascal_install.model.cuda import CodeTarget, ComputeCapability, coverage
from support.device_code import CUBIN, PTX, SUFFIX_A, SUFFIX_F, library, pack_elf, pack_entry, pack_fatbin, streamed
from support.fuzzing import READERS, seeds

FLAGS = {"": 0, "a": SUFFIX_A, "f": SUFFIX_F}
TARGETS = st.builds(
    CodeTarget,
    st.builds(ComputeCapability, st.integers(3, 12), st.integers(0, 9)),
    st.sampled_from(["", "", "", "a", "f"]),
    st.booleans(),
)
FATBINS = st.lists(st.lists(TARGETS, max_size=5), max_size=6)
DEVICES = st.sampled_from([ComputeCapability(*pair) for pair in ((5, 2), (6, 0), (6, 1), (7, 5), (9, 0), (12, 0))])


def pack(fatbins: list[list[CodeTarget]]) -> bytes:
    return b"".join(
        pack_fatbin(
            *[
                pack_entry(
                    PTX if target.ptx else CUBIN,
                    target.capability.major * 10 + target.capability.minor,
                    flags=FLAGS[target.suffix],
                    payload=8 * number,
                )
                for number, target in enumerate(fatbin)
            ]
        )
        for fatbin in fatbins
    )


def binary(fatbins: list[list[CodeTarget]], member: str = "x/_C.so") -> Binary:
    return Binary(member, 0, library(pack_elf({".nv_fatbin": pack(fatbins)})))


@given(FATBINS, FATBINS)
def test_what_was_packed_is_read_back(executable: list[list[CodeTarget]], relocatable: list[list[CodeTarget]]) -> None:
    found = library(pack_elf({"__nv_relfatbin": pack(relocatable), ".nv_fatbin": pack(executable)}))
    for fatbins, section in ((executable, found.nv_fatbin), (relocatable, found.nv_relfatbin)):
        assert dict(section.entries) == Counter(target for fatbin in fatbins for target in fatbin)
        assert section.fatbins == len(fatbins)
        assert Counter({group.targets: group.fatbins for group in section.groups}) == Counter(
            tuple(sorted(set(fatbin), key=lambda target: (target.ptx, target))) for fatbin in fatbins
        )


@pytest.fixture
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_SMALL", 0)


@pytest.mark.usefixtures("_nothing_is_small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FATBINS, FATBINS, st.binary(max_size=64), st.integers(1, 700))
def test_a_stream_tells_what_the_file_tells(
    executable: list[list[CodeTarget]], data: list[list[CodeTarget]], noise: bytes, chunk: int
) -> None:
    content = pack_elf({".rodata": noise + pack(data), ".nv_fatbin": pack(executable), ".data": pack(data)})
    assert read_streamed(streamed(content, chunk), deep=True).library == library(content, deep=True)


@given(FATBINS, DEVICES)
def test_a_verdict_is_what_most_fatbins_allow(fatbins: list[list[CodeTarget]], device: ComputeCapability) -> None:
    served = [fatbin for fatbin in fatbins if coverage(tuple(fatbin), device).target]
    counted = [fatbin for fatbin in fatbins if fatbin in served or any(not target.suffix for target in fatbin)]
    found = judge(binary(fatbins), device)
    assert (found.fatbins, found.of) == (len(served), len(counted))
    assert (found.coverage.kind != "none") == bool(served and len(served) * 2 >= len(counted))
    if found.coverage.target:
        assert found.coverage.target.runs_on(device)
        assert any(found.coverage.target in fatbin for fatbin in fatbins)


@given(st.lists(FATBINS, min_size=1, max_size=3), DEVICES)
def test_the_order_of_libraries_does_not_matter(
    libraries: list[list[list[CodeTarget]]], device: ComputeCapability
) -> None:
    binaries = [binary(fatbins, f"x/lib{number}.so") for number, fatbins in enumerate(libraries)]
    forward, backward = decide(binaries, device), decide(binaries[::-1], device)
    assert (forward is None) == (backward is None)
    if forward and backward:
        assert forward.verdict.strength == backward.verdict.strength
    assert architectures(binaries) == architectures(binaries[::-1])


@settings(max_examples=300)
@given(st.sampled_from(sorted(READERS)), st.data())
def test_broken_bytes_do_no_harm(name: str, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(seeds(name))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1", b"\0\0\0\0\0\0\0\x80"]))
        content[at : at + len(piece)] = piece
    READERS[name](bytes(content[: data.draw(st.integers(0, len(content)))]))


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=300))
def test_any_bytes_do_no_harm(name: str, content: bytes) -> None:
    READERS[name](content)


def members_of(content: bytes) -> dict[str, bytes]:
    source = BytesSource(content)
    found = read_members(source, read_directory_place(source), lambda _: True)
    return {member.name: b"".join(content_chunks(source, member)) for member in found}


@settings(max_examples=200)
@given(st.sampled_from([*seeds("zip"), *seeds("wheel")]), st.data())
def test_what_is_read_of_a_broken_wheel_is_what_zipfile_reads(wheel: bytes, data: st.DataObject) -> None:
    content = bytearray(wheel)
    # In front of the end the directory lies: there a change matters most.
    for _ in range(data.draw(st.integers(1, 3))):
        at = len(content) - 1 - data.draw(st.integers(0, min(250, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    try:
        ours = members_of(bytes(content))
    except DataError:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            theirs = {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError, zlib.error):
        return
    assert ours == theirs
