"""kill -9 at points spread over the whole run of the real command; the next command brings a whole environment.

FAULT_POINTS says how many points (default 24; 200 takes a quarter of an hour). Each prints what the next command was.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
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

    def run_until(self, seconds: float | None) -> float:
        """Type the command, kill its process after some time (None: never), and give how long it ran."""
        child = self.person.starts("exllamav2", *GPU, "--installer", self._installer)
        start = time.perf_counter()
        try:
            child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
        return time.perf_counter() - start

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
            done = self.person.types("doctor", "--fix", "--yes", "--gpu", "RTX 3060", "--driver", "580.95.05")
            assert done.code == 0, done.out + done.err
            assert not was_open or "open-journal" in done.err + done.out
        if listing(self.world.venv) == self.before:
            return "" if command != "install" else "the old state, after an install"
        broken = what_is_broken(self.world, "torch", "exllamav2")
        if broken:
            return "; ".join(broken)
        versions = self.world.versions()
        return "" if versions | NEW == versions and command != "rollback" else f"neither state: {versions}"


@pytest.fixture(params=["pip", "uv"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, mirror: Mirror) -> Iterator[Bench]:
    person = make_person(tmp_path, mirror)
    person.world.pip("install", "--quiet", "torch")
    assert person.world.versions()["torch"] == WRONG_TORCH
    made = Bench(person, request.param)
    assert what_is_broken(made.world, "torch") == []
    yield made


def test_the_next_command_brings_a_whole_environment(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    whole_run_s = bench.run_until(None)
    points = POINTS // 2  # for each of the two installers
    failures, killed_in = [], Counter[str]()
    for number in range(points):
        bench.start_over()
        bench.run_until(whole_run_s * (number + 0.5) / points)
        journals = open_journals(bench.world.plan.target)
        killed_in[journals[0].step or "begun" if journals else "outside of the change"] += 1
        command = NEXT_COMMANDS[number % len(NEXT_COMMANDS)]
        problem = bench.go_on(command)
        if problem:
            failures.append(f"point {number} of {points}, then {command}: {problem}")
    with capsys.disabled():
        print(f"\n{points} points tried, {points - len(failures)} whole after; killed in: {dict(killed_in)}")
    assert not failures
