"""After an install: kernels, PTX, NVIDIA's libraries and symbols of what is really there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.inspection.verify import verify_environment
from pascal_install.model.cuda import ComputeCapability, CudaVersion
from pascal_install.model.finding import Finding
from support.device_code import ASSETS, CUBIN, PTX, pack_elf, pack_entry, pack_fatbin
from support.inspected import add_distribution, torch_version_file
from support.shared_libraries import compile_library, needs_compiler

PASCAL, VOLTA, BLACKWELL = ComputeCapability(6, 1), ComputeCapability(7, 0), ComputeCapability(12, 0)


def with_code(*targets: str, fatbins: int = 4) -> bytes:
    entries = [
        pack_entry(PTX if target.startswith("compute") else CUBIN, int(target.partition("_")[2]), version=(8, 4))
        for target in targets
    ]
    return pack_elf({".nv_fatbin": pack_fatbin(*entries) * fatbins})


def add_torch(site_dir: Path, *targets: str, cuda: str | None = "12.4") -> None:
    files = {"torch/version.py": torch_version_file(cuda), "torch/lib/libtorch_cuda.so": with_code(*targets)}
    add_distribution(site_dir, "torch", "2.6.0", files if targets else {"torch/version.py": files["torch/version.py"]})


def check(site_dir: Path, *packages: str, gpus: tuple[ComputeCapability, ...] = (PASCAL,)) -> list[tuple[str, str]]:
    found = verify_environment([str(site_dir)], packages, gpus, search_path="")
    return [(finding.severity, finding.id) for finding in found]


def test_a_sound_environment_has_no_findings(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60", "sm_70")
    add_distribution(tmp_path, "extension", "1", {"extension/_C.so": ASSETS / "libpascal.so"})
    assert check(tmp_path, "torch", "extension", gpus=(PASCAL, VOLTA)) == []


def test_a_torch_without_kernels_is_an_error_for_each_gpu_that_lacks_them(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_70", "sm_80")
    found = verify_environment([str(tmp_path)], ["torch"], [PASCAL, VOLTA], search_path="")
    assert found == (
        Finding(
            "no-kernels",
            "error",
            "torch has no kernels for 6.1",
            "torch/lib/libtorch_cuda.so: 0 of 4 fatbins have code for 6.1",
        ),
    )


def test_an_extension_whose_libraries_differ_is_a_warning_where_some_serve(tmp_path: Path) -> None:
    """As vllm on 7.5: its `_C` has code for it, its `_moe_C` starts at 8.0."""
    add_torch(tmp_path, "sm_60", "sm_70")
    members: dict[str, bytes | Path] = {
        "extension/_C.so": with_code("sm_60"),
        "extension/_moe_C.so": with_code("sm_70"),
    }
    add_distribution(tmp_path, "extension", "1", members)
    assert check(tmp_path, "extension", gpus=(PASCAL,)) == [("warning", "some-kernels")]
    assert check(tmp_path, "extension", gpus=(BLACKWELL,)) == [("error", "no-kernels")]


def test_a_stray_architecture_in_an_extension_is_an_error(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60")
    add_distribution(tmp_path, "extension", "1", {"extension/_C.so": ASSETS / "libstray.so"})
    assert check(tmp_path, "torch", "extension") == [("error", "no-kernels")]


def test_some_missing_kernels_are_a_warning(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60")
    most = pack_fatbin(pack_entry(CUBIN, 60)) * 3 + pack_fatbin(pack_entry(CUBIN, 70))
    add_distribution(tmp_path, "extension", "1", {"extension/_C.so": pack_elf({".nv_fatbin": most})})
    assert check(tmp_path, "extension") == [("warning", "some-kernels")]


@pytest.mark.parametrize(("driver", "expected"), [((12, 3), ["ptx-too-new"]), ((12, 4), []), (None, [])])
def test_ptx_needs_a_driver_that_knows_it(tmp_path: Path, driver: tuple[int, int] | None, expected: list[str]) -> None:
    add_torch(tmp_path, "sm_50", "compute_60")
    known = CudaVersion(*driver) if driver else None
    found = verify_environment([str(tmp_path)], ["torch"], [PASCAL], driver_cuda=known, search_path="")
    assert [finding.id for finding in found] == expected


def test_a_cpu_build_is_an_error_where_a_gpu_is_meant(tmp_path: Path) -> None:
    add_torch(tmp_path, cuda=None)
    assert check(tmp_path, "torch") == [("error", "cpu-build")]
    assert check(tmp_path, "torch", gpus=()) == []


def test_what_is_absent_or_half_installed_is_an_error(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60")
    (tmp_path / "torch-2.6.0.dist-info" / "RECORD").unlink()
    assert check(tmp_path, "torch", "exllamav2") == [("error", "half-installed"), ("error", "not-installed")]


def test_a_damaged_library_is_an_error(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60")
    content = with_code("sm_60")
    add_distribution(tmp_path, "extension", "1", {"extension/_C.so": content[: len(content) // 2]})
    assert check(tmp_path, "extension") == [("error", "damaged-library")]


@pytest.mark.parametrize(
    ("member", "severity"),
    [
        ("nvidia/cudnn/lib/libcudnn_ops.so.9", "error"),
        ("nvidia/cublas/lib/libcublas.so.12", "error"),
        ("nvidia/nccl/lib/libnccl.so.2", "warning"),
    ],
)
def test_nvidias_libraries_are_judged_as_what_torch_needs(tmp_path: Path, member: str, severity: str) -> None:
    add_torch(tmp_path, "sm_60")
    name = f"nvidia-{member.split('/')[1]}-cu12"
    add_distribution(tmp_path, name, "9.11", {member: with_code("sm_75", "compute_90")})
    assert check(tmp_path, "torch") == [(severity, "no-library-kernels")]
    add_distribution(tmp_path, name, "9.1", {member: with_code("sm_61", "sm_75")})
    assert check(tmp_path, "torch") == []


def test_libraries_that_keep_code_elsewhere_prove_nothing(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60")
    add_distribution(tmp_path, "nvidia-cublas-cu12", "1", {"nvidia/cublas/lib/libcublasLt.so.12": with_code("sm_90")})
    files = {"nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9": with_code("sm_90")}
    add_distribution(tmp_path, "nvidia-cudnn-cu12", "1", files)
    assert check(tmp_path, "torch") == []


def test_nccl_in_relocatable_form_counts(tmp_path: Path) -> None:
    # Its PTX lies only there, and the driver links it.
    add_torch(tmp_path, "sm_60", "compute_60")
    content = pack_elf(
        {
            ".nv_fatbin": pack_fatbin(pack_entry(CUBIN, 60)),
            "__nv_relfatbin": pack_fatbin(pack_entry(CUBIN, 60), pack_entry(PTX, 60)),
        }
    )
    add_distribution(tmp_path, "nvidia-nccl-cu12", "2", {"nvidia/nccl/lib/libnccl.so.2": content})
    assert check(tmp_path, "torch", gpus=(BLACKWELL,)) == []


TORCH_CODE = "namespace c10 { int check(int value) { return value; } }"
USER_CODE = "namespace c10 { int check(int); } int use() { return c10::check(1); }"


@needs_compiler
def test_an_extension_for_another_torch_does_not_load(tmp_path: Path) -> None:
    torch = compile_library(tmp_path / "build", "libtorch.so", TORCH_CODE)
    extension = compile_library(tmp_path / "build", "_C.so", USER_CODE, torch)
    site_dir = tmp_path / "site-packages"
    add_distribution(site_dir, "torch", "2.6.0", {"torch/lib/libtorch.so": torch})
    add_distribution(site_dir, "extension", "1", {"extension/_C.so": extension})
    assert check(site_dir, "torch", "extension") == []
    other = compile_library(tmp_path / "other", "libtorch.so", TORCH_CODE.replace("check(int", "check(long"))
    add_distribution(site_dir, "torch", "2.5.0", {"torch/lib/libtorch.so": other})
    found = verify_environment([str(site_dir)], ["extension"], [PASCAL], search_path="")
    assert [(finding.severity, finding.id) for finding in found] == [("error", "symbols-missing")]
    assert "c10::check" in found[0].evidence


@needs_compiler
def test_another_cudas_library_is_named(tmp_path: Path) -> None:
    torch = compile_library(tmp_path / "build", "libtorch.so", TORCH_CODE)
    runtime = compile_library(tmp_path / "build", "libcudart.so.11.0", "int cudaMalloc() { return 0; }")
    extension = compile_library(tmp_path / "build", "_C.so", USER_CODE, torch, runtime)
    site_dir = tmp_path / "site-packages"
    add_distribution(site_dir, "torch", "2.6.0", {"torch/lib/libtorch.so": torch})
    add_distribution(site_dir, "extension", "1", {"extension/_C.so": extension})
    found = verify_environment([str(site_dir)], ["extension"], [PASCAL], search_path="")
    assert [(finding.severity, finding.id) for finding in found] == [("error", "library-missing")]
    assert "libcudart.so.11.0" in found[0].summary


@needs_compiler
def test_libraries_that_have_nothing_to_do_with_torch_are_left_alone(tmp_path: Path) -> None:
    add_torch(tmp_path, "sm_60")
    odd = compile_library(tmp_path / "build", "_odd.so", "int gone(); int use() { return gone(); }")
    add_distribution(tmp_path, "extension", "1", {"extension/_odd.so": odd})
    assert check(tmp_path, "extension") == []
