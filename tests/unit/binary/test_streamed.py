"""Libraries that come as streams: the same answers as from a file, in one pass where that is possible."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pascal_install.binary import stream
from pascal_install.binary.fatbin import FatbinSection
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.binary.stream import StreamedSource, read_streamed
from support.device_code import (
    CUBIN,
    CUOBJDUMP,
    asset,
    counts,
    incompressible,
    library,
    pack_elf,
    pack_entry,
    pack_fatbin,
    streamed,
)

FATBIN = pack_fatbin(pack_entry(CUBIN, 60, payload=4096), pack_entry(CUBIN, 61, payload=64))


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the fixtures for large libraries: small ones are read as a whole."""
    monkeypatch.setattr(stream, "_SMALL", 0)
    monkeypatch.setattr(stream, "_KEPT", 4096)
    monkeypatch.setattr(stream, "_AROUND_TABLE", 4096)
    monkeypatch.setattr(stream, "_MIN_CHUNK", 64)


@pytest.mark.parametrize("chunk", [1, 7, 100, 4096, 1 << 20])
@pytest.mark.parametrize("name", [*sorted(CUOBJDUMP), "pascal.dll", "kernels.o"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_stream_tells_what_the_file_tells(name: str, chunk: int, deep: bool) -> None:
    content = asset(name)
    assert read_streamed(streamed(content, chunk), deep=deep) == (library(content, deep=deep), True)


class CountingStream:
    """Counts how often a stream is started."""

    def __init__(self, content: bytes) -> None:
        self.starts = 0
        self._content = content

    def source(self) -> StreamedSource:
        def start() -> Iterator[bytes]:
            self.starts += 1
            return (self._content[at : at + 1024] for at in range(0, len(self._content), 1024))

        return StreamedSource(start, len(self._content))


def test_a_sound_library_is_read_in_one_pass() -> None:
    counting = CountingStream(pack_elf({".nv_fatbin": FATBIN * 50, ".data": incompressible(20_000)}))
    assert counts(read_streamed(counting.source()).library) == {"sm_60": 50, "sm_61": 50}
    assert counting.starts == 1


def test_a_false_start_in_front_of_the_section_is_sorted_out() -> None:
    # A header that looks like a fatbin's, whose size reaches into the true section.
    decoy = FATBIN[:8] + (2000).to_bytes(8, "little") + pack_entry(CUBIN, 52, payload=2000 - 64)
    content = pack_elf({".rodata": decoy[:200], ".nv_fatbin": FATBIN * 3, ".tail": bytes(30_000)})
    counting = CountingStream(content)
    assert counts(read_streamed(counting.source()).library) == {"sm_60": 3, "sm_61": 3}
    # Once to find that out, once for the section table at the end, once for the section.
    assert counting.starts == 3


def test_names_of_sections_that_passed_long_ago_are_read_again() -> None:
    content = bytearray(pack_elf({".nv_fatbin": FATBIN}))
    shoff = int.from_bytes(content[40:48], "little")
    table = bytes(content[shoff:])
    # Move the section table to the very end, far from the names.
    content[shoff:] = bytes(100_000) + table
    content[40:48] = (shoff + 100_000).to_bytes(8, "little")
    counting = CountingStream(bytes(content))
    assert counts(read_streamed(counting.source()).library) == {"sm_60": 1, "sm_61": 1}
    assert counting.starts == 2


def test_a_section_table_that_is_not_at_the_end_is_kept_as_it_comes_by() -> None:
    # patchelf puts new sections behind it: so it is in torch's libraries.
    content = pack_elf({".nv_fatbin": FATBIN}) + bytes(200_000)
    counting = CountingStream(content)
    assert counts(read_streamed(counting.source()).library) == {"sm_60": 1, "sm_61": 1}
    assert counting.starts == 1


def test_damage_has_its_place() -> None:
    content = bytearray(pack_elf({".nv_fatbin": FATBIN * 3}))
    content[64 + len(FATBIN) + 16 + 4] = 3
    with pytest.raises(DamagedError) as caught:
        read_streamed(streamed(bytes(content)))
    assert caught.value.offset == 64 + len(FATBIN) + 16


def test_a_proof_stops_the_reading() -> None:
    counting = CountingStream(pack_elf({".nv_fatbin": FATBIN * 500}))
    source = counting.source()
    found = read_streamed(source, proves=lambda section: section.fatbins == 3)
    assert (found.complete, found.library.nv_fatbin.fatbins) == (False, 3)


def test_what_is_scattered_too_wildly_is_skipped() -> None:
    source = streamed(bytes(100_000))
    for _ in range(stream._MAX_RESTARTS):
        source.read_at(99_000, 10)
        source.read_at(0, 10)
    source.read_at(99_000, 10)
    with pytest.raises(UnsupportedError, match="scattered"):
        source.read_at(0, 10)


def test_find_sees_patterns_across_chunks() -> None:
    content = b"x" * 63 + b"needle" + b"y" * 200 + b"needle"
    for chunk in (1, 3, 64, 65, 66, 300):
        source = streamed(content, chunk)
        assert source.find(b"needle", 0) == 63
        assert source.find(b"needle", 64) == 269
        assert source.find(b"needle", 270) is None


def test_a_proof_is_asked_for_ever_more_rarely() -> None:
    asked: list[int] = []

    def proves(section: FatbinSection) -> bool:
        asked.append(section.fatbins)
        return False

    content = pack_elf({".nv_fatbin": FATBIN * 1000})
    assert read_streamed(streamed(content), proves=proves).complete
    assert asked == [*range(1, 257), 512]
