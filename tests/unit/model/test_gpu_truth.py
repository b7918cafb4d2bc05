"""The rules of kernel coverage against what a real GPU did (tests/assets/gpu_truth)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pascal_install.model.cuda import CodeTarget, ComputeCapability, CudaVersion, coverage

_TABLE = Path(__file__).parents[2] / "assets/gpu_truth/h100.tsv"
_H100 = ComputeCapability(9, 0)
_DRIVER = CudaVersion(13, 0)


def _rows() -> list[dict[str, str]]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_table_has_yes_and_no() -> None:
    assert {row["cudaError"] for row in _rows()} == {"0", "209", "222"}


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row['code']} {row['options']}".strip())
def test_what_runs_on_an_h100(row: dict[str, str]) -> None:
    found = coverage(tuple(CodeTarget.parse(text) for text in row["code"].split()), _H100)
    if row["cudaError"] == "209":
        assert found.kind == "none"
    else:
        assert found.kind != "none"
        is_compiled_by_driver = found.kind == "ptx" and CudaVersion.parse(row["nvcc"]) > _DRIVER
        assert (row["cudaError"] == "222") is is_compiled_by_driver
