"""Detection where NVML cannot be loaded: nvidia-smi on PATH, and trees of /proc and /sys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pascal_install.facts.smi import _read, read_smi
from support.detection import detect, fake_root

LINE = "0, 580.95.05, 0x1B0610DE, 00000000:01:00.0, GPU-1111, 11264, NVIDIA GeForce GTX 1080 Ti, 6.1"
PASCAL_AND_TURING = (
    f"{LINE}\n1, 580.95.05, 0x1E0710DE, 00000000:02:00.0, GPU-2222, 11264, NVIDIA GeForce RTX 2080 Ti, 7.5"
)


def smi(folder: Path, body: str) -> Path:
    """Write an nvidia-smi that runs this shell code."""
    folder.mkdir(parents=True)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return folder


def says(text: str, code: int = 0) -> str:
    return f"/bin/cat <<'END'\n{text}\nEND\nexit {code}"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return fake_root(tmp_path / "root")


def test_nvidia_smi_answers_for_nvml(tmp_path: Path, empty: Path) -> None:
    found = detect({"PATH": str(smi(tmp_path / "bin", says(PASCAL_AND_TURING)))}, root=empty)
    assert found.steps["nvml"] == "library-missing"
    assert [(gpu["name"], gpu["capability"], gpu["source"]) for gpu in found.gpus] == [
        ("NVIDIA GeForce GTX 1080 Ti", [6, 1], "nvidia-smi"),
        ("NVIDIA GeForce RTX 2080 Ti", [7, 5], "nvidia-smi"),
    ]
    assert found.gpus[0]["memory_total_bytes"] == 11264 * 1024 * 1024
    assert (found.driver, found.driver_source) == ("580.95.05", "nvidia-smi")
    assert not found.code


def test_hidden_devices_count_for_nvidia_smi_too(tmp_path: Path, empty: Path) -> None:
    path = str(smi(tmp_path / "bin", says(PASCAL_AND_TURING)))
    found = detect({"PATH": path, "CUDA_VISIBLE_DEVICES": "GPU-2222"}, root=empty)
    assert found.visible == [1]


def test_an_old_nvidia_smi_does_not_know_the_compute_capability(tmp_path: Path, empty: Path) -> None:
    old = LINE.rpartition(",")[0].replace("580.95.05", "460.91.03")
    refuses = 'Field "compute_cap" is not a valid field to query.'
    body = f"case \"$1\" in *compute_cap*) echo '{refuses}'; exit 2;; esac\n{says(old)}"
    found = detect({"PATH": str(smi(tmp_path / "bin", body))}, root=empty)
    assert [gpu["capability"] for gpu in found.gpus] == [[6, 1]]
    assert found.driver == "460.91.03"


def test_a_lost_gpu_in_brackets(tmp_path: Path, empty: Path) -> None:
    lost = "1, 580.95.05, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]"
    found = detect({"PATH": str(smi(tmp_path / "bin", says(f"{LINE}\n{lost}")))}, root=empty)
    assert found.visible == [0]
    assert "GPU is lost" in found.gpus[1]["problem"]
    assert found.gpus[1]["memory_total_bytes"] is None


def test_a_complaint_between_the_lines_is_kept(tmp_path: Path, empty: Path) -> None:
    complaint = "Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost. Reboot the system"
    found = detect({"PATH": str(smi(tmp_path / "bin", says(f"{LINE}\n{complaint}")))}, root=empty)
    assert found.visible == [0]
    assert "Reboot the system" in found.details["nvidia-smi"]


@pytest.mark.parametrize(
    ("text", "exit_code", "code"),
    [
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9, "driver-not-loaded"),
        ("Failed to initialize NVML: Driver/library version mismatch", 18, "driver-library-mismatch"),
        ("Failed to initialize NVML: Insufficient Permissions", 4, "no-permission"),
        ("No devices were found", 6, "no-device"),
        ("No devices were found", 0, "no-device"),
        ("Segmentation fault", 139, "nvml-failed"),
    ],
)
def test_its_failures_are_told_apart(tmp_path: Path, empty: Path, text: str, exit_code: int, code: str) -> None:
    found = detect({"PATH": str(smi(tmp_path / "bin", says(text, exit_code)))}, root=empty)
    assert found.code == code
    assert text in found.cause


def test_one_that_cannot_run(tmp_path: Path, empty: Path) -> None:
    folder = smi(tmp_path / "bin", "")
    (folder / "nvidia-smi").write_bytes(b"\x7fELF nothing")
    found = detect({"PATH": str(folder)}, root=empty)
    assert found.steps["nvidia-smi"] == "failed"


def test_one_that_never_ends_is_given_up(tmp_path: Path) -> None:
    folder = smi(tmp_path / "bin", "exec /bin/sleep 600")
    reading = read_smi({"PATH": str(folder)}, "linux", lambda pci, name: None, timeout_s=0.3)
    assert reading.step.outcome == "timeout"


@given(stdout=st.text(), stderr=st.text(), code=st.integers(-20, 255))
def test_nothing_that_it_prints_breaks_us(stdout: str, stderr: str, code: int) -> None:
    reading = _read(code, stdout, stderr, "nvidia-smi", lambda pci, name: None)
    assert reading.gpus or reading.step.outcome != "found"


@given(values=st.lists(st.text(st.characters(exclude_characters=",\n\r")), min_size=7, max_size=9))
def test_no_value_that_it_prints_breaks_us(values: list[str]) -> None:
    line = ", ".join(["0", *values])
    reading = _read(0, line, "", "nvidia-smi", lambda pci, name: None)
    assert all(gpu.capability or gpu.problem for gpu in reading.gpus)


def test_one_in_the_folder_of_wsl(empty: Path) -> None:
    smi(empty / "usr/lib/wsl/lib", says(LINE))
    assert detect({}, root=empty).visible == [0]


def test_an_image_build_never_takes_the_builders_card(tmp_path: Path) -> None:
    """Measured: a build step sees the host's PCI bus and /proc, and has neither library nor device files."""
    root = fake_root(tmp_path / "root", cards=["1b06"], module="580.95.05")
    found = detect({}, root=root)
    assert found.code == "gpu-not-confirmed"
    assert "GeForce GTX 1080 Ti" in found.cause
    assert "580.95.05" in found.cause
    assert "image build" in found.hints
    assert '--gpu "GTX 1080 Ti"' in found.hints
    assert "branch 580" in found.hints
    assert found.driver is None
    assert [gpu["source"] for gpu in found.gpus] == ["pci"]  # `info` can still show it


