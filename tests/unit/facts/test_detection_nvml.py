"""Detection through the compiled NVML stand-in and the real nvidia-ml-py."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pascal_install
from support.detection import detect, fake_root
from support.nvml import GTX_1080_TI, RTX_2080_TI, FakeGpu, build_fake_nvml, fake_nvml_env

A100 = FakeGpu("NVIDIA A100-SXM4-40GB", "8.0", "GPU-33333333-a", "20b0", 40960, "", ("MIG-aaaa", "MIG-abbb"))
BOTH = (GTX_1080_TI, RTX_2080_TI)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_fake_nvml(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return fake_root(tmp_path / "root")


def test_one_gpu_with_everything_that_a_plan_needs(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library), root=empty)
    assert found.gpus == [
        {
            "ordinal": 0,
            "name": "NVIDIA GeForce GTX 1080 Ti",
            "capability": [6, 1],
            "memory_total_bytes": 11264 * 1024 * 1024,
            "uuid": GTX_1080_TI.uuid,
            "pci_bus_id": "00000000:01:00.0",
            "visible": True,
            "problem": "",
            "source": "nvml",
        }
    ]
    assert (found.driver, found.cuda, found.driver_source) == ("580.95.05", "13.0", "nvml")
    assert found.steps == {"nvml": "found"}
    assert not found.code


def test_two_generations_are_both_there(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library, BOTH, driver="550.163.01", cuda=12040), root=empty)
    assert [gpu["capability"] for gpu in found.gpus] == [[6, 1], [7, 5]]
    assert found.cuda == "12.4"


@pytest.mark.parametrize(
    ("init", "code", "advice"),
    [
        (9, "driver-not-loaded", "modprobe nvidia"),
        (18, "driver-library-mismatch", "reboot"),
        (4, "no-permission", "groups video and render"),
        (999, "nvml-failed", "nvidia-smi"),
    ],
)
def test_each_failure_has_its_own_advice(library: Path, empty: Path, init: int, code: str, advice: str) -> None:
    found = detect(fake_nvml_env(library, init=init), root=empty)
    assert found.code == code
    assert advice in found.hints
    assert "--gpu" in found.hints


def test_a_mismatch_names_the_module_that_is_loaded(library: Path, tmp_path: Path) -> None:
    root = fake_root(tmp_path / "root", cards=["1b06"], module="575.64.03", control_device=True)
    found = detect(fake_nvml_env(library, init=18), root=root)
    assert found.code == "driver-library-mismatch"
    assert "575.64.03" in found.cause
    assert "GTX 1080 Ti" in found.cause


def test_no_device_for_a_card_that_the_driver_dropped(library: Path, tmp_path: Path) -> None:
    root = fake_root(tmp_path / "root", cards=["1b06"])
    found = detect(fake_nvml_env(library, (), driver="590.44.01", cuda=13010), root=root)
    assert found.code == "no-device"
    assert "branch 580" in found.hints
    assert found.driver == "590.44.01"


def test_no_device_in_a_container_without_one(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library, ()), root=empty)
    assert found.code == "no-device"
    assert "--gpus all" in found.hints
    assert "branch 580" not in found.hints


def test_an_old_driver_lacks_functions_and_still_answers(tmp_path: Path, empty: Path) -> None:
    old = build_fake_nvml(tmp_path / "old", old_driver=True)
    found = detect(fake_nvml_env(old, driver="375.66"), root=empty)
    assert [gpu["capability"] for gpu in found.gpus] == [[6, 1]]
    assert (found.driver, found.cuda) == ("375.66", None)
    assert not found.code


def test_an_old_driver_with_an_unknown_card_says_so(tmp_path: Path, empty: Path) -> None:
    old = build_fake_nvml(tmp_path / "old", old_driver=True)
    found = detect(fake_nvml_env(old, [FakeGpu("Some Card", "6.1")], driver="375.66"), root=empty)
    assert found.code == "gpu-not-answering"
    assert "Some Card" in found.cause


def test_an_old_driver_that_is_not_loaded(tmp_path: Path, empty: Path) -> None:
    old = build_fake_nvml(tmp_path / "old", old_driver=True)
    assert detect(fake_nvml_env(old, init=9), root=empty).code == "driver-not-loaded"


@pytest.mark.parametrize("problem", ["lost", "gone"])
def test_a_lost_gpu_does_not_hide_the_others(library: Path, empty: Path, problem: str) -> None:
    found = detect(fake_nvml_env(library, [RTX_2080_TI._replace(problem=problem), GTX_1080_TI]), root=empty)
    assert found.visible == [1]
    assert found.gpus[0]["problem"] == "GPU is lost"
    assert not found.code


def test_only_lost_gpus(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library, [GTX_1080_TI._replace(problem="lost")]), root=empty)
    assert found.code == "gpu-not-answering"
    assert "GPU is lost" in found.cause


def test_a_name_that_is_no_utf8(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library, [GTX_1080_TI._replace(name="Caf\udce9 GPU")]), root=empty)
    assert found.gpus[0]["name"] == "Caf\N{REPLACEMENT CHARACTER} GPU"
    assert found.visible == [0]


def test_a_driver_version_in_an_unknown_form_is_unknown(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library, driver="nightly build"), root=empty)
    assert found.driver == "None"
    assert found.cuda == "13.0"


def test_wsl_keeps_the_library_in_a_folder_of_its_own(library: Path, empty: Path) -> None:
    folder = empty / "usr/lib/wsl/lib"
    folder.mkdir(parents=True)
    shutil.copy(library, folder)
    settings = fake_nvml_env(library)
    del settings["LD_LIBRARY_PATH"]
    assert detect(settings, root=empty).visible == [0]


def test_a_library_that_cannot_be_loaded_counts_as_missing(empty: Path) -> None:
    folder = empty / "usr/lib/wsl/lib"
    folder.mkdir(parents=True)
    (folder / "libnvidia-ml.so.1").write_bytes(b"\x7fELF and nothing else")
    found = detect({}, root=empty)
    assert found.steps["nvml"] == "library-missing"


def test_a_call_that_never_ends_is_given_up(library: Path) -> None:
    code = (
        "from pascal_install.facts.nvml import read_nvml\n"
        "print(read_nvml(lambda pci, name: None, '/', deadline_s=0.2).step.outcome)"
    )
    source = str(Path(pascal_install.__file__).parent.parent)
    env = {**fake_nvml_env(library, sleep_s=600), "PYTHONPATH": source}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "timeout"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, []),
        ({"CUDA_VISIBLE_DEVICES": "7"}, []),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, [0, 1]),
        ({"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": " 1 ", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "0"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-22222222"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "gpu-1111"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-"}, []),  # begins both
        ({"CUDA_VISIBLE_DEVICES": "GPU-9"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, [0, 1]),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "1"}, [1]),
        ({"NVIDIA_VISIBLE_DEVICES": "4,5"}, [0, 1]),  # the host's numbers: these are the two
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-11111111-aaaa-bbbb-cccc-000000000001"}, [0]),
        ({"NVIDIA_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "GPU-2222"}, []),
    ],
)
def test_hidden_devices(library: Path, empty: Path, settings: dict[str, str], expected: list[int]) -> None:
    found = detect({**fake_nvml_env(library, BOTH), **settings}, root=empty)
    assert len(found.gpus) == 2
    assert found.visible == expected
    assert found.code == ("" if expected else "all-hidden")


def test_an_index_among_unlike_cards_is_read_as_nvidia_smi_counts_and_said(library: Path, empty: Path) -> None:
    found = detect({**fake_nvml_env(library, BOTH), "CUDA_VISIBLE_DEVICES": "1"}, root=empty)
    assert found.visible == [1]
    assert found.steps["CUDA_VISIBLE_DEVICES"] == "assumed"
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in found.details["CUDA_VISIBLE_DEVICES"]


def test_an_index_among_like_cards_is_clear(library: Path, empty: Path) -> None:
    twin = GTX_1080_TI._replace(uuid="GPU-44444444")
    found = detect({**fake_nvml_env(library, [GTX_1080_TI, twin]), "CUDA_VISIBLE_DEVICES": "1"}, root=empty)
    assert found.visible == [1]
    assert found.steps["CUDA_VISIBLE_DEVICES"] == "read"


@pytest.mark.parametrize(
    ("wanted", "expected"), [("MIG-abbb", [0]), ("MIG-GPU-33333333-a/1/0", [0]), ("MIG-zzzz", []), ("MIG-a", [])]
)
def test_mig_devices_belong_to_their_gpu(library: Path, empty: Path, wanted: str, expected: list[int]) -> None:
    settings = {**fake_nvml_env(library, [A100, RTX_2080_TI]), "CUDA_VISIBLE_DEVICES": wanted}
    assert detect(settings, root=empty).visible == expected


def test_all_hidden_names_the_variable(library: Path, empty: Path) -> None:
    found = detect({**fake_nvml_env(library), "CUDA_VISIBLE_DEVICES": "-1"}, root=empty)
    assert "CUDA_VISIBLE_DEVICES" in found.cause
    assert "unset" in found.hints


def test_a_given_gpu_stands_and_the_driver_is_detected(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library, [RTX_2080_TI], driver="550.163.01"), root=empty, gpus=["1080ti"])
    assert [gpu["name"] for gpu in found.gpus] == ["GeForce GTX 1080 Ti"]
    assert found.driver == "550.163.01"


def test_a_given_driver_stands_and_the_gpu_is_detected(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library), root=empty, driver="470.256.02")
    assert [gpu["source"] for gpu in found.gpus] == ["nvml"]
    assert (found.driver, found.driver_source) == ("470.256.02", "--driver")


def test_what_is_given_is_not_looked_for(library: Path, empty: Path) -> None:
    found = detect(fake_nvml_env(library), root=empty, gpus=["6.1"], driver="580.95.05")
    assert found.steps == {"--gpu": "found", "--driver": "found"}
    assert not {"pynvml", "subprocess", "ctypes", "threading"} & set(found.modules)


@pytest.mark.parametrize("asked", [{"os_name": "windows"}, {"machine": "riscv64"}])
def test_another_machine_is_not_taken_for_this_one(library: Path, empty: Path, asked: dict[str, str]) -> None:
    found = detect(fake_nvml_env(library), root=empty, **asked)
    assert found.code == "gpu-not-given"
    given = detect(fake_nvml_env(library), root=empty, gpus=["6.1"], **asked)
    assert not given.code
    assert given.driver is None
