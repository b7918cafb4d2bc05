"""The commands that a person could type: torch's index for torch's part, the usual one for the rest."""

from __future__ import annotations

import pytest

from pascal_install.model.build import Wheel
from pascal_install.model.companions import numpy_requirement
from pascal_install.model.gpu import HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Pin, Plan, Problem
from pascal_install.model.request import Request
from pascal_install.report.commands import commands
from support.installs import TORCH_INDEX, pin

FILE = "torch-2.6.0%2Bcu124-cp312-cp312-linux_x86_64.whl"
TORCH = pin("torch", "2.6.0+cu124", Wheel("t", FILE, f"{TORCH_INDEX}/{FILE}", "ab12"), "pytorch", TORCH_INDEX)
EXLLAMA = pin("exllamav2", "0.3.2+cu124.torch2.6.0", Wheel("t", "e.whl", "https://github.com/o/r/e.whl"), "github", "")
PYPI_TORCH = pin("torch", "2.6.0", Wheel("t", "torch.whl", "", "ab12"), "pypi", "")


def plan(*pins: Pin, others: tuple[str, ...] = ()) -> Plan:
    target = Target("/venv/bin/python", "cpython", (3, 12, 1), "cp312", "linux", "x86_64", ())
    return Plan(Request(()), HostFacts("linux", "x86_64", (), None), target, pins, (), (), None, others)


def test_torch_from_its_index_with_its_hash_then_the_rest_with_torch_held() -> None:
    assert commands(plan(TORCH, EXLLAMA, others=("transformers<5",))) == (
        (
            *("/venv/bin/python", "-m", "pip", "install", "--index-url", TORCH_INDEX),
            f"torch @ {TORCH_INDEX}/{FILE}#sha256=ab12",
        ),
        (
            *("/venv/bin/python", "-m", "pip", "install", "exllamav2 @ https://github.com/o/r/e.whl"),
            *("torch==2.6.0+cu124", "numpy", "transformers<5"),
        ),
    )


def test_pypis_torch_is_named_by_its_version() -> None:
    assert commands(plan(PYPI_TORCH)) == (("/venv/bin/python", "-m", "pip", "install", "torch==2.6.0", "numpy"),)


def test_uv() -> None:
    assert commands(plan(PYPI_TORCH), installer="uv")[0][:5] == ("uv", "pip", "install", "--python", "/venv/bin/python")


def test_mirrors_count_and_credentials_do_not_show() -> None:
    shown = str(commands(plan(TORCH), (("https://download.pytorch.org/whl", "https://me:secret@mirror.example/t"),)))
    assert "https://mirror.example/t/cu124" in shown
    assert "download.pytorch.org" not in shown
    assert "secret" not in shown


def test_no_plan_no_commands() -> None:
    assert commands(plan()._replace(problem=Problem("rule", "why", ()))) == ()


@pytest.mark.parametrize(("version", "numpy"), [("1.13.1+cu117", "numpy<2"), ("2.2.2", "numpy<2"), ("2.3.0", "numpy")])
def test_old_torch_needs_numpy_1(version: str, numpy: str) -> None:
    assert numpy_requirement(plan(pin("torch", version, PYPI_TORCH.build.wheel, "pypi", ""))) == numpy
    assert numpy_requirement(plan(EXLLAMA)) == ""
