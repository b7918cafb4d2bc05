"""`pascal-install exllamav2` as a person types it, against hosts on loopback: real pip, fresh environments, stubs.

The catalogue is the real one; an overlay gives the stub torch its hash.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.installs import ARCHITECTURES, TAG, listing
from support.mirror import PYTORCH, Mirror
from support.person import GPU, Person, make_person
from support.real_names import make_certificate

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    return make_person(tmp_path, mirror)


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


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_modules_in_the_current_directory_are_not_run(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("pip", "torch", "exllamav2"):
        Path(f"{name}.py").write_text("open('RAN', 'w')\n", encoding="utf-8")
    person.sets("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    done = person.types("exllamav2", *GPU, "--installer", installer)
    assert done.code == 0, done.err
    assert not Path("RAN").exists()


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


def test_cert_counts_for_the_wheels_and_for_the_persons_index(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    with Mirror(certificate=str(certificate.server)) as server:
        person = make_person(tmp_path, server)
        before = listing(person.world.venv)
        refused = person.types("exllamav2", *GPU)
        assert refused.code == 7
        assert "the secure connection to 127.0.0.1" in refused.err
        assert "--cert" in refused.err
        assert listing(person.world.venv) == before
        done = person.types("exllamav2", *GPU, "--cert", str(certificate.bundle))
        assert done.code == 0, done.err
