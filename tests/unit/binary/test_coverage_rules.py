"""What a GPU gets: a stray fatbin is no support, and the weakest library that matters decides."""

from __future__ import annotations

import pytest

from pascal_install.binary.coverage import Binary, architectures, decide, deciding, is_for_cuda, is_nvidia, judge
from pascal_install.binary.fatbin import EMPTY, Tally, read_fatbin
from pascal_install.binary.library import Library
from pascal_install.binary.source import BytesSource
from pascal_install.model.cuda import CodeTarget, ComputeCapability, CudaVersion
from support.device_code import CUBIN, PTX, SUFFIX_A, SUFFIX_F, asset, library, pack_entry, pack_fatbin


def binary(member: str, *fatbins: str) -> Binary:
    """Make a library of fatbins given as `sm_60 sm_70 compute_70`, `3 x sm_90a` for three of them."""
    tally = Tally()
    for text in fatbins:
        number, mark, targets = text.rpartition(" x ")
        entries = []
        for target in map(CodeTarget.parse, targets.split()):
            flags = {"": 0, "a": SUFFIX_A, "f": SUFFIX_F}[target.suffix]
            arch = target.capability.major * 10 + target.capability.minor
            entries.append(pack_entry(PTX if target.ptx else CUBIN, arch, flags=flags))
        content = pack_fatbin(*entries)
        for _ in range(int(number) if mark else 1):
            tally.add(read_fatbin(BytesSource(content), 0, len(content)))
    return Binary(member, 1000, Library("elf", "x86_64", tally.section(), EMPTY))


def verdict(found: Binary, gpu: str) -> tuple[str, str | None, int, int]:
    judged = judge(found, ComputeCapability.parse(gpu))
    target = judged.coverage.target
    return judged.coverage.kind, str(target) if target else None, judged.fatbins, judged.of


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("6.0", ("cubin", "sm_60", 341, 341)),
        ("6.1", ("cubin", "sm_60", 341, 341)),
        ("8.9", ("cubin", "sm_86", 341, 341)),
        ("9.0", ("cubin", "sm_90", 341, 341)),  # not the sm_90a that only 2 of them have
        ("12.0", ("none", None, 0, 341)),
        ("3.7", ("none", None, 0, 341)),
    ],
)
def test_torch_2_6_0(gpu: str, expected: tuple[str, str | None, int, int]) -> None:
    # The numbers of the real libtorch_cuda.so, which the tests marked `real` read.
    cubins = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"
    torch = binary("torch/lib/libtorch_cuda.so", f"339 x {cubins}", f"2 x {cubins} sm_90a")
    assert verdict(torch, gpu) == expected


def test_a_stray_architecture_is_no_support() -> None:
    # vllm 0.6.3: one translation unit was compiled for nvcc's default. A quarter of the rest serves Volta.
    groups = ("sm_52 compute_52", "20 x sm_70 sm_80 sm_90", "7 x sm_80 sm_90", "25 x sm_90a")
    vllm = binary("vllm/_C.abi3.so", *groups)
    assert verdict(vllm, "6.1") == ("none", None, 1, 28)
    assert verdict(vllm, "7.0") == ("cubin", "sm_70", 21, 28)
    assert verdict(vllm, "9.0") == ("cubin", "sm_90", 53, 53)
    assert [str(target) for target in architectures([vllm])] == ["sm_70", "sm_80", "sm_90", "sm_90a"]


def test_the_fixture_with_a_stray_fatbin() -> None:
    stray = Binary("libstray.so", 0, library(asset("libstray.so")))
    assert verdict(stray, "6.1") == ("none", None, 1, 9)
    assert verdict(stray, "5.2") == ("none", None, 1, 9)
    assert verdict(stray, "7.2") == ("none", None, 1, 9)
    assert verdict(stray, "7.5") == ("cubin", "sm_75", 9, 9)


def test_ptx_names_the_driver_that_it_needs() -> None:
    found = binary("x/_C.so", "4 x sm_70 compute_70")
    judged = judge(found, ComputeCapability(8, 6))
    assert (judged.coverage.kind, str(judged.coverage.target)) == ("ptx", "compute_70")
    assert judged.needs == CudaVersion(12, 4)
    assert judge(found, ComputeCapability(7, 5)).needs is None


