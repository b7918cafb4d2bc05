"""`lock`, `download`, `install --from` and `--wheelhouse` as a person types them, against hosts on loopback."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.device_code import asset
from support.installs import TAG, fresh_venv, listing
from support.mirror import Mirror
from support.person import GPU, Person, make_person
from support.wheels import make_torch_stub, wheel_filename

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    return make_person(tmp_path, mirror)


def lock_of(person: Person, *words: str) -> Path:
    """Type `lock` and give the file."""
    path = person.world.root / "pylock.toml"
    done = person.types("lock", *(words or ("exllamav2",)), *GPU, "-o", str(path))
    assert done.code == 0, done.err
    return path


def house_of(person: Person) -> Path:
    """Type `download` and give the folder."""
    house = person.world.root / "house"
    done = person.types("download", "exllamav2", *GPU, "-d", str(house))
    assert done.code == 0, done.err
    assert "26 wheels" in done.out
    return house


def test_a_lock_is_the_same_each_time_and_installs_elsewhere(person: Person) -> None:
    path = lock_of(person)
    text = path.read_text()
    again = person.types("plan", "exllamav2", *GPU, "--format", "pylock")
    assert again.out == text
    assert "no hash is published for this file" in again.err
    assert text.count('hash-source = "first-use"') == 1
    planned = person.types("plan", "--from", str(path), *GPU)
    assert planned.code == 0, planned.err
    assert "2.6.0+cu124" in planned.out
    done = person.types("install", "--from", str(path), *GPU)
    assert done.code == 0, done.err
    assert "installed: " in done.out
    assert person.world.imports("torch", "exllamav2")
    assert person.types("install", "--from", str(path), *GPU).out.startswith("in place")
    assert person.types("rollback").code == 0
    assert "torch" not in person.world.versions()


def test_a_lock_that_does_not_fit_changes_nothing(person: Person) -> None:
    path = lock_of(person)
    before = listing(person.world.venv)
    too_new = person.types("install", "--from", str(path), "--gpu", "12.0", "--driver", "580.95.05")
    assert too_new.code == 3
    assert "torch 2.6.0+cu124: needs code for sm_120" in too_new.err
    too_old = person.types("install", "--from", str(path), "--gpu", "6.1", "--driver", "470.256.02")
    assert too_old.code == 3
    assert "driver 525.60.13 or newer" in too_old.err
    other = person.types("plan", "--from", str(path), *GPU, "--python-version", "3.9", "--platform", "linux_x86_64")
    assert other.code == 3
    assert "is not for Python 3.9" in other.err
    assert listing(person.world.venv) == before


def test_one_lock_serves_several_gpus(person: Person) -> None:
    path = lock_of(person, "exllamav2", "--gpu", "8.6")
    found = tomllib.loads(path.read_text())
    assert found["tool"]["pascal-install"]["gpus"] == ["6.1", "8.6"]
    assert person.types("plan", "--from", str(path), "--gpu", "8.6", "--driver", "580.95.05").code == 0
    none = person.types("lock", "exllamav2", *GPU, "--gpu", "12.0", "-o", str(path.with_name("pylock.none.toml")))
    assert none.code == 3
    assert not path.with_name("pylock.none.toml").exists()


@pytest.mark.parametrize("tool", ["pip", "uv install", "uv sync"])
def test_the_newest_pip_and_uv_install_from_it(person: Person, tool: str) -> None:
    path = lock_of(person)
    world = person.world
    uv = [sys.executable, "-m", "uv", "pip"]
    commands = {
        "pip": [sys.executable, "-m", "pip", "--python", str(world.python), "install", "--no-deps", "-r", str(path)],
        "uv install": [*uv, "install", "--python", str(world.python), "--preview", "-r", str(path)],
        "uv sync": [*uv, "sync", "--python", str(world.python), "--preview", str(path)],
    }
    done = subprocess.run(commands[tool], check=False, capture_output=True, text=True, env=world.environ)
    assert done.returncode == 0, done.stderr
    assert world.imports("torch", "exllamav2")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('lock-version = "1.0"', 'lock-version = "9.9"', "version 9.9"),
        ('name = "torch"', 'name = "--index-url"', "name"),
        ('url = "http://', 'url = "file:///etc/', "'file'"),
        ('url = "http://', 'url = "git+ssh://', "git+ssh"),
        ("sha256", "md5", "no sha256"),
    ],
)
def test_a_malformed_or_hostile_lock_is_exit_6(person: Person, old: str, new: str, said: str) -> None:
    path = lock_of(person)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    before = listing(person.world.venv)
    done = person.types("install", "--from", str(path), *GPU)
    assert done.code == 6, done.err
    assert said in done.err
    assert listing(person.world.venv) == before


def test_a_recorded_wheel_with_another_hash_is_exit_9(person: Person) -> None:
    path = lock_of(person)
    text = path.read_text()
    wheel = re.search(r'torch-2\.6\.0.*?sha256 = "([0-9a-f]{64})"', text, re.DOTALL)
    assert wheel is not None
    path.write_text(text.replace(wheel[1], "0" * 64))
    done = person.types("install", "--from", str(path), *GPU)
    assert done.code == 9, done.err
    assert "is not the file that is recorded" in done.err


def test_a_file_that_changed_since_its_first_use_is_exit_9(person: Person) -> None:
    path = lock_of(person)
    text = path.read_text()
    wheel = re.search(r'exllamav2-0\.3\.2.*?sha256 = "([0-9a-f]{64})"', text, re.DOTALL)
    assert wheel is not None
    path.write_text(text.replace(wheel[1], "0" * 64))
    person.forgets()
    done = person.types("lock", "exllamav2", *GPU, "-o", str(path))
    assert done.code == 9, done.err
    assert "exllamav2-0.3.2" in done.err


def test_a_wheelhouse_installs_on_a_machine_without_a_network(person: Person) -> None:
    house = house_of(person)
    person.world.mirror.close()
    person.forgets()
    for words in (("--wheelhouse", str(house)), ("exllamav2", "--offline", "--wheelhouse", str(house))):
        python = fresh_venv(person.world.root / f"venv-{len(words)}")
        person.moves_to(python)
        done = person.types("install", *words, *GPU)
        assert done.code == 0, done.err
        assert "verified: torch, exllamav2 import" in done.out
        assert person.world._replace(python=python).imports("torch", "exllamav2")
    absent = person.types("install", "torchvision", "--wheelhouse", str(house), *GPU)
    assert absent.code == 3
    assert "torchvision: not in it" in absent.err


def test_pip_installs_from_the_requirements_of_a_wheelhouse(person: Person) -> None:
    house = house_of(person)
    person.world.mirror.close()
    options = ("--no-index", "--find-links", str(house), "--require-hashes", "-r", str(house / "requirements.txt"))
    person.world.pip("install", *options)
    assert person.world.imports("torch", "exllamav2")


def test_a_missing_file_is_named_and_a_changed_one_is_exit_9(person: Person) -> None:
    house = house_of(person)
    numpy = next(house.glob("numpy*"))
    content = numpy.read_bytes()
    before = listing(person.world.venv)
    numpy.write_bytes(content + b"x")
    changed = person.types("install", "--wheelhouse", str(house), *GPU)
    assert changed.code == 9, changed.err
    assert numpy.name in changed.err
    numpy.unlink()
    missing = person.types("install", "--wheelhouse", str(house), *GPU)
    assert missing.code == 6, missing.err
    assert numpy.name in missing.err
    assert listing(person.world.venv) == before
    nowhere = person.types("install", "--wheelhouse", str(house / "none"), *GPU)
    assert nowhere.code == 6
    assert "cannot read the lock" in nowhere.err


FOREIGN = """\
lock-version = "1.0"
created-by = "another tool"

