"""`--gpu` as people write it, against names as the table holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pascal_install.catalogue.load import load_gpus
from pascal_install.errors import UsageError
from pascal_install.facts.gpu_name import find_gpu

PIECES = ("gtx", "1080", "ti", "10", "xx", "gb", "titan", " ", "-", "\N{SUPERSCRIPT TWO}")
NAMES = (
    ("(unnamed)", "6.1"),
    ("Max-Q", "7.5"),
    ("GeForce GTX 1050", "6.1"),
    ("GeForce GTX 1060 3GB", "6.1"),
    ("GeForce GTX 1060 6GB", "6.1"),
    ("GeForce GTX 1060 Mobile", "6.1"),
    ("GeForce GTX 1080", "6.1"),
    ("GeForce GTX 1080 Ti", "6.1"),
    ("GeForce GT 1030", "6.1"),
    ("GeForce GT 1030", "3.0"),
    ("GeForce GTX 950", "5.2"),
    ("GeForce GTX 950M", "5.0"),
    ("GeForce GTX 960", "5.2"),
    ("GeForce GTX 970", "5.2"),
    ("GeForce GTX 980 Ti", "5.2"),
    ("GeForce GTX TITAN", "3.5"),
    ("GeForce GTX TITAN X", "5.2"),
    ("NVIDIA TITAN X", "6.1"),
    ("TITAN X Pascal", "6.1"),
    ("TITAN Xp", "6.1"),
    ("TITAN V", "7.0"),
    ("Tesla P4", "6.1"),
    ("Tesla P40", "6.1"),
    ("Tesla P100 PCIe 16GB", "6.0"),
    ("Quadro RTX 6000", "7.5"),
    ("RTX 6000 Ada Generation", "8.9"),
    ("RTX PRO 6000 Blackwell Workstation Edition", "12.0"),
    ("RTX A6000", "8.6"),
    ("NVIDIA GeForce RTX 3050Ti Laptop GPU", "8.6"),
    ("NVIDIA GeForce RTX 4090", "8.9"),
    ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
    ("A100 SXM4 80GB", "8.0"),
    ("A100 PCIe 40GB", "8.0"),
    ("H100 PCIe", "9.0"),
    ("GB200", "10.0"),
)


@pytest.mark.parametrize(
    ("text", "name", "capability"),
    [
        ("6.1", "compute capability 6.1", "6.1"),
        ("sm_61", "compute capability 6.1", "6.1"),
        ("SM_120", "compute capability 12.0", "12.0"),
        ("1080ti", "GeForce GTX 1080 Ti", "6.1"),
        ("GTX 1080 Ti", "GeForce GTX 1080 Ti", "6.1"),
        ("gtx1080ti", "GeForce GTX 1080 Ti", "6.1"),
        ("NVIDIA GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti", "6.1"),
        ("GeForce® GTX 1080Ti", "GeForce GTX 1080 Ti", "6.1"),
        ("GTX 1080 Ti 11GB", "GeForce GTX 1080 Ti", "6.1"),
        ("13.0", "compute capability 13.0", "13.0"),  # newer than the table
        ("Tesla P40 24 GB", "Tesla P40", "6.1"),
        ("GTX 1080", "GeForce GTX 1080", "6.1"),
        ("Tesla P40", "Tesla P40", "6.1"),
        ("P40", "Tesla P40", "6.1"),
        ("p4", "Tesla P4", "6.1"),
        ("teslap40", "Tesla P40", "6.1"),
        ("P100", "Tesla P100 PCIe 16GB", "6.0"),
        ("GTX 1060", "GTX 1060", "6.1"),
        ("gtx 1060 6gb", "GeForce GTX 1060 6GB", "6.1"),
        ("GT 1030", "GeForce GT 1030", "6.1"),
        ("GTX 950", "GeForce GTX 950", "5.2"),
        ("950M", "GeForce GTX 950M", "5.0"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090", "8.9"),
        ("rtx 4090 laptop", "NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
        ("RTX 4090 Mobile", "NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
        ("3050 ti", "NVIDIA GeForce RTX 3050Ti Laptop GPU", "8.6"),
        ("Titan Xp", "TITAN Xp", "6.1"),
        ("titanxp", "TITAN Xp", "6.1"),
        ("TITAN X (Pascal)", "TITAN X Pascal", "6.1"),
        ("GTX TITAN X", "GeForce GTX TITAN X", "5.2"),
        ("A6000", "RTX A6000", "8.6"),
        ("Quadro RTX 6000", "Quadro RTX 6000", "7.5"),
        ("RTX 6000 Ada", "RTX 6000 Ada Generation", "8.9"),
        ("RTX PRO 6000", "RTX PRO 6000 Blackwell Workstation Edition", "12.0"),
        (" A100 ", "A100", "8.0"),
        ("A100-SXM4-80GB", "A100 SXM4 80GB", "8.0"),
        ("H100", "H100 PCIe", "9.0"),
        ("gb200", "GB200", "10.0"),
    ],
)
def test_names_as_people_write_them(text: str, name: str, capability: str) -> None:
    found, found_capability = find_gpu(text, NAMES)
    assert (found, str(found_capability)) == (name, capability)


@pytest.mark.parametrize(
    ("text", "candidate"),
    [
        ("GTX 900", "GTX 960 (5.2)"),
        ("GTX 9xx", "GTX 960 (5.2)"),
        ("GTX 10", "GTX 1080 Ti (6.1)"),
        ("GeForce 10 series", "GTX 1080 Ti (6.1)"),
        ("GTX 1000", "GTX 1080 Ti (6.1)"),
        ("Titan", "TITAN V (7.0)"),
        ("pascal", "Tesla P40 (6.1)"),
        ("Titan X", "GeForce GTX TITAN X (5.2)"),
        ("Quadro", "Quadro RTX 6000 (7.5)"),
        ("RTX 6000", "RTX 6000 Ada Generation (8.9)"),
    ],
)
def test_what_means_several_cards_asks_for_one(text: str, candidate: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_gpu(text, NAMES)
    assert caught.value.code == "ambiguous-gpu"
    assert candidate in caught.value.cause


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("GTX 1090 Ti", "GeForce GTX 1080 Ti"),
        ("P41", "Tesla P40"),
        ("RTX 1080", "GTX 1080"),
        ("RTX 4O90", "RTX 4090"),
        ("EVGA GTX 1080 Ti FTW3 Elite Gaming Black Edition", "GeForce GTX 1080 Ti"),
        ("6.9", "7.0"),
        ("sm_83", "8.6"),
    ],
)
def test_an_unknown_name_gets_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_gpu(text, NAMES)
    assert caught.value.code == "unknown-gpu"
    assert near in caught.value.cause


@pytest.mark.parametrize("text", ["", " ", "nvidia", "potato", "6.x", "sm_6", "-1", "GeForce"])
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_gpu(text, NAMES)
    assert caught.value.code == "unknown-gpu"


def test_every_name_of_the_table_is_found_or_shared() -> None:
    """A card can be given by the very name that `info` shows."""
    for name, capability in NAMES:
        try:
            found = find_gpu(name, NAMES)[1]
        except UsageError:
            assert name in {"(unnamed)", "Max-Q", "NVIDIA TITAN X"}
        else:
            assert str(found) == capability or (name, capability) == ("GeForce GT 1030", "3.0")


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_a_gpu_or_an_error_of_the_user(text: str) -> None:
    try:
        find_gpu(text, NAMES)
    except UsageError as error:
        assert error.code in {"ambiguous-gpu", "unknown-gpu"}  # noqa: PT017  either outcome is right


def test_the_real_table(tmp_path: Path) -> None:
    """A card can be given by the name that the table has for it; a few names are shared, or no names of cards."""
    table = [(name, capability) for name, capability in load_gpus(cache_dir=str(tmp_path)) if float(capability) >= 5]
    unclear = []
    for name, capability in table:
        try:
            assert str(find_gpu(name, table)[1]) == capability
        except UsageError:
            unclear.append(name)
    assert len(unclear) < len(table) / 100
    for text in ("GTX 1080 Ti", "1060", "P100", "P40", "GTX 980", "V100", "RTX 4090", "RTX 5090", "H100"):
        assert text in find_gpu(text, table)[0]
