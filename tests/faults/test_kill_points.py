"""kill -9 at points spread over the whole run of the real command; the next command brings a whole environment.

FAULT_POINTS says how many points (default 24; 200 take half an hour). The summary of the run tells what became of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pascal_install.installation.journal import open_journals
from support.installs import WRONG_TORCH, listing
from support.mirror import Mirror
from support.person import GPU, Person, make_person
from support.wholeness import what_is_broken

POINTS = int(os.environ.get("FAULT_POINTS", "24"))
NEXT_COMMANDS = ("install", "rollback", "doctor")
NEW = {"torch": "2.6.0+cu124", "exllamav2": "0.3.2+cu124.torch2.6.0"}

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL"),
    pytest.mark.skipif(not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 has wheels for 3.10 to 3.13"),
]


class Bench:
    """An environment that is brought back to its old state before each point."""

    def __init__(self, person: Person, installer: str) -> None:
        self.person = person
        self.world = person.world
        self._installer = installer
        self._saved = self.world.root / "saved"
        self._cache = self.world.root / "cache"
        shutil.copytree(self.world.venv, self._saved, symlinks=True)
        self.before = listing(self.world.venv)

    def start_over(self) -> None:
        shutil.rmtree(self.world.venv)
        shutil.copytree(self._saved, self.world.venv, symlinks=True)
        shutil.rmtree(self._cache, ignore_errors=True)

    def run(self) -> tuple[float, float]:
        """Type the command and let it end; give its seconds until the change begins, and those of the change."""
        child = self._start()
        start = time.perf_counter()
        self._wait_for_change(child)
        changing = time.perf_counter()
        child.communicate(timeout=180)
        assert child.returncode == 0
        return changing - start, time.perf_counter() - changing

    def run_killed(self, seconds: float, *, in_change: bool) -> None:
        """Type the command, and kill its process some time after it started, or after the change began."""
        child = self._start()
        if in_change:
            self._wait_for_change(child)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
        child.send_signal(signal.SIGKILL)
        child.communicate()

    def _start(self) -> subprocess.Popen[str]:
        return self.person.starts("exllamav2", *GPU, "--installer", self._installer)

    @staticmethod
    def _wait_for_change(child: subprocess.Popen[str]) -> None:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("setting aside"):
                return
        raise AssertionError("the change never began")

    def go_on(self, command: str) -> str:
        """Type the next command; tell which of the two states it brought, or what is wrong."""
        was_open = bool(open_journals(self.world.plan.target))
        if command == "install":
            done = self.person.types("exllamav2", *GPU, "--installer", self._installer)
            assert done.code == 0, done.err
        elif command == "rollback":
            done = self.person.types("rollback")
            assert done.code in (0, 5), done.err  # 5: nothing had begun
        else:
            # What the old state holds is wrong for the GPU, so doctor is asked about another one, which it serves.
            done = self.person.types("doctor", "--gpu", "RTX 3060", "--driver", "580.95.05")
            assert done.code == (10 if was_open else 0), done.out + done.err
            assert was_open == ("open-journal" in done.out)
        if listing(self.world.venv) == self.before:
            return "" if command != "install" else "the old state, after an install"
        broken = what_is_broken(self.world, "torch", "exllamav2")
        if broken:
            return "; ".join(broken)
        versions = self.world.versions()
        return "" if versions | NEW == versions and command != "rollback" else f"neither state: {versions}"


@pytest.fixture(params=["pip", "uv"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, mirror: Mirror) -> Bench:
    person = make_person(tmp_path, mirror)
    person.world.pip("install", "--quiet", "torch")
    assert person.world.versions()["torch"] == WRONG_TORCH
    made = Bench(person, request.param)
    assert what_is_broken(made.world, "torch") == []
    return made


def test_the_next_command_brings_a_whole_environment(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    before_s, change_s = bench.run()
    points = POINTS // 2  # for each of the two installers; a third of them before the change
    early = points // 3
    failures, killed_in = [], Counter[str]()
    for number in range(points):
        bench.start_over()
        if number < early:
            bench.run_killed(before_s * (number + 0.5) / early, in_change=False)
        else:
            bench.run_killed(change_s * (number - early) / (points - early), in_change=True)
        journals = open_journals(bench.world.plan.target)
        killed_in[journals[0].step or "begun" if journals else "outside of the change"] += 1
        command = NEXT_COMMANDS[number % len(NEXT_COMMANDS)]
        problem = bench.go_on(command)
        if problem:
            failures.append(f"point {number} of {points}, then {command}: {problem}")
    record_property(
        "told", f"{points} points tried, {points - len(failures)} whole after; killed in: {dict(killed_in)}"
    )
    assert not failures