[[packages]]
name = "torch"
version = "2.98.0"
wheels = [{{name = "{name}", url = "{url}", hashes = {{sha256 = "{sha256}"}}}}]

[[packages]]
name = "only-elsewhere"
version = "1.0"
marker = "sys_platform == 'plan9'"
vcs = {{type = "git", url = "https://example.org/x.git", commit-id = "0"}}
"""


def test_a_torch_that_only_a_foreign_lock_names_is_read_before_anything_changes(person: Person) -> None:
    name = wheel_filename("torch", "2.98.0", TAG)
    files = {"torch/lib/libtorch_cuda.so": asset("libpascal.so")}
    wheel = make_torch_stub("2.98.0", "cu124", TAG, ("sm_61",), requires=(), files=files)
    url = person.world.mirror.add_wheel("whl/cu124", name, wheel)
    path = person.world.root / "pylock.toml"
    path.write_text(FOREIGN.format(name=name, url=url, sha256=hashlib.sha256(wheel).hexdigest()))
    before = listing(person.world.venv)
    refused = person.types("install", "--from", str(path), "--gpu", "5.2", "--driver", "580.95.05")
    assert refused.code == 3, refused.err
    assert "5.2: not read yet" in refused.err
    assert "torch 2.98.0: needs code for sm_52" in refused.err
    assert listing(person.world.venv) == before
    done = person.types("install", "--from", str(path), *GPU)
    assert done.code == 0, done.err
    assert person.world.versions()["torch"] == "2.98.0"
