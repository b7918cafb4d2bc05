"""`catalogue refresh` as somebody types it, and the plans that follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pascal_install.cli.main import main
from support.device_code import pack_wheel
from support.environments import clean_environ
from support.mirror import Mirror
from support.refreshing import EXTENSION, LINUX, TORCH, device_library, release_row, sha256

GPU = ["--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--platform", "linux_x86_64", "--python-version", "3.12"]


class Person:
    """Types commands; their own catalogue lies over ours by itself."""

    def __init__(self, root: Path, mirror: Mirror, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = root / "config"
        self.capsys = capsys
        self.environ = clean_environ() | {
            "XDG_CONFIG_HOME": str(self.config),
            "PASCAL_INSTALL_CACHE_DIR": str(root / "cache"),
            "PIP_INDEX_URL": mirror.pypi_url,
            "PIP_CONFIG_FILE": str(root / "no-pip.conf"),
            "PASCAL_INSTALL_MIRROR": ";".join(f"{real}={played}" for real, played in mirror.mirrors),
        }

    def types(self, *words: str) -> tuple[int, str, str]:
        code = main(list(words), self.environ)
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def gets(self, *words: str) -> dict[str, Any]:
        code, out, err = self.types(*words, "--format", "json")
        assert code == 0, err
        document: dict[str, Any] = json.loads(out)
        return document


@pytest.fixture
def person(tmp_path: Path, mirror: Mirror, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(tmp_path, mirror, capsys)


def has_catalogue(folder: Path, digest: str, checked: str = "2026-01-02") -> Path:
    """Write a catalogue whose torch is known to PyPI only, with one recorded build."""
    row = release_row("2.6.0", "cu124", "pypi", [f'tag = "{LINUX}", sha256 = "{digest}"'])
    path = folder / "packages" / "newtorch.toml"
    path.parent.mkdir(parents=True)
    text = (TORCH + row).replace('"torch"', '"newtorch"').replace('checked = "2026-01-02"', f'checked = "{checked}"')
    path.write_text(text.replace('role = "newtorch"', 'role = "cuda"'), encoding="utf-8")
    return path


def published(mirror: Mirror, version: str, variant: str) -> bytes:

    info = f"newtorch-{version}.dist-info/METADATA"
    wheel = pack_wheel(
        {
            "torch/version.py": f"__version__ = '{version}+{variant}'\ncuda = '12.6'\n".encode(),
            "torch/lib/libtorch_cuda.so": device_library(60, 70),
            info: f"Metadata-Version: 2.1\nName: newtorch\nVersion: {version}\n".encode(),
        }
    )
    mirror.add_pypi(f"newtorch-{version}-{LINUX}.whl", wheel)
    return wheel


def test_a_dry_run_shows_and_the_next_plan_uses_what_was_written(person: Person, mirror: Mirror) -> None:
    folder = person.config / "pascal-install" / "catalogue"
    path = has_catalogue(folder, sha256(published(mirror, "2.6.0", "cu126")))
    published(mirror, "2.7.0", "cu126")
    before = path.read_bytes()
    words = ("catalogue", "refresh", "newtorch", "--index", "pypi")
    code, out, _ = person.types(*words, "--dry-run")
    assert (code, path.read_bytes()) == (0, before)
    assert "+ 2.7.0 cu126 linux x86_64 (pypi): sm_60 sm_70, read from the wheel" in out
    assert person.gets("plan", "newtorch", *GPU)["pins"][0]["version"] == "2.6.0"

    document = person.gets(*words)
    assert [one["version"] for one in document["packages"][0]["new"]] == ["2.7.0"]
    assert document["written"] == [str(path)]
    assert person.gets("plan", "newtorch", *GPU)["pins"][0]["version"] == "2.7.0"
    code, out, _ = person.types(*words)
    assert (code, "nothing new" in out, "wrote" in out) == (0, True, False)


def test_another_hash_is_exit_9_with_the_facts(person: Person, mirror: Mirror) -> None:
    path = has_catalogue(person.config / "pascal-install" / "catalogue", "ab" * 32)
    published(mirror, "2.6.0", "cu126")
    before = path.read_bytes()
    words = ("catalogue", "refresh", "newtorch", "--index", "pypi")
    code, out, err = person.types(*words)
    assert (code, path.read_bytes()) == (9, before)
    assert "! 2.6.0" in out
    assert f"newtorch-2.6.0-{LINUX}.whl: recorded sha256 {'ab' * 32}" in err
    code, out, _ = person.types(*words, "--format", "json")
    document = json.loads(out)
    assert (code, document["error"]["code"], document["written"]) == (9, 9, [])
    assert len(document["packages"][0]["alarm"]) == 1


def test_an_index_that_cannot_be_read_is_exit_7(person: Person, mirror: Mirror) -> None:
    path = has_catalogue(person.config / "pascal-install" / "catalogue", "ab" * 32)
    before = path.read_bytes()
    mirror.fault("404", "*/simple/newtorch/", times=None)
    code, _, err = person.types("catalogue", "refresh", "newtorch", "--index", "pypi")
    assert (code, path.read_bytes()) == (7, before)
    assert "error: could not be read: pypi\ncause: pypi (newtorch): " in err
    assert "hint:  nothing was written" in err


def test_what_could_be_read_is_taken_over_and_the_rest_is_named(person: Person, mirror: Mirror) -> None:
    """PyTorch's page and GitHub are unreachable, the index that plays PyPI is not."""
    folder = person.config / "pascal-install" / "catalogue"
    path = has_catalogue(folder, sha256(published(mirror, "2.6.0", "cu126")))
    published(mirror, "2.7.0", "cu126")
    other = folder / "packages" / "exllamav2.toml"
    other.write_text(EXTENSION, encoding="utf-8")
    for pattern in ("download.pytorch.org/*", "api.github.com/*"):
        mirror.fault("reset", pattern, times=None)
    code, out, err = person.types("catalogue", "refresh", "newtorch", "exllamav2", "--format", "json")
    document = json.loads(out)
    torch, extension = document["packages"]
    assert (code, document["error"]["code"], document["error"]["rule"]) == (7, 7, "not-reachable")
    assert ([one["id"] for one in torch["indexes"]], [one["id"] for one in torch["failed"]]) == (["pypi"], ["pytorch"])
    assert (extension["indexes"], [one["rule"] for one in extension["failed"]]) == ([], ["not-reachable"])
    assert [one["version"] for one in torch["new"]] == ["2.7.0"]
    assert document["written"] == [str(path)]
    written = path.read_text(encoding="utf-8")
    assert ('version = "2.7.0"' in written, 'checked = "2026-01-02"' in written) == (True, True)
    assert other.read_text(encoding="utf-8") == EXTENSION
    assert "could not be read: pytorch, github" in err
    assert "nothing of it changes; the other indexes were read" in err


