"""`pascal-install doctor` as a person types it: broken environments, the findings, and what --fix makes of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pascal_install.installation.execute import execute
from support.installs import World, listing, make_world
from support.killed_install import run_killed
from support.mirror import Mirror
from support.patient import GPU, Patient
from support.wheels import make_module_stub, wheel_filename


@pytest.fixture
def patient(tmp_path: Path, mirror: Mirror) -> Patient:
    return Patient(make_world(tmp_path, mirror))


def with_plain(patient: Patient) -> World:
    """An environment without torch, with two plain packages of which one needs the other."""
    world = patient.world
    user = make_module_stub("user", "1.0", ["regex"])
    world.mirror.add_pypi(wheel_filename("user", "1.0", "py3-none-any"), user)
    world.pip("install", "--quiet", "user")
    return world


def test_no_torch_no_problem(patient: Patient) -> None:
    before = listing(patient.world.venv)
    done = patient.types(*GPU)
    assert done.returncode == 0, done.stderr
    assert "no problems found" in done.stdout
    assert listing(patient.world.venv) == before


def leftover(world: World) -> None:
    (world.site / "~egex").mkdir()
    (world.site / "~egex/__init__.py").write_text("half")


def half(world: World) -> None:
    (world.site / "regex/__init__.py").unlink()


def unmet(world: World) -> None:
    world.pip("uninstall", "--yes", "--quiet", "regex")


@pytest.mark.parametrize(
    ("damage", "expected"), [(leftover, "leftover"), (half, "not-whole"), (unmet, "unmet-requirement")]
)
def test_what_is_broken_is_told_and_mended(patient: Patient, damage: Callable[[World], None], expected: str) -> None:
    world = with_plain(patient)
    assert patient.ids(expect=0) == []
    damage(world)
    before = listing(world.venv)
    assert patient.ids(expect=10) == [expected]
    assert listing(world.venv) == before, "looking changes nothing"
    fixed = patient.told("--fix", "--yes", expect=0)
    assert fixed["findings"] == []
    assert [one["id"] for one in fixed["before_fix"]] == [expected]
    assert world.pip("check").returncode == 0
    assert world.imports("user", "regex")


def test_half_a_torch_comes_back_with_its_own_version_and_nothing_else_moves(patient: Patient) -> None:
    world = patient.world
    execute(world.plan, world.options)
    before = world.versions()
    assert patient.ids(expect=0) == []
    (world.site / "numpy/__init__.py").unlink()
    assert patient.ids(expect=10) == ["not-whole"]
    assert patient.told("--fix", "--yes", expect=0)["findings"] == []
    assert world.versions() == before
    assert world.imports("torch", "exllamav2", "numpy")


def test_another_cuda_family_goes_and_torchs_own_files_stay(patient: Patient) -> None:
    world = patient.world
    execute(world.plan, world.options)
    world.pip("install", "--quiet", "--no-deps", "nvidia-cudnn-cu13")
    document = patient.told(expect=10)
    assert "two-cuda-families" in {one["id"] for one in document["findings"]}
    assert document["mend"]["remove"] == ["nvidia-cudnn-cu13"]


def test_a_killed_install_is_told_and_undone(patient: Patient) -> None:
    world = patient.world
    before = listing(world.venv)
    run_killed(world, "verify")
    assert "open-journal" in patient.ids(expect=10)
    assert listing(world.venv) == before
    assert "open-journal" not in patient.ids(expect=0)
    run_killed(world, "verify")
    assert patient.told("--fix", "--yes", expect=0)["before_fix"][0]["id"] == "open-journal"
    assert listing(world.venv) == before


def test_pythonpath_that_shadows_torch(patient: Patient, tmp_path: Path) -> None:
    execute(patient.world.plan, patient.world.options)
    (tmp_path / "other/torch").mkdir(parents=True)
    source = str(Path(__file__).parents[2] / "src")
    patient.environ["PYTHONPATH"] = os.pathsep.join((source, str(tmp_path / "other")))
    assert patient.ids(expect=10) == ["python-path"]


def test_without_a_gpu_the_machine_is_the_finding(patient: Patient) -> None:
    done = patient.types("--format", "json")
    if done.returncode == 0:
        pytest.skip("this machine has an NVIDIA GPU")
    assert done.returncode == 10
    assert len(json.loads(done.stdout)["findings"]) == 1


def test_fix_without_a_terminal_and_without_yes_is_a_usage_error(patient: Patient) -> None:
    done = patient.types("--fix")
    assert done.returncode == 2
    assert "--yes" in done.stderr
