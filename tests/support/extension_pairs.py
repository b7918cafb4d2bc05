"""A torch and an extension for it, compiled on the spot: they match, or fail each other as real ones do."""

from __future__ import annotations

from pathlib import Path

from support.shared_libraries import compile_library

TORCH = """
#include <string>
namespace c10 { int check(int value) { return value; } int named(std::string name) { return name.size(); } }
"""
USER = "namespace c10 { int check(int); } int cudaMalloc(); int use() { return c10::check(1) + cudaMalloc(); }"
RUNTIME = "int cudaMalloc() { return 0; }"


class BuiltPair:
    """A torch and an extension, built with a CUDA runtime that comes apart, as NVIDIA's does."""

    def __init__(
        self, folder: Path, torch: str = TORCH, user: str = USER, cuda: str = "12", torch_cuda: str = "12"
    ) -> None:
        self.folder = folder
        self.runtime = compile_library(folder / "nvidia", f"libcudart.so.{cuda}", RUNTIME)
        of_torch = compile_library(folder / "nvidia", f"libcudart.so.{torch_cuda}", RUNTIME)
        self.torch = compile_library(folder / "torch-build", "libtorch.so", torch)
        self.torch_cuda = compile_library(folder / "torch-build", "libtorch_cuda.so", "int c;", of_torch)
        built_with = compile_library(folder / "user-build", "libtorch.so", TORCH)
        self.extension = compile_library(folder / "user-build", "_C.so", user, built_with, self.runtime)

    def torch_members(self) -> dict[str, bytes | Path]:
        return {
            "torch/lib/libtorch.so": self.torch,
            "torch/lib/libtorch_cuda.so": self.torch_cuda,
            "torch/_C.cpython-312-x86_64-linux-gnu.so": self.torch,
        }