def test_a_given_gpu_does_not_take_the_builders_driver(tmp_path: Path) -> None:
    root = fake_root(tmp_path / "root", cards=["1e07"], module="580.95.05")
    found = detect({}, root=root, gpus=["Tesla P100"])
    assert not found.code
    assert found.driver is None
    assert found.steps["/proc/driver/nvidia/version"] == "not-confirmed"
    assert "pci" not in found.steps


def test_a_machine_with_the_module_but_no_libraries(tmp_path: Path) -> None:
    root = fake_root(tmp_path / "root", cards=["1b06"], module="580.95.05", control_device=True)
    found = detect({}, root=root)
    assert found.code == "nvidia-library-missing"
    assert "580.95.05" in found.hints
    assert (found.driver, found.driver_source) == ("580.95.05", "/proc/driver/nvidia/version")


def test_the_open_kernel_module_writes_another_line(tmp_path: Path) -> None:
    root = fake_root(tmp_path / "root", cards=["1e07"], module="0.0", control_device=True)
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (dvs-builder@U22)\n"
    (root / "proc/driver/nvidia/version").write_text(line)
    assert detect({}, root=root).driver == "575.57.08"


def test_a_machine_without_a_driver(tmp_path: Path) -> None:
    found = detect({}, root=fake_root(tmp_path / "root", cards=["15f8", "1e07"]))
    assert found.code == "gpu-not-confirmed"
    assert "Tesla P100, GeForce RTX 2080 Ti" in found.cause
    assert "install the NVIDIA driver" in found.hints


def test_a_card_that_the_table_does_not_hold(tmp_path: Path) -> None:
    found = detect({}, root=fake_root(tmp_path / "root", cards=["ffff"]))
    assert found.code == "gpu-not-confirmed"
    assert "10de:ffff" in found.cause
    assert found.gpus[0]["capability"] is None


def test_a_machine_without_any_card(empty: Path) -> None:
    found = detect({}, root=empty)
    assert found.code == "no-nvidia-gpu"
    assert "--gpu" in found.hints


def test_where_the_bus_cannot_be_read_no_card_is_denied(tmp_path: Path) -> None:
    found = detect({}, root=tmp_path)
    assert found.code == "nvidia-library-missing"
