"""The kernel that proves an install, where there is a GPU: what undoes the install, and what is only told.

What CUDA and torch say here, a real H100 with driver 580.159.04 and torch 2.11.0+cu130 has said, in the state that the
test's name tells: another process holding all of its memory, libcuda hidden, /dev/nvidia-uvm not to be opened, device
code for another architecture, device code with bytes changed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from support.installs import listing
from support.mirror import Mirror
from support.nvml import GTX_1080_TI, build_fake_nvml, fake_nvml_env
from support.person import GPU, Done, Person, make_person

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)

_NAME = GTX_1080_TI.name
OUT_OF_MEMORY = "CUDA error: out of memory"
NO_LIBCUDA = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver"
    " from http://www.nvidia.com/Download/index.aspx"
)
NO_UVM = (
    "CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable"
    " CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero."
)
TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040)."
NO_IMAGE = "CUDA error: no kernel image is available for execution on the device"
UNKNOWN = "CUDA error: unknown error"


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    """Somebody at a machine with a GTX 1080 Ti, with nothing in the environment."""
    found = make_person(tmp_path, mirror)
    for variable, text in fake_nvml_env(build_fake_nvml(tmp_path / "nvml")).items():
        found.sets(variable, text)
    return found


def install(person: Person, says: str, *words: str) -> Done:
    person.sets("STUB_TORCH_CUDA", says)
    return person.types("exllamav2", *words)


def kernel(says: str) -> str:
    return f"{_NAME};6.1;{says}"


def test_a_kernel_that_ran(person: Person) -> None:
    done = install(person, kernel(""), "--format", "json")
    assert done.code == 0, done.err
    verified = json.loads(done.out)["outcome"]["verified"]
    assert (verified["kernels_run"], verified["untried"]) == (1, [])


@pytest.mark.parametrize("says", [NO_IMAGE, UNKNOWN])
def test_a_kernel_that_the_gpu_refuses_undoes_the_install(person: Person, says: str) -> None:
    before = listing(person.world.venv)
    done = install(person, kernel(says))
    assert done.code == 9, done.out + done.err
    assert f"a kernel on {_NAME} (6.1): RuntimeError: {says}" in done.err
    assert listing(person.world.venv) == before


def test_of_two_gpus_the_one_that_refuses_counts(person: Person) -> None:
    before = listing(person.world.venv)
    assert install(person, f"{kernel(OUT_OF_MEMORY)}|{kernel(NO_IMAGE)}").code == 9
    assert listing(person.world.venv) == before


def test_a_torch_that_says_the_driver_is_too_old_undoes_the_install(person: Person) -> None:
    before = listing(person.world.venv)
    done = install(person, TOO_OLD)
    assert done.code == 9, done.out + done.err
    assert TOO_OLD in done.err
    assert listing(person.world.venv) == before


@pytest.mark.parametrize("says", [kernel(OUT_OF_MEMORY), NO_LIBCUDA, NO_UVM])
def test_a_gpu_that_cannot_be_used_now_is_told_and_the_install_stays(person: Person, says: str) -> None:
    done = install(person, says)
    assert done.code == 0, done.out + done.err
    assert "no kernel was run" in done.out
    assert "no GPU here" not in done.out
    told = next(line for line in done.out.splitlines() if line.startswith("not tried"))
    assert _NAME in told
    assert says.rpartition(";")[2] in told
    assert person.world.versions()["torch"] == "2.6.0+cu124"


@pytest.mark.parametrize("says", [NO_LIBCUDA, f"H100;9.0;{NO_IMAGE}"])
def test_without_the_gpu_nothing_is_claimed(person: Person, says: str) -> None:
    """No GPU, or another one than the plan is for."""
    person.forgets_setting("LD_LIBRARY_PATH")
    done = install(person, says, *GPU)
    assert done.code == 0, done.out + done.err
    assert "no such GPU here, so no kernel was run" in done.out
    assert "not tried" not in done.out


@pytest.mark.parametrize(
    ("says", "code", "found", "remedy"),
    [
        (kernel(""), 0, [], ""),
        (kernel(NO_IMAGE), 10, ["kernel-fails"], "pip uninstall torch"),
        (kernel(OUT_OF_MEMORY), 0, ["gpu-busy"], "nvidia-smi"),
        (NO_LIBCUDA, 10, ["torch-sees-no-gpu"], "NVIDIA_DRIVER_CAPABILITIES"),
        (NO_UVM, 10, ["torch-sees-no-gpu"], "modprobe nvidia_uvm"),
        (TOO_OLD, 10, ["torch-sees-no-gpu"], "pascal-install torch"),
    ],
)
def test_doctor_tries_the_gpu(person: Person, says: str, code: int, found: list[str], remedy: str) -> None:
    assert install(person, kernel("")).code == 0
    before = listing(person.world.venv)
    person.sets("STUB_TORCH_CUDA", says)
    done = person.types("doctor", "--format", "json")
    assert done.code == code, done.out + done.err
    findings = json.loads(done.out)["findings"]
    assert [one["id"] for one in findings] == found
    assert all(remedy in one["remedy"] for one in findings)
    assert listing(person.world.venv) == before


def test_doctor_on_a_torch_that_does_not_import(person: Person) -> None:
    assert install(person, kernel("")).code == 0
    person.sets("STUB_TORCH_CUDA", kernel(""))
    module = person.world.site / "torch/version.py"
    size = module.stat().st_size
    module.write_bytes(b"raise OSError('libcudart')".ljust(size)[:size])
    os.utime(module, (1, 1))  # within the second, Python would take what it compiled for current
    done = person.types("doctor", "--format", "json")
    assert done.code == 10, done.out + done.err
    (finding,) = json.loads(done.out)["findings"]
    assert (finding["id"], "OSError" in finding["evidence"]) == ("torch-fails", True)


def test_doctor_does_not_try_the_gpu_of_another_machine(person: Person) -> None:
    person.forgets_setting("LD_LIBRARY_PATH")
    assert install(person, NO_LIBCUDA, *GPU).code == 0
    assert person.gets("doctor", *GPU)["findings"] == []
