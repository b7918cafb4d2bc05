"""Inputs that once broke a reader, or are made to: each ends in an answer or in DataError, with little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from support.device_code import DAMAGED
from support.fuzzing import READERS, seeds


def kept() -> list[Path]:
    return sorted(path for path in DAMAGED.iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("path", kept(), ids=lambda path: path.name)
def test_damaged_files_do_no_harm(path: Path) -> None:
    tracemalloc.start()
    try:
        READERS[path.name.partition("-")[0]](path.read_bytes())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_seeds_of_the_fuzzers_are_sound(name: str) -> None:
    for content in seeds(name):
        READERS[name](content)
