"""kill -9 at every step of the journal, and while pip or uv writes: the next command finds one of two whole states."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.installation.execute import execute
from pascal_install.installation.journal import open_journals
from pascal_install.installation.rollback import recover, rollback, way_back
from support.installs import WRONG_TORCH, World, listing, make_world
from support.killed_install import run_killed
from support.mirror import Mirror


@pytest.fixture
def world(tmp_path: Path, mirror: Mirror) -> World:
    made = make_world(tmp_path, mirror)
    made.pip("install", "--quiet", "torch")
    assert made.versions()["torch"] == WRONG_TORCH
    return made


@pytest.mark.parametrize("moment", ["set-aside", "install", "line", "verify"])
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_the_old_state_comes_back(world: World, moment: str, installer: str) -> None:
    before = listing(world.venv)
    run_killed(world, moment, installer)
    assert open_journals(world.plan.target)
    # What was killed left its pip running: it holds the lock, so that this waits for its end.
    assert recover(world.plan.target)
    assert listing(world.venv) == before
    assert world.imports("torch")


def test_the_same_command_again_brings_the_new_state(world: World) -> None:
    run_killed(world, "line")
    assert execute(world.plan, world.options).status == "installed"
    assert world.pip("check").returncode == 0
    assert world.imports("torch", "exllamav2")
    assert world.versions()["torch"] == "2.6.0+cu124"


def test_what_rollback_would_do_after_a_kill_is_told(world: World) -> None:
    run_killed(world, "install")
    back = way_back(world.plan.target)
    assert back is not None
    assert back.was_killed
    assert ("torch", "2.6.0+cu124", WRONG_TORCH) in back.steps


def test_rollback_after_a_kill_goes_to_the_state_before_it_and_no_further(world: World) -> None:
    before = listing(world.venv)
    run_killed(world, "verify")
    assert rollback(world.plan.target) is None
    assert listing(world.venv) == before


def test_a_kill_right_after_the_commit_keeps_the_new_state_and_its_way_back(world: World) -> None:
    before = listing(world.venv)
    run_killed(world, "committed")
    assert not recover(world.plan.target)
    assert execute(world.plan, world.options).status == "in-place"
    assert rollback(world.plan.target) is not None
    assert listing(world.venv) == before


@pytest.mark.parametrize("moment", ["undo", "put-back", "undone"])
def test_a_way_back_that_is_killed_is_gone_to_its_end(world: World, moment: str) -> None:
    before = listing(world.venv)
    assert execute(world.plan, world.options).status == "installed"
    run_killed(world, moment, action="rollback")
    assert recover(world.plan.target)
    assert listing(world.venv) == before
    assert world.imports("torch")


@pytest.mark.parametrize("first", ["install", "verify"])
def test_undoing_a_killed_install_may_be_killed_too(world: World, first: str) -> None:
    before = listing(world.venv)
    run_killed(world, first)
    run_killed(world, "put-back", action="rollback")
    assert recover(world.plan.target)
    assert listing(world.venv) == before
