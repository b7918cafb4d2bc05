from __future__ import annotations

import pytest

from pascal_install.model.cuda import (
    CodeTarget,
    ComputeCapability,
    CudaVersion,
    DriverVersion,
    coverage,
    variant_cuda,
)


def cc(text: str) -> ComputeCapability:
    return ComputeCapability.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("6.1", (6, 1)), ("sm_61", (6, 1)), ("sm_120", (12, 0)), ("12.1", (12, 1))]
)
def test_compute_capability_is_read_in_both_forms(text: str, expected: tuple[int, int]) -> None:
    assert ComputeCapability.parse(text) == expected


@pytest.mark.parametrize("text", ["", "6", "6.", ".1", "sm_", "sm_6", "sm_61a", "6.1.2", "a.b", "-6.1", "6.\u0661"])
def test_anything_else_is_no_compute_capability(text: str) -> None:
    with pytest.raises(ValueError, match="not a compute capability"):
        ComputeCapability.parse(text)


@pytest.mark.parametrize("text", ["sm_60", "sm_90a", "sm_120f", "compute_90", "compute_100f", "jit_70"])
def test_code_target_text_forms_are_inverses(text: str) -> None:
    assert str(CodeTarget.parse(text)) == text


@pytest.mark.parametrize("text", ["sm60", "sm_", "sm_a", "compute_9", "ptx_90", "sm_60b", "6.0", "jit_7", "jit_70a"])
def test_anything_else_is_no_code_target(text: str) -> None:
    with pytest.raises(ValueError, match="not a code target"):
        CodeTarget.parse(text)


@pytest.mark.parametrize(
    ("code", "device", "runs"),
    [
        ("sm_60", "6.0", True),
        ("sm_60", "6.1", True),  # same major, higher minor
        ("sm_61", "6.0", False),  # not downwards: a P100 cannot run GTX 1080 code
        ("sm_60", "7.0", False),  # never across majors
        ("sm_86", "8.9", True),  # Ada runs Ampere's code
        ("sm_90a", "9.0", True),
        ("sm_90a", "10.0", False),
        ("sm_100a", "10.3", False),  # `a` is for exactly one device
        ("sm_100f", "10.3", True),  # `f` is for the family
        ("sm_100f", "12.0", False),
        ("sm_103f", "10.0", False),
        ("sm_120f", "12.1", True),
        ("compute_60", "12.0", True),  # PTX moves to anything newer
        ("compute_90", "8.9", False),
        ("compute_90a", "10.0", False),
        ("compute_90a", "9.0", True),
        ("compute_100f", "10.3", True),
        ("compute_100f", "12.0", False),
        ("sm_53", "5.2", False),
        ("sm_50", "5.3", False),  # desktop code does not run on a Jetson
        ("sm_62", "6.1", False),
        ("sm_72", "7.5", False),  # nor the other way round
        ("sm_87", "8.9", False),
        ("sm_87", "8.7", True),
        ("sm_101", "11.0", True),  # Thor was renamed
        ("jit_70", "6.1", False),  # compiled on the machine, for this and everything newer
        ("jit_70", "7.2", True),
        ("jit_70", "12.0", True),
    ],
)
def test_what_runs_where(code: str, device: str, runs: bool) -> None:
    assert CodeTarget.parse(code).runs_on(cc(device)) is runs


def test_coverage_prefers_the_closest_cubin_over_ptx() -> None:
    targets = tuple(CodeTarget.parse(text) for text in ("sm_50", "sm_60", "sm_61", "compute_52"))
    assert str(coverage(targets, cc("6.1")).target) == "sm_61"
    assert str(coverage(targets, cc("6.0")).target) == "sm_60"
    assert coverage(targets, cc("7.0")) == ("ptx", CodeTarget.parse("compute_52"))
    assert coverage(targets[:3], cc("7.0")).kind == "none"


def test_versions() -> None:
    assert CudaVersion.from_driver_api(12040) == (12, 4)
    assert str(CudaVersion.parse("13.0")) == "13.0"
    assert variant_cuda("cu124") == (12, 4)
    assert variant_cuda("cu118") == (11, 8)
    assert variant_cuda("cpu") is None
    assert DriverVersion.parse("580.95.05") > DriverVersion.parse("580.82.07")
    assert DriverVersion.parse("440").branch == 440
    assert str(DriverVersion.parse("580.95.05")) == "580.95.05"


@pytest.mark.parametrize("text", ["", "580.", "v580", "580.95.05.1.2", "580-1"])
def test_bad_driver_versions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a driver version"):
        DriverVersion.parse(text)


@pytest.mark.parametrize("text", ["", "cu", "cu1", "cuda124", "cu12x", "rocm6"])
def test_bad_variants_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a CUDA variant"):
        variant_cuda(text)