def test_a_host_that_does_not_answer_is_waited_for_once(person: Person, mirror: Mirror) -> None:
    folder = person.config / "pascal-install" / "catalogue" / "packages"
    folder.mkdir(parents=True)
    for name in ("first", "second"):
        (folder / f"{name}.toml").write_text(EXTENSION.replace('"exllamav2"', f'"{name}"'), encoding="utf-8")
    mirror.fault("reset", "api.github.com/*", times=None)
    code, out, err = person.types("catalogue", "refresh", "first", "second")
    once = len(mirror.requests)
    assert (code, out.count("github could not be read"), "github (first, second): " in err) == (7, 2, True)
    mirror.forget()
    assert person.types("catalogue", "refresh", "first")[0] == 7
    assert len(mirror.requests) == once


@pytest.mark.parametrize(
    "words",
    [
        ("catalogue", "refresh", "no-such-package"),
        ("catalogue", "refresh", "torch", "--write-source", "--catalogue", "x"),
    ],
)
def test_what_cannot_be_asked_is_exit_2(person: Person, words: tuple[str, ...]) -> None:
    assert person.types(*words)[0] == 2


def test_a_plan_tells_the_age_of_its_data_in_one_line(person: Person, mirror: Mirror) -> None:
    del mirror
    folder = person.config / "pascal-install" / "catalogue"
    path = has_catalogue(folder, "ab" * 32, checked="2020-02-03")
    notes = person.gets("plan", "newtorch", *GPU)["notes"]
    assert [note for note in notes if "2020-02-03" in note] == [
        "newtorch: last looked up on 2020-02-03; `pascal-install catalogue refresh` finds what is newer"
    ]
    path.write_text(path.read_text(encoding="utf-8").replace("2020-02-03", "2999-01-01"), encoding="utf-8")
    assert not [note for note in person.gets("plan", "newtorch", *GPU)["notes"] if "last looked up" in note]


def test_our_own_files_say_when_they_were_checked(person: Person) -> None:
    from pascal_install.catalogue.load import load, package_names

    cache = person.environ["PASCAL_INSTALL_CACHE_DIR"]
    names = package_names(cache_dir=cache)
    found = load(names, "linux", "x86_64", cache_dir=cache).packages
    assert [name for name, package in found.items() if not package.checked] == []
