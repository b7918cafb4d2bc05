"""`catalogue check --urls`: hosts on loopback that have some of the files, and some not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pascal_install.catalogue.checking.urls import Answers, check_urls
from pascal_install.catalogue.decode import decode
from pascal_install.cli.main import main
from pascal_install.errors import NetworkError
from pascal_install.fetch import Fetcher
from support.catalogue_files import documented_files, write_catalogue
from support.mirror import Mirror
from support.wheels import make_wheel

FILE = """\
schema = 1
name = "ours"
import_name = "ours"
role = "cuda"
data_date = "2026-11-23"

[[index]]
id = "github"
file = "https://github.com/us/ours/releases/download/{{tag}}/{{filename}}"

[[index]]
id = "pypi"

[[release]]
version = "1.0+cu124"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "github"
tag = "v1.0"
architectures = ["sm_61"]
confidence = "binary"
source = "our own build"
wheels = [
{wheels}
]

[[release]]
version = "1.0"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pypi"
architectures = ["sm_61"]
confidence = "binary"
source = "our own build"
wheels = [
  {{tag = "cp312-cp312-manylinux2014_x86_64", sha256 = "{sha256}"}},
]
"""
LINUX = "linux_x86_64"


class Shop:
    """The release page of a repository and an index, with a catalogue of what they should have."""

    def __init__(self, mirror: Mirror, folder: Path) -> None:
        self.mirror = mirror
        self.folder = folder
        self.rows: list[str] = []
        self.sha256 = "0" * 64

    def has(self, python: str, more: str = "") -> None:
        """Publish a wheel, and tell the catalogue of it."""
        tag = f"{python}-{python}-{LINUX}"
        content = make_wheel("ours", "1.0+cu124", tag)
        self.mirror.add_release("us/ours", "v1.0", f"ours-1.0+cu124-{tag}.whl", content)
        self.lists(python, more or f", size = {len(content)}")

    def lists(self, python: str, more: str = "") -> None:
        """Tell the catalogue of a wheel."""
        self.rows.append(f'  {{tag = "{python}-{python}-{LINUX}"{more}}},')

    def has_on_pypi(self) -> None:
        content = make_wheel("ours", "1.0", "cp312-cp312-manylinux2014_x86_64")
        self.mirror.add_pypi("ours-1.0-cp312-cp312-manylinux2014_x86_64.whl", content)
        self.sha256 = hashlib.sha256(content).hexdigest()

    def write(self) -> str:
        text = FILE.format(wheels="\n".join(self.rows), sha256=self.sha256)
        cuda = documented_files()["cuda.toml"]
        return str(write_catalogue(self.folder, {"packages/ours.toml": text, "cuda.toml": cuda}))


@pytest.fixture
def shop(mirror: Mirror, tmp_path: Path) -> Shop:
    return Shop(mirror, tmp_path / "own")


@pytest.fixture
def check(shop: Shop, tmp_path: Path) -> Callable[..., int]:
    def run(*options: str) -> int:
        environ = {**os.environ, "PIP_INDEX_URL": shop.mirror.pypi_url, "PASCAL_INSTALL_CACHE_DIR": str(tmp_path / "c")}
        folder = shop.write()
        return main(["catalogue", "check", "--urls", "--catalogue", folder, *shop.mirror.options, *options], environ)

    return run


def test_all_is_where_the_catalogue_says(
    shop: Shop, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.has("cp311")
    shop.has("cp312")
    shop.has_on_pypi()
    assert check() == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["PyPI", "1", "0", "0", "0"] in lines
    assert ["github.com", "2", "0", "0", "0"] in lines
    assert not shop.mirror.bodies()


def test_what_is_gone_is_told_and_ends_with_9(
    shop: Shop, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.has("cp311")
    shop.lists("cp312")
    shop.has("cp313", ", size = 5")
    assert check("--format", "json", "--quiet") == 9
    found = {one["filename"]: one for one in json.loads(capsys.readouterr().out)["urls"]}
    assert found[f"ours-1.0+cu124-cp312-cp312-{LINUX}.whl"]["state"] == "gone"
    assert found[f"ours-1.0+cu124-cp313-cp313-{LINUX}.whl"]["state"] == "other-size"
    assert found["ours-1.0-cp312-cp312-manylinux2014_x86_64.whl"]["state"] == "gone"
    assert len(found) == 3


def test_another_file_of_that_name_on_the_index_is_told(
    shop: Shop, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.has_on_pypi()
    shop.sha256 = "1" * 64
    assert check() == 9
    assert "listed with another hash" in capsys.readouterr().out


def test_a_file_that_nobody_believed_in_may_be_missing(
    shop: Shop, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.has_on_pypi()
    shop.lists("cp312", ', existence = "matrix"')
    assert check("--verbose") == 0
    assert "matrix" in capsys.readouterr().out


def test_answers_are_kept(shop: Shop, check: Callable[..., int]) -> None:
    shop.has_on_pypi()
    shop.has("cp311")
    shop.lists("cp312", ', existence = "matrix"')
    assert check() == 0
    shop.mirror.forget()
    assert check() == 0
    assert {one.host for one in shop.mirror.requests} == {"pypi.test"}


def test_without_a_network_it_ends_with_7(
    shop: Shop, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.has("cp311")
    assert check("--offline") == 7
    said = capsys.readouterr().out
    assert "not asked  github.com:" in said
    assert "not asked  PyPI:" in said


def ask(shop: Shop, cache: Path, fetcher: Fetcher, clock: float = 1000.0) -> dict[str, str]:
    def no_index(name: str) -> list[tuple[str, str, str]]:
        raise NetworkError(f"no page of {name} here", code="not-found")

    packages = decode(shop.write()).packages.values()
    answers = Answers(str(cache), lambda: clock)
    files = check_urls(packages, fetcher, no_index, answers, lambda *_: None, workers=1)
    return {file.filename.split("-")[2]: file.state for file in files if file.host != "PyPI"}


def test_a_host_that_does_not_answer_is_asked_once(shop: Shop, tmp_path: Path) -> None:
    for python in ("cp310", "cp311", "cp312"):
        shop.has(python)
    shop.mirror.fault("503", "github.com/*", times=None)
    fetcher = Fetcher(mirrors=shop.mirror.mirrors, deadline_s=0.2, pause_s=0.05)
    assert set(ask(shop, tmp_path, fetcher).values()) == {"unasked"}
    assert len({one.path for one in shop.mirror.requests}) == 1
    shop.mirror.mend()
    assert ask(shop, tmp_path, fetcher) == {"cp310": "there", "cp311": "there", "cp312": "there"}


def test_it_goes_on_after_a_kill_and_old_answers_are_asked_again(shop: Shop, tmp_path: Path) -> None:
    shop.has("cp310")
    shop.has("cp311")
    fetcher = Fetcher(mirrors=shop.mirror.mirrors, pause_s=0.05)
    ask(shop, tmp_path, fetcher)
    path = tmp_path / "urls-1.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{lines[0]}\n{lines[1][:20]}", encoding="utf-8")
    shop.mirror.forget()
    assert ask(shop, tmp_path, fetcher) == {"cp310": "there", "cp311": "there"}
    assert len({one.path for one in shop.mirror.requests if one.host == "github.com"}) == 1
    shop.mirror.forget()
    ask(shop, tmp_path, fetcher, clock=1000.0 + 8 * 24 * 3600)
    assert len({one.path for one in shop.mirror.requests if one.host == "github.com"}) == 2
