"""The main job, for real: torch 2.6.0 with its libraries from PyPI (3 GB), and an exllamav2 wheel of the plan's name.

GitHub is played by a loopback mirror, which serves a wheel made for the test; everything else is what a user gets.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.environments import ORIGINAL_ENVIRON, make_venv
from support.mirror import GITHUB, Mirror
from support.wheels import make_extension_stub, wheel_filename

pytestmark = pytest.mark.real

EXLLAMAV2 = "0.3.2+cu124.torch2.6.0"
PASCAL = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    pytest.skip("exllamav2 0.3.2 has wheels for Python 3.10 to 3.13", allow_module_level=True)


class Machine:
    """A fresh environment, and the command line as a user runs it."""

    def __init__(self, folder: Path, mirror: Mirror, cache: Path | None = None) -> None:
        self.mirror = mirror
        self.cache = cache or folder / "cache"
        self.venv = folder / "venv"
        self.python = make_venv(self.venv)
        self._environ = {
            **ORIGINAL_ENVIRON,
            "VIRTUAL_ENV": str(self.venv),
            "PASCAL_INSTALL_CACHE_DIR": str(self.cache),
            "PASCAL_INSTALL_MIRROR": f"https://{GITHUB}={mirror.base(GITHUB)}",
            "PASCAL_INSTALL_GPU": "GTX 1080 Ti",
            "PASCAL_INSTALL_DRIVER": "580.95.05",
            "PASCAL_INSTALL_TORCH_SOURCE": "pypi",
        }

    def run(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        command = [sys.executable, "-m", "pascal_install", *arguments, "--format", "json"]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def run_killed(self, *arguments: str, when: Callable[[], bool]) -> None:
        """Type a command, and kill its process as soon as that is so."""
        command = [sys.executable, "-m", "pascal_install", *arguments, "--quiet"]
        child = subprocess.Popen(command, env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not when():
            assert child.poll() is None, "it ended before"
            time.sleep(0.01)
        child.kill()
        child.wait()

    def python_says(self, code: str) -> str:
        done = subprocess.run(
            [str(self.python), "-c", code], env=self._environ, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def pip(self, *arguments: str) -> str:
        command = [str(self.python), "-m", "pip", *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> Mapping[str, tuple[int, int]]:
        """Every file of the environment with its size and time."""
        found = {}
        for folder, _, names in os.walk(self.venv):
            for name in names:
                path = os.path.join(folder, name)
                told = os.lstat(path)
                found[path] = (told.st_size, told.st_mtime_ns)
        return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Mirror() as mirror:
        tag = f"{TAG}-{TAG}-linux_x86_64"
        wheel = make_extension_stub("exllamav2", EXLLAMAV2, tag)
        mirror.add_release("turboderp-org/exllamav2", "v0.3.2", wheel_filename("exllamav2", EXLLAMAV2, tag), wheel)
        yield Machine(tmp_path_factory.mktemp("real"), mirror)


def torch_of(machine: Machine) -> tuple[str, ...]:
    code = "import torch; print(torch.__version__, torch._C._cuda_getArchFlags())"
    return tuple(machine.python_says(code).split())


def test_a_fresh_environment_gets_the_torch_that_runs_on_pascal(machine: Machine) -> None:
    answer = machine.run("exllamav2")
    assert answer["outcome"]["status"] == "installed"
    assert [(pin["name"], pin["version"]) for pin in answer["pins"]] == [("torch", "2.6.0"), ("exllamav2", EXLLAMAV2)]
    assert answer["outcome"]["verified"]["architectures"] == list(PASCAL)
    assert torch_of(machine) == ("2.6.0+cu124", *PASCAL)
    assert machine.python_says("import exllamav2; print(exllamav2.__version__)") == "0.3.2"
    machine.pip("check")


def test_a_second_run_changes_nothing(machine: Machine) -> None:
    before = machine.files()
    assert machine.run("exllamav2")["outcome"] == {"status": "in-place", "changes": [], "verified": None}
    assert machine.files() == before


def test_what_is_installed_carries_the_kernels(machine: Machine) -> None:
    report = machine.run("inspect", str(machine.venv))
    assert report["coverage"]["6.1"]["kind"] == "cubin"
    assert report["coverage"]["6.1"]["arch"] == "sm_60"
    assert report["coverage"]["6.1"]["because"].endswith("libtorch_cuda.so")


def test_an_environment_broken_by_the_newest_torch_is_mended(machine: Machine) -> None:
    machine.pip("install", "--quiet", "torch==2.15.0")
    assert "sm_60" not in torch_of(machine)
    answer = machine.run("exllamav2")
    assert answer["outcome"]["status"] == "installed"
    assert torch_of(machine) == ("2.6.0+cu124", *PASCAL)
    left = [
        name for name in machine.pip("list", "--format=freeze").split() if "-cu13" in name or "cuda-toolkit" in name
    ]
    assert left == []
    machine.pip("check")


def _without_traces(machine: Machine) -> set[str]:
    """Name the environment's files, but for our notes, what Python compiled, and a lock that uv leaves."""
    traces = (".pascal-install", "__pycache__", "/venv/.lock")
    return {path for path in machine.files() if not any(trace in path for trace in traces)}


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_kill_while_it_is_unpacked_leaves_nothing_of_it(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory, installer: str
) -> None:
    """pip and uv alone answer 0 over the half torch that such a kill leaves."""
    other = Machine(tmp_path_factory.mktemp("killed"), machine.mirror, machine.cache)
    before = _without_traces(other)
    other.run_killed(
        "exllamav2", "--installer", installer, when=lambda: len(_without_traces(other)) > len(before) + 3000
    )
    other.run("rollback")
    assert _without_traces(other) == before
    other.run("exllamav2", "--installer", installer)
    assert torch_of(other) == ("2.6.0+cu124", *PASCAL)
    other.pip("check")
    shutil.rmtree(other.venv)