def test_relocatable_code_is_not_what_runs() -> None:
    relocatable = Binary("librelocatable.so", 0, library(asset("librelocatable.so")))
    assert verdict(relocatable, "7.0") == ("none", None, 0, 1)
    assert verdict(relocatable, "6.2") == ("none", None, 0, 1)


def test_family_and_device_suffixes() -> None:
    mixed = binary("x/_C.so", "3 x sm_90a sm_120f")
    assert verdict(mixed, "9.0")[:2] == ("cubin", "sm_90a")
    assert verdict(mixed, "12.1")[:2] == ("cubin", "sm_120f")
    assert verdict(mixed, "10.0")[0] == "none"


def decision(binaries: list[Binary], gpu: str, label: str = "") -> tuple[str, str]:
    found = decide(binaries, ComputeCapability.parse(gpu), label)
    assert found
    return found.verdict.coverage.kind, found.because.member


def test_torch_is_decided_by_libtorch_cuda_alone() -> None:
    # torch 2.8.0: the library for linear algebra still serves Pascal.
    wheel = [
        binary("torch/lib/libtorch_cuda.so", "393 x sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"),
        binary("torch/lib/libtorch_cuda_linalg.so", "107 x sm_50 sm_60 sm_70"),
    ]
    assert decision(wheel, "6.1") == ("none", "torch/lib/libtorch_cuda.so")
    assert decision(wheel, "7.0") == ("cubin", "torch/lib/libtorch_cuda.so")
    assert "sm_60" not in map(str, architectures(wheel))


def test_torch_in_two_libraries_and_on_windows() -> None:
    parts = [
        binary("torch/lib/libtorch_cuda.so"),
        binary("torch/lib/libtorch_cuda_cu.so", "sm_60 sm_70"),
        binary("torch/lib/libtorch_cuda_cpp.so", "sm_70"),
    ]
    assert decision(parts, "6.0") == ("none", "torch/lib/libtorch_cuda_cpp.so")
    windows = [binary("torch/lib/torch_cuda.dll", "sm_60"), binary("torch/lib/cudnn_ops64_9.dll", "sm_75")]
    assert decision(windows, "6.1") == ("cubin", "torch/lib/torch_cuda.dll")


def test_the_weakest_library_decides() -> None:
    wheel = [binary("x/_C.so", "sm_60 sm_70"), binary("x/_D.so", "sm_70"), binary("x/plain.so")]
    assert decision(wheel, "6.1") == ("none", "x/_D.so")
    assert [str(target) for target in architectures(wheel)] == ["sm_70"]


def test_nvidias_libraries_do_not_decide_for_those_who_bundle_them() -> None:
    wheel = [
        binary("torchvision/_C.so", "sm_60 sm_70"),
        binary("torchvision.libs/libnvjpeg.02b6d700.so.12", "sm_50 sm_61"),
        binary("torchvision.libs/libcudart.7ec1eba6.so.12", "sm_90"),
    ]
    assert decision(wheel, "6.0") == ("cubin", "torchvision/_C.so")


def test_a_libs_folder_decides_where_the_kernels_lie_there() -> None:
    wheel = [binary("ctranslate2/_ext.so"), binary("ctranslate2.libs/libctranslate2-c75cca97.so.4.6.0", "24 x sm_61")]
    assert decision(wheel, "6.1") == ("cubin", "ctranslate2.libs/libctranslate2-c75cca97.so.4.6.0")


def test_nvidias_own_wheels_decide_for_themselves_and_one_kernel_counts() -> None:
    # cuDNN's engines: kernels for single GPUs, of which it picks what is there.
    wheel = [binary("nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9", "15 x sm_90", "sm_61 sm_70")]
    assert decision(wheel, "6.1")[0] == "cubin"
    assert decision(wheel, "5.0")[0] == "none"


