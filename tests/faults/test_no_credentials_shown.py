"""Passwords in index URLs, mirrors, netrc and proxies: they work; no output, journal, lock, log or cache has them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.mirror import GITHUB, PYTORCH, Mirror
from support.person import GPU, Done, Person, make_person

SECRET = "s3cret-P4ssw0rd"

pytestmark = pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 13), reason="exllamav2 0.3.2 has wheels for Python 3.10 to 3.13"
)


def with_login(url: str) -> str:
    return url.replace("://", f"://me:{SECRET}@", 1)


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror) -> Person:
    """Somebody whose index, and whose mirrors of PyTorch and GitHub, ask for a password."""
    made = make_person(tmp_path, mirror)
    mirror.require_login("pypi.test/*", "me", SECRET)
    mirror.require_login(f"{PYTORCH}/*", "me", SECRET)
    made.sets("PIP_INDEX_URL", with_login(mirror.pypi_url))
    mirrors = dict(mirror.mirrors)
    mirrors[f"https://{PYTORCH}"] = with_login(mirrors[f"https://{PYTORCH}"])
    made.sets("PASCAL_INSTALL_MIRROR", ";".join(f"{real}={played}" for real, played in mirrors.items()))
    return made


def leaks(person: Person, *done: Done) -> list[str]:
    """Name every place below the world, and every output, in which the secret stands."""
    found = [f"output {number}: {one.out}{one.err}" for number, one in enumerate(done) if SECRET in one.out + one.err]
    files = (path for path in person.world.root.rglob("*") if path.is_file() and not path.is_symlink())
    return [*found, *(str(path) for path in files if SECRET.encode() in path.read_bytes())]


def test_an_install_from_places_with_passwords(person: Person) -> None:
    plan = [person.types("plan", "exllamav2", *GPU, "--format", form) for form in ("text", "json", "requirements")]
    commands = person.types("plan", "exllamav2", *GPU, "--format", "commands")
    explained = person.types("explain", "exllamav2", *GPU)
    installed = person.types("exllamav2", *GPU, "--verbose", "--debug")
    assert installed.code == 0, installed.err
    told = person.types("doctor", *GPU, "--format", "json")
    back = person.types("rollback", "--verbose")
    assert back.code == 0, back.err
    assert leaks(person, *plan, commands, explained, installed, told, back) == []


def test_uv_fetches_from_places_with_passwords(person: Person) -> None:
    person.sets("UV_CACHE_DIR", str(person.world.root / "uv-cache"))
    installed = person.types("exllamav2", *GPU, "--installer", "uv", "--verbose", "--debug")
    assert installed.code == 0, installed.err
    assert "uv fetches into its cache" in installed.err
    assert "fetching the rest without it" not in installed.err
    assert list((person.world.root / "uv-cache").rglob("libcudnn.so"))
    assert not list((person.world.root / "cache").rglob("nvidia_*.whl"))
    assert leaks(person, installed) == []


@pytest.mark.parametrize("fault", ["403", "flip", "reset"])
def test_faults_while_uv_fetches(person: Person, fault: str) -> None:
    person.sets("UV_CACHE_DIR", str(person.world.root / "uv-cache"))
    person.world.mirror.fault(fault, "*/nvidia_cudnn*.whl", times=None, methods=("GET",))
    done = person.types("exllamav2", *GPU, "--installer", "uv", "--verbose", "--debug")
    assert done.code == (9 if fault == "flip" else 7), done.err
    assert "fetching the rest without it" in done.err
    assert leaks(person, done) == []


def test_locks_and_wheelhouses(person: Person) -> None:
    folder = person.world.root
    locked = person.types("lock", "exllamav2", *GPU, "-o", str(folder / "pylock.toml"))
    assert locked.code == 0, locked.err
    printed = person.types("plan", "exllamav2", *GPU, "--format", "pylock")
    stored = person.types("download", "exllamav2", *GPU, "-d", str(folder / "wheelhouse"))
    assert stored.code == 0, stored.err
    assert (folder / "wheelhouse/requirements.txt").is_file()
    assert leaks(person, locked, printed, stored) == []


@pytest.mark.parametrize("fault", ["401", "404", "500", "login-page", "reset"])
@pytest.mark.parametrize("place", ["pypi.test", PYTORCH])
def test_faults_of_those_places(person: Person, fault: str, place: str) -> None:
    person.sets("PIP_RETRIES", "0")
    person.world.mirror.fault(fault, f"{place}/*", times=None)
    done = person.types("exllamav2", *GPU, "--verbose", "--debug")
    assert done.code in (7, 8), done.err
    assert leaks(person, done) == []


def test_a_password_that_is_wrong(person: Person) -> None:
    person.sets("PIP_INDEX_URL", with_login(person.world.mirror.pypi_url).replace("me:", "you:"))
    done = person.types("exllamav2", *GPU, "--verbose", "--debug")
    assert done.code == 7, done.err
    assert leaks(person, done) == []


def test_netrc(person: Person) -> None:
    netrc = person.world.root.parent / "netrc-of-the-person"
    netrc.write_text(f"machine 127.0.0.1 login me password {SECRET}\n", encoding="utf-8")
    netrc.chmod(0o600)
    person.sets("NETRC", str(netrc))
    person.sets("PIP_INDEX_URL", person.world.mirror.pypi_url)
    person.sets("PASCAL_INSTALL_MIRROR", ";".join(f"{real}={played}" for real, played in person.world.mirror.mirrors))
    done = person.types("exllamav2", *GPU, "--verbose")
    assert done.code == 0, done.err
    assert leaks(person, done) == []


def test_a_proxy(person: Person) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        person.sets(name, f"http://me:{SECRET}@127.0.0.1:9")
    played = dict(person.world.mirror.mirrors)
    person.sets("PASCAL_INSTALL_MIRROR", f"https://{GITHUB}={played[f'https://{GITHUB}']}")
    done = person.types("exllamav2", *GPU, "--verbose", "--debug")
    assert done.code == 7, done.err
    assert leaks(person, done) == []


def test_options_that_cannot_be_read(person: Person) -> None:
    done = [
        person.types("plan", "exllamav2", *GPU, "--mirror", f"http://me:{SECRET}@host.example"),
        person.types("plan", f"exllamav2 @ https://me:{SECRET}@host.example/some.zip", *GPU),
        person.types("inspect", f"https://me:{SECRET}@127.0.0.1:9/some.whl"),
    ]
    assert all(one.code in (2, 7) for one in done), done
    assert leaks(person, *done) == []
