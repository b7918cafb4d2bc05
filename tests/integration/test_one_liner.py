"""`pascal-install exllamav2` as a person types it, against hosts on loopback: real pip, fresh environments, stubs.

The catalogue is the real one; an overlay gives the stub torch its hash.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.installs import ARCHITECTURES, TAG, World, listing, make_world, usual_torch
from support.mirror import PYTORCH, Mirror

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)

OVERLAY = """\
schema = 1
name = "torch"
import_name = "torch"
role = "torch"
data_date = "2026-11-23"
[sources]
[[index]]
id = "pytorch"
page = "https://download.pytorch.org/whl/{{variant}}"
file = "https://download.pytorch.org/whl/{{variant}}/{{quoted}}"
[[index]]
id = "pypi"
[[release]]
version = "2.6.0+cu124"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pytorch"
architectures = {architectures}
confidence = "binary"
source = "the stub of this test"
wheels = [{{tag = "{tag}", sha256 = "{sha256}"}}]
[[release]]
version = "2.6.0"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pypi"
architectures = {architectures}
confidence = "binary"
source = "the stub of this test"
wheels = [{{tag = "{pypi_tag}", sha256 = "{pypi_sha256}"}}]
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Person:
    """Types commands in the world's environment."""

    def __init__(self, world: World, overlay: Path) -> None:
        self.world = world
        self._environ = {
            **world.environ,
            "VIRTUAL_ENV": str(world.venv),
            "PASCAL_INSTALL_CATALOGUE": str(overlay),
            "PASCAL_INSTALL_CACHE_DIR": str(world.root / "cache"),
            "PASCAL_INSTALL_MIRROR": ";".join(f"{real}={played}" for real, played in world.mirror.mirrors),
        }

    def types(self, *words: str) -> Done:
        command = [sys.executable, "-m", "pascal_install", *words]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False, timeout=180)
        return Done(done.returncode, done.stdout, done.stderr)

    def gets(self, *words: str) -> dict[str, Any]:
        done = self.types(*words, "--format", "json")
        assert done.code == 0, done.err
        document: dict[str, Any] = json.loads(done.out)
        return document


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    from support.wheels import make_torch_stub, wheel_filename

    torch = usual_torch()
    world = make_world(tmp_path, mirror, torch=torch)
    pypi_tag = TAG.replace("linux_x86_64", "manylinux1_x86_64")
    pypi_torch = make_torch_stub("2.6.0", "cu124", pypi_tag, ARCHITECTURES, requires=("numpy",))
    mirror.add_pypi(wheel_filename("torch", "2.6.0", pypi_tag), pypi_torch)
    packages = tmp_path / "overlay" / "packages"
    packages.mkdir(parents=True)
    text = OVERLAY.format(
        architectures=json.dumps(ARCHITECTURES),
        tag=TAG,
        sha256=hashlib.sha256(torch).hexdigest(),
        pypi_tag=pypi_tag,
        pypi_sha256=hashlib.sha256(pypi_torch).hexdigest(),
    )
    (packages / "torch.toml").write_text(text, encoding="utf-8")
    return Person(world, packages.parent)


GPU = ("--gpu", "GTX 1080 Ti", "--driver", "580.95.05")


def test_the_one_liner_installs_shows_and_is_idempotent(person: Person) -> None:
    first = person.types("exllamav2", *GPU)
    assert first.code == 0, first.err
    assert "installed: torch 2.6.0+cu124, exllamav2 0.3.2+cu124.torch2.6.0" in first.out
    assert "GeForce GTX 1080 Ti (compute capability 6.1)" in first.err
    assert "+ torch 2.6.0+cu124" in first.err
    assert person.world.imports("torch", "exllamav2")
    before = listing(person.world.venv)
    person.world.mirror.forget()
    second = person.types("exllamav2", *GPU)
    assert second.code == 0
    assert second.out.startswith("in place")
    assert listing(person.world.venv) == before
    assert person.world.mirror.requests == ()


def test_a_dry_run_fetches_nothing_and_changes_nothing(person: Person) -> None:
    before = listing(person.world.venv)
    done = person.types("exllamav2", *GPU, "--dry-run")
    assert done.code == 0
    assert "2.6.0+cu124" in done.out
    assert listing(person.world.venv) == before
    assert person.world.mirror.requests == ()


def test_a_wheel_that_is_not_published_is_passed_over_in_the_open(person: Person) -> None:
    """Of 0.3.0 this Python's wheel is known from the workflow only: without it, the version before is taken."""
    from support.wheels import make_extension_stub, wheel_filename

    older = "0.2.9+cu124.torch2.6.0"
    wheel = make_extension_stub("exllamav2", older, TAG)
    mirror = person.world.mirror
    mirror.add_release("turboderp-org/exllamav2", "v0.2.9", wheel_filename("exllamav2", older, TAG), wheel)
    done = person.types("exllamav2<=0.3.0", *GPU)
    assert done.code == 0, done.err
    assert "not published after all" in done.err
    assert "exllamav2-0.3.0+cu124.torch2.6.0" in done.err.replace("%2B", "+")
    assert f"exllamav2 {older}" in done.out


def test_auto_takes_torch_from_pypi_where_pytorch_cannot_be_reached(person: Person) -> None:
    person.world.mirror.fault("500", f"*{PYTORCH}*", times=None)
    person.world.mirror.fault("500", "*download-r2*", times=None)
    done = person.types("exllamav2", *GPU, "--torch-source", "auto")
    assert done.code == 0, done.err
    assert "taking torch from PyPI" in done.err
    assert person.world.versions()["torch"] == "2.6.0"


def test_a_network_fault_is_exit_7_and_changes_nothing(person: Person) -> None:
    before = listing(person.world.venv)
    person.world.mirror.fault("403", f"*{PYTORCH}*", times=None)
    person.world.mirror.fault("403", "*download-r2*", times=None)
    done = person.types("exllamav2", *GPU)
    assert done.code == 7, done.err
    assert "403" in done.err
    assert listing(person.world.venv) == before


def test_rollback_brings_back_what_was_there(person: Person) -> None:
    before = person.world.versions()
    assert person.types("exllamav2", *GPU).code == 0
    listed = person.types("rollback", "--list")
    assert "torch 2.6.0+cu124 -> not installed" in listed.out
    assert person.types("rollback").code == 0
    assert person.world.versions() == before
    assert person.types("rollback").code == 5


def test_json_tells_what_changed(person: Person) -> None:
    done = person.gets("exllamav2", *GPU)
    assert done["outcome"]["status"] == "installed"
    changes = {change["name"]: change for change in done["outcome"]["changes"]}
    assert changes["torch"] == {"kind": "install", "name": "torch", "before": None, "after": "2.6.0+cu124"}
    assert done["outcome"]["verified"]["architectures"] == list(ARCHITECTURES)
