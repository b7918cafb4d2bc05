"""What the examples show is what happens."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pascal_install import plan
from pascal_install.errors import UsageError
from support.environments import clean_environ

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(command: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=clean_environ() | environ, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_python_interface_gives_addresses() -> None:
    done = run([sys.executable, str(EXAMPLES / "use_api.py"), "GTX 1080 Ti", "580.95.05"])
    assert done.returncode == 0, done.stderr
    assert "torch 2.6.0+cu124 https://download.pytorch.org/whl/cu124/torch-2.6.0%2Bcu124-cp312-cp312" in done.stdout
    assert "exllamav2 0.3.2+cu124.torch2.6.0 https://github.com/turboderp-org/" in done.stdout


def test_the_python_interface_ends_like_the_command_line() -> None:
    done = run([sys.executable, str(EXAMPLES / "use_api.py"), "GTX 980", "580.95.05"])
    assert done.returncode == 3
    assert "sm_52" in done.stderr


def test_the_python_interface_reads_what_people_write() -> None:
    machine = {"driver": "580.95.05", "platform": "linux_x86_64", "python_version": "3.12"}
    answer = plan("exllamav2", gpus="6.1", mirrors=["https://github.com=https://mirror.example/gh"], **machine)  # type: ignore[arg-type]
    assert [pin.build.release.version for pin in answer.pins] == ["2.6.0+cu124", "0.3.2+cu124.torch2.6.0"]
    with pytest.raises(TypeError, match="there is no setting gpu; there are gpus, driver"):
        plan("exllamav2", gpu="6.1")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="cannot read the mirror"):
        plan("exllamav2", gpus="6.1", mirrors="https://github.com", **machine)  # type: ignore[arg-type]


@pytest.mark.skipif(os.name == "nt", reason="a POSIX script")
@pytest.mark.parametrize(
    ("ours", "code", "told"), [(0, 0, "ready"), (3, 3, "no published build"), (4, 4, "GPU or driver")]
)
def test_the_provisioning_script_acts_on_the_exit_code(tmp_path: Path, ours: int, code: int, told: str) -> None:
    """The environment's programs are stand-ins that end as told; the script itself is the real one."""
    environment = tmp_path / "env"
    programs = environment / "bin"
    programs.mkdir(parents=True)
    for name, ending in (("python", 0), ("pip", 0), ("pascal-install", ours)):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit {ending}\n')
        (programs / name).chmod(0o755)
    done = run(["sh", str(EXAMPLES / "provision.sh"), str(environment), "exllamav2"])
    assert done.returncode == code
    assert told in done.stdout + done.stderr
    assert f"pascal-install install exllamav2 --python {programs / 'python'} --quiet" in done.stdout


def commands_in(text: str) -> list[str]:
    """The pascal-install commands of a file, without what stands before and after them."""
    found = re.findall(r"pascal-install (?:plan |install )?exllamav2[^\n&>|]*", text)
    return [command.strip() for command in found]


@pytest.mark.parametrize("name", ["docker/Dockerfile", "cloud-init.yaml"])
def test_commands_of_the_other_examples_are_understood(name: str) -> None:
    """Each command is run as it stands, as a dry run, with the values that the file itself gives."""
    commands = commands_in((EXAMPLES / name).read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        filled = command.replace('"$GPU"', '"GTX 1080 Ti"').replace('"$DRIVER"', "580.95.05")
        words = ["plan", *(word for word in shlex.split(filled)[1:] if word not in ("plan", "install"))]
        if "--python" in words:
            words[words.index("--python") + 1] = sys.executable
        done = run([sys.executable, "-m", "pascal_install", *words], PASCAL_INSTALL_GPU="GTX 1080 Ti")
        assert done.returncode == 0, done.stderr
        assert "2.6.0+cu124" in done.stdout


def test_a_build_without_gpu_is_told_to_name_it() -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has an NVIDIA driver")
    done = run([sys.executable, "-m", "pascal_install", "plan", "exllamav2"])
    assert done.returncode == 4
    assert "--gpu" in done.stderr
