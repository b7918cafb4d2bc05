"""The network fails in every way that it has: the real command says so, and the environment is as it was, or whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.installs import TAG, WRONG_TORCH, listing
from support.mirror import GITHUB, PYTORCH, PYTORCH_CDN, Mirror
from support.mirror_server import GITHUB_CDN
from support.person import GPU, Person, make_person
from support.wheels import wheel_filename
from support.wholeness import what_is_broken

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)

NETWORK, VERIFICATION = 7, 9
TORCH = wheel_filename("torch", "2.6.0+cu124", TAG)
EXTENSION = wheel_filename("exllamav2", "0.3.2+cu124.torch2.6.0", TAG)

#: Where it happens: the wheel of torch on both of its hosts, the release, a dependency, an index page of each index.
TORCH_WHEEL = (f"{PYTORCH}/*{TORCH}", f"{PYTORCH_CDN}/*{TORCH}")
RELEASE = (f"{GITHUB}/*{EXTENSION}", f"{GITHUB_CDN}/*")
DEPENDENCY = ("pypi.test/packages/*/filelock-1.0*.whl",)
TORCH_PAGE = (f"{PYTORCH}/whl/cu124/nvidia-cudnn-cu12/",)
OWN_PAGE = ("pypi.test/simple/filelock/",)


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    made = make_person(tmp_path, mirror)
    made.world.pip("install", "--quiet", "torch")
    assert made.world.versions()["torch"] == WRONG_TORCH
    made.sets("PIP_RETRIES", "0")
    return made


@pytest.mark.parametrize("place", [TORCH_WHEEL, RELEASE, DEPENDENCY, TORCH_PAGE, OWN_PAGE])
@pytest.mark.parametrize("fault", ["login-page", "redirect-loop", "500"])
def test_a_fault_that_stays_changes_nothing(person: Person, fault: str, place: tuple[str, ...]) -> None:
    before = listing(person.world.venv)
    for pattern in place:
        person.world.mirror.fault(fault, pattern, times=None)
    done = person.types("exllamav2", *GPU)
    assert done.code == NETWORK, done.err
    assert "No matching distribution" not in done.err
    assert "Traceback" not in done.err
    assert listing(person.world.venv) == before
    person.world.mirror.mend()
    assert person.types("exllamav2", *GPU).code == 0
    assert what_is_broken(person.world, "torch", "exllamav2") == []


@pytest.mark.parametrize("fault", ["cut", "cut-unannounced", "reset", "503"])
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_fault_that_passes_is_got_over(person: Person, fault: str, installer: str) -> None:
    for pattern in (*TORCH_WHEEL, *DEPENDENCY):
        person.world.mirror.fault(fault, pattern, times=1, methods=("GET",))
    done = person.types("exllamav2", *GPU, "--installer", installer)
    assert done.code == 0, done.err
    assert what_is_broken(person.world, "torch", "exllamav2") == []


@pytest.mark.parametrize("place", [TORCH_WHEEL, DEPENDENCY])
def test_a_file_that_is_always_cut_changes_nothing(person: Person, place: tuple[str, ...]) -> None:
    before = listing(person.world.venv)
    for pattern in place:
        person.world.mirror.fault("cut", pattern, times=None, methods=("GET",))
    done = person.types("exllamav2", *GPU)
    assert done.code == NETWORK, done.err
    assert listing(person.world.venv) == before


@pytest.mark.parametrize("place", [TORCH_WHEEL, DEPENDENCY])
def test_a_changed_byte_is_found_before_anything_changes(person: Person, place: tuple[str, ...]) -> None:
    before = listing(person.world.venv)
    for pattern in place:
        person.world.mirror.fault("flip", pattern, times=None, methods=("GET",))
    done = person.types("exllamav2", *GPU)
    assert done.code == VERIFICATION, done.err
    assert "sha256" in done.err
    assert listing(person.world.venv) == before


def test_a_slow_index_is_waited_for(person: Person) -> None:
    for pattern in (*TORCH_PAGE, *OWN_PAGE, *TORCH_WHEEL):
        person.world.mirror.fault("slow", pattern, times=None)
    done = person.types("exllamav2", *GPU)
    assert done.code == 0, done.err
    assert what_is_broken(person.world, "torch", "exllamav2") == []
