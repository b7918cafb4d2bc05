"""What `pascal-install doctor` finds in environments that are whole and still do not work, and how it asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pascal_install.installation.execute import execute
from support.installs import TAG, listing, make_world
from support.mirror import Mirror
from support.nvml import GTX_1080_TI, RTX_2080_TI, build_fake_nvml, fake_nvml_env
from support.patient import GPU, Patient
from support.wheels import make_extension_stub, make_library_stub, make_torch_stub, wheel_filename


@pytest.fixture
def patient(tmp_path: Path, mirror: Mirror) -> Patient:
    """An environment with torch 2.6.0+cu124 and its exllamav2, in which nothing is wrong."""
    found = Patient(make_world(tmp_path, mirror))
    execute(found.world.plan, found.world.options)
    return found


def put(patient: Patient, name: str, version: str, wheel: bytes, tag: str = TAG) -> None:
    """Install one wheel as a person would who knows no better."""
    path = patient.world.root / wheel_filename(name, version, tag)
    path.write_bytes(wheel)
    patient.world.pip("install", "--quiet", "--no-deps", "--force-reinstall", str(path))


def test_a_driver_that_is_too_old_for_torch_brings_an_older_torch(patient: Patient) -> None:
    old = ("--gpu", "GTX 1080 Ti", "--driver", "470.256.02")
    document = patient.told(*old, expect=10)
    assert [one["id"] for one in document["findings"]] == ["driver-too-old"]
    assert "525.60.13" in document["findings"][0]["evidence"]
    pins = {pin["name"]: pin["cuda_variant"] for pin in document["mend"]["plan"]["pins"]}
    assert pins == {"torch": "cu118", "exllamav2": "cu118"}


def test_a_driver_branch_that_left_the_gpu_behind(patient: Patient) -> None:
    document = patient.told("--gpu", "GTX 1080 Ti", "--driver", "590.44", expect=10)
    finding = next(one for one in document["findings"] if one["id"] == "driver-branch")
    assert "580" in finding["remedy"]


def test_a_cudnn_that_left_the_gpu_behind(patient: Patient) -> None:
    version = "9.12.0.46"
    tag = "py3-none-manylinux2014_x86_64"
    put(patient, "nvidia-cudnn-cu12", version, make_library_stub("nvidia-cudnn-cu12", version, tag), tag)
    assert patient.ids(expect=10) == ["cudnn-too-new", "unmet-requirement"]
    assert "cudnn-too-new" not in patient.ids("--gpu", "RTX 3060", "--driver", "580.95.05", expect=10)
    assert patient.told("--fix", "--yes", expect=0)["findings"] == []
    assert patient.world.versions()["nvidia-cudnn-cu12"].startswith("9.1.")


def test_an_extension_for_another_torch(patient: Patient) -> None:
    version = "0.2.4+cu118.torch2.5.0"
    put(patient, "exllamav2", version, make_extension_stub("exllamav2", version, TAG))
    assert patient.ids(expect=10) == ["other-torch"]
    assert patient.told("--fix", "--yes", expect=0)["findings"] == []
    assert patient.world.versions() | {"exllamav2": "0.3.2+cu124.torch2.6.0"} == patient.world.versions()


def test_the_file_that_pypi_has_of_that_name(patient: Patient) -> None:
    tag = "py3-none-any"
    put(patient, "exllamav2", "0.2.9", make_extension_stub("exllamav2", "0.2.9", tag), tag)
    assert "wrong-publisher" in patient.ids(expect=10)


def test_a_torch_for_cpus_on_a_machine_with_a_gpu(patient: Patient) -> None:
    put(patient, "torch", "2.6.0+cpu", make_torch_stub("2.6.0+cpu", "cpu", TAG, ()))
    assert "cpu-build" in patient.ids(expect=10)


def test_library_path_that_shadows_the_own_libraries(patient: Patient, tmp_path: Path) -> None:
    own = next(patient.world.site.glob("nvidia/*/lib/lib*.so"))
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / own.name).write_bytes(own.read_bytes())
    patient.environ["LD_LIBRARY_PATH"] = str(tmp_path / "shadow")
    assert patient.ids(expect=0) == ["library-path"]


def test_a_hidden_gpu_is_a_warning(patient: Patient, tmp_path: Path) -> None:
    patient.environ |= fake_nvml_env(build_fake_nvml(tmp_path / "nvml"), (GTX_1080_TI, RTX_2080_TI))
    patient.environ |= {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    patient.environ["STUB_TORCH_CUDA"] = f"{GTX_1080_TI.name};6.1;"
    done = patient.types()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GPU 1 (NVIDIA GeForce RTX 2080 Ti) is hidden" in done.stdout
    assert "CUDA_VISIBLE_DEVICES='0'" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "code"), [("n", 10), ("y", 0)])
def test_on_a_terminal_it_shows_the_plan_and_asks(patient: Patient, answer: str, code: int) -> None:
    import pty

    (patient.world.site / "numpy/__init__.py").unlink()
    before = listing(patient.world.venv)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pascal_install", "doctor", "--fix", *GPU]
    with subprocess.Popen(command, env=patient.environ, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, answer.encode() + b"\n")
        try:
            while more := os.read(ours, 4096):
                shown += more
        except OSError:  # the other end is closed
            pass
        child.communicate(timeout=120)
    os.close(ours)
    assert child.returncode == code
    assert b"numpy" in shown
    assert (listing(patient.world.venv) == before) == (answer == "n")
