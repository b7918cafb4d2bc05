"""The fatbin container: real ones, and every way in which one can be broken."""

from __future__ import annotations

import pytest

from pascal_install.binary import fatbin
from pascal_install.binary.fatbin import Tally, read_fatbin, read_section
from pascal_install.binary.source import BytesSource, DamagedError
from pascal_install.model.cuda import CudaVersion
from support.device_code import CUBIN, LTO, PTX, SUFFIX_A, SUFFIX_F, fatbins, pack_entry, pack_fatbin
from support.fuzzing import StrictSource

PLAIN = pack_fatbin(pack_entry(CUBIN, 60), pack_entry(CUBIN, 61, header=80), pack_entry(PTX, 61, payload=0))


def section(content: bytes) -> dict[str, int]:
    found = fatbins(content)
    return {str(target): number for target, number in found.entries}


def test_entries_are_counted_by_target() -> None:
    assert section(PLAIN * 3) == {"sm_60": 3, "sm_61": 3, "compute_61": 3}


@pytest.mark.parametrize("header", [64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 176])
def test_entry_headers_of_every_size_that_occurs(header: int) -> None:
    entry = pack_entry(CUBIN, 90, header=header)
    assert section(pack_fatbin(entry, entry)) == {"sm_90": 2}


def test_suffixes_come_from_the_flags() -> None:
    cubins = pack_entry(CUBIN, 90, flags=SUFFIX_A), pack_entry(CUBIN, 120, flags=SUFFIX_F)
    assert section(pack_fatbin(*cubins, pack_entry(PTX, 100, flags=SUFFIX_A))) == {
        "sm_90a": 1,
        "sm_120f": 1,
        "compute_100a": 1,
    }


def test_other_kinds_are_counted_and_stepped_over() -> None:
    found = fatbins(pack_fatbin(pack_entry(LTO, 90), pack_entry(77, 0), pack_entry(CUBIN, 60)))
    assert found.other_entries == 2
    assert [str(target) for target, _ in found.entries] == ["sm_60"]


@pytest.mark.parametrize(
    ("isa", "cuda"),
    [((3, 2), (9, 0)), ((6, 5), (10, 2)), ((7, 8), (11, 8)), ((8, 5), (12, 5)), ((8, 7), (12, 8)), ((9, 0), (13, 0))],
)
def test_ptx_needs_the_driver_that_brought_its_version(isa: tuple[int, int], cuda: tuple[int, int]) -> None:
    content = pack_fatbin(pack_entry(PTX, 60, version=isa), pack_entry(PTX, 60, version=(3, 2)))
    assert fatbins(content).ptx_needs[0][1] == CudaVersion(*cuda)


def test_fatbins_are_grouped_by_what_they_hold() -> None:
    content = PLAIN * 3 + pack_fatbin(pack_entry(CUBIN, 52))
    groups = fatbins(content).groups
    assert [([str(target) for target in group.targets], group.fatbins) for group in groups] == [
        (["sm_60", "sm_61", "compute_61"], 3),
        (["sm_52"], 1),
    ]


@pytest.mark.parametrize("padding", [8, 16, 4096, 5000])
def test_zero_padding_between_and_after_is_stepped_over(padding: int) -> None:
    between = padding // 8 * 8
    assert section(PLAIN + bytes(between) + PLAIN + bytes(padding)) == {"sm_60": 2, "sm_61": 2, "compute_61": 2}


def test_megabytes_of_padding_are_stepped_over() -> None:
    """As incremental linking leaves them: 12.9 MB in onnxruntime_providers_cuda.dll of onnxruntime-gpu 1.16.0."""
    found = section(PLAIN + bytes(13_000_000) + PLAIN + bytes(47_784))
    assert found == {"sm_60": 2, "sm_61": 2, "compute_61": 2}


def test_endless_padding_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fatbin, "MAX_PADDING", 1 << 19)
    with pytest.raises(DamagedError, match=f"damaged at offset {len(PLAIN)}$"):
        section(PLAIN + bytes(1 << 20))


@pytest.mark.parametrize("cut", [1, 7, 8, 15, 16, 17, 63, 64, 127, 128, 200, len(PLAIN) - 1])
def test_every_cut_is_damage(cut: int) -> None:
    with pytest.raises(DamagedError, match="damaged at offset"):
        section(PLAIN[:cut])


@pytest.mark.parametrize(
    ("at", "value", "offset"),
    [
        (0, b"\x00\x00\x00\x01", 0),  # magic
        (4, b"\x02", 0),  # version
        (6, b"\x18", 0),  # header size
        (8, b"\xff\xff\xff\xff\xff\xff\xff\xff", 0),  # the fatbin's size
        (8, b"\x05\x00", 16),  # the fatbin ends within its first entry
        (20, b"\x00", 16),  # entry header of 0 bytes
        (20, b"\x2f", 16),  # entry header of 47 bytes
        (24, b"\xff\xff\xff\xff\xff\xff\xff\xff", 16),  # payload
        (44, b"\x00\x00", 44),  # architecture 0
        (44, b"\xff\xff", 44),  # architecture 65535
    ],
)
def test_wrong_fields_are_damage_where_they_stand(at: int, value: bytes, offset: int) -> None:
    content = PLAIN[:at] + value + PLAIN[at + len(value) :]
    with pytest.raises(DamagedError) as caught:
        section(content)
    assert caught.value.offset == offset
    assert caught.value.exit_code == 6


def test_a_section_beyond_the_end_of_the_file_is_damage() -> None:
    with pytest.raises(DamagedError, match="damaged at offset 0"):
        read_section(BytesSource(PLAIN), 0, len(PLAIN) + 1, Tally())


def test_the_number_of_entries_is_bounded() -> None:
    content = pack_fatbin(*[pack_entry(CUBIN, 60, payload=0)] * 5)
    with pytest.raises(DamagedError, match="damaged at offset 272"):
        read_fatbin(BytesSource(content), 0, len(content), max_codes=4)


def test_the_number_of_fatbins_is_bounded() -> None:
    tally = Tally()
    empty = read_fatbin(BytesSource(content := pack_fatbin()), 0, len(content))
    tally.codes_left = 3
    for _ in range(3):
        tally.add(empty)
    with pytest.raises(DamagedError):
        tally.add(empty)


def test_the_kinds_of_code_are_bounded() -> None:
    content = b"".join(pack_fatbin(pack_entry(CUBIN, 60, version=(0, minor), payload=0)) for minor in range(5000))
    with pytest.raises(DamagedError):
        section(content)


def test_of_a_slow_source_all_headers_are_fetched_ahead() -> None:
    content = PLAIN * 3 + bytes(8) + PLAIN
    source = StrictSource(content)
    tally = Tally()
    read_section(source, 0, len(content), tally)
    assert tally.section() == fatbins(content)
    # Each of the first three fatbins has its first entry asked for, then each its second: in turn, not one by one.
    entries = [16, 16 + 128, 16 + 128 + 144]
    assert source.ahead == [(number * len(PLAIN) + at, 48) for at in entries for number in range(3)]
