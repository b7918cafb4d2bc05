"""The NVML stand-in: compiled from `fake_nvml.c`, loaded by a child Python through LD_LIBRARY_PATH.

The loader reads that variable once, when a process starts, so the environment made here is for children.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

_SOURCE = Path(__file__).with_name("fake_nvml.c")


class FakeGpu(NamedTuple):
    """What the stand-in says of one GPU."""

    name: str
    capability: str
    uuid: str = ""
    pci_device: str = "0000"
    memory_mib: int = 8192
    problem: str = ""
    """`lost`: it answers no question; `gone`: it cannot even be opened."""
    partitions: tuple[str, ...] = ()
    """UUIDs of its MIG devices."""


GTX_1080_TI = FakeGpu("NVIDIA GeForce GTX 1080 Ti", "6.1", "GPU-11111111-aaaa-bbbb-cccc-000000000001", "1b06", 11264)
RTX_2080_TI = FakeGpu("NVIDIA GeForce RTX 2080 Ti", "7.5", "GPU-22222222-aaaa-bbbb-cccc-000000000002", "1e07", 11264)


def build_fake_nvml(directory: Path, *, old_driver: bool = False) -> Path:
    """Compile the stand-in into a folder and give the path of the library; skips the test where there is no gcc.

    `old_driver` leaves out the functions that the drivers of 2017 did not have.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: the NVML stand-in cannot be compiled")
    library = directory / "libnvidia-ml.so.1"
    if not library.exists():
        directory.mkdir(parents=True, exist_ok=True)
        options = [
            "-shared",
            "-fPIC",
            "-O1",
            "-Wl,-soname,libnvidia-ml.so.1",
            *(["-DOLD_DRIVER"] if old_driver else []),
        ]
        subprocess.run([compiler, *options, "-o", str(library), str(_SOURCE)], check=True)
    return library


def fake_nvml_env(
    library: Path,
    gpus: Sequence[FakeGpu] = (GTX_1080_TI,),
    *,
    driver: str = "580.95.05",
    cuda: int = 13000,
    init: int = 0,
    sleep_s: int = 0,
) -> dict[str, str]:
    """Give the variables under which a child finds the stand-in and gets these answers from it.

    `cuda` is NVML's number, 12040 for 12.4; `init` the return code of nvmlInit, 9 for a driver that is not loaded.
    """
    described = [
        ";".join([*map(str, gpu[:4]), str(gpu.memory_mib), gpu.problem, ",".join(gpu.partitions)]) for gpu in gpus
    ]
    return {
        "LD_LIBRARY_PATH": str(library.parent),
        "FAKE_NVML_GPUS": "|".join(described),
        "FAKE_NVML_DRIVER": driver,
        "FAKE_NVML_CUDA": str(cuda),
        "FAKE_NVML_INIT": str(init),
        "FAKE_NVML_SLEEP_S": str(sleep_s),
    }