def test_a_fast_path_for_one_device_does_not_decide_beside_a_general_library() -> None:
    # xformers 0.0.29: flash attention 3 is for Hopper only.
    general = binary("xformers/_C.so", "16 x sm_60 sm_70 sm_80")
    fast = binary("xformers/_C_flashattention3.so", "60 x sm_90a")
    assert decision([fast, general], "6.1") == ("cubin", "xformers/_C.so")
    assert decision([fast], "6.1") == ("none", "xformers/_C_flashattention3.so")
    assert deciding([fast, general]) == ((general,),)


def test_libraries_made_once_for_each_cuda_are_alternatives() -> None:
    # bitsandbytes loads the one that fits torch.
    wheel = [
        binary("bitsandbytes/libbitsandbytes_cuda124.so", "sm_60 sm_70"),
        binary("bitsandbytes/libbitsandbytes_cuda128.so", "sm_70 sm_120"),
    ]
    assert decision(wheel, "6.1") == ("cubin", "bitsandbytes/libbitsandbytes_cuda124.so")
    assert decision(wheel, "12.0") == ("cubin", "bitsandbytes/libbitsandbytes_cuda128.so")
    assert decision(wheel, "12.0", "cu124") == ("none", "bitsandbytes/libbitsandbytes_cuda124.so")
    assert is_for_cuda("bitsandbytes/libbitsandbytes_cuda124.so", "cu124")
    assert not is_for_cuda("bitsandbytes/libbitsandbytes_cuda128.so", "cu124")
    assert is_for_cuda("torch/lib/libtorch_cuda.so", "cu124")


def test_without_device_code_there_is_no_verdict() -> None:
    assert decide([binary("numpy/core.so")], ComputeCapability(6, 1)) is None
    assert architectures([binary("numpy/core.so")]) == ()


def test_architectures_of_several_libraries_are_what_all_serve() -> None:
    wheel = [binary("x/_C.so", "sm_60 sm_80 compute_80"), binary("x/_D.so", "sm_61 sm_80")]
    # 6.1 is served by both, 6.0 only by one; PTX helps nobody when one library has none.
    assert [str(target) for target in architectures(wheel)] == ["sm_61", "sm_80"]


@pytest.mark.parametrize(
    "name",
    [
        "libnvjpeg.02b6d700.so.12",
        "libcudart-a7b20f20.so.11.0",
        "cudnn_ops64_9.dll",
        "libcublasLt.so.12",
        "libnccl.so.2",
        "nvrtc64_120_0.dll",
    ],
)
def test_nvidias_libraries_are_known_by_name(name: str) -> None:
    assert is_nvidia(name)


@pytest.mark.parametrize("name", ["libtorch_cuda.so", "libctranslate2-c75cca97.so.4.6.0", "exllamav2_ext.pyd", "_C.so"])
def test_other_libraries_are_not_nvidias(name: str) -> None:
    assert not is_nvidia(name)


def test_flash_attention_beside_other_kernels_is_a_fast_path() -> None:
    # xformers 0.0.26.post1 and vllm 0.9.2 take their other kernels where FlashAttention has none.
    general = binary("xformers/_C.so", "70 x sm_50 sm_60 sm_61 sm_70 sm_75 sm_80 sm_90 compute_50")
    flash = binary("xformers/_C_flashattention.so", "48 x sm_80 sm_90 compute_80")
    pascal = ComputeCapability(6, 1)
    found = decide([general, flash], pascal)
    assert found is not None
    assert (found.verdict.coverage.kind, found.because.member) == ("cubin", "xformers/_C.so")
    assert "sm_60" in map(str, architectures([general, flash]))
    vllm = binary("vllm/_C.abi3.so", "20 x sm_70 sm_75 sm_80"), binary("vllm/vllm_flash_attn/_vllm_fa2_C.so", "sm_80")
    assert [group[0].member for group in deciding(vllm)] == ["vllm/_C.abi3.so"]


def test_flash_attention_alone_decides() -> None:
    only = binary("flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so", "72 x sm_80 sm_90")
    assert list(map(str, architectures([only]))) == ["sm_80", "sm_90"]
    found = decide([only], ComputeCapability(7, 5))
    assert found is not None
    assert found.verdict.coverage.kind == "none"
