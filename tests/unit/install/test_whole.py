"""The look at every file: what one process finds, two find, in each half; and what is whole is never in doubt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import support.looking
from pascal_install.installation.state import Distribution, problem, record
from pascal_install.installation.whole import checksum
from support.environments import clean_environ

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")

#: Sizes by name. The first two folders are the largest: each half gets one.
FILES = {
    **{f"torch/include/ops/{number}.h": number + 1 for number in range(6)},
    **{f"torch/lib/lib{number}.so": 4096 for number in range(5)},
    "torch/__init__.py": 7,
    "torch/empty.py": 0,
    "torch/größe, x.txt": 3,
    "alone.py": 5,
    "../bin/torchrun": 9,
}


class Looker:
    """The program that looks."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, support.looking.__file__],
            env=clean_environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, site: Path, kept: object = None, user: int = 0) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([os.path.realpath(site), kept, user]) + "\n")
        self._child.stdin.flush()
        return json.loads(self._child.stdout.readline())

    def close(self) -> None:
        self._child.communicate(timeout=60)


@pytest.fixture(scope="module")
def looker() -> Iterator[Looker]:
    made = Looker()
    yield made
    made.close()


def put(site: Path, files: dict[str, int]) -> Distribution:
    info = site / "torch-2.6.0.dist-info"
    info.mkdir(parents=True)
    rows = []
    for name, size in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(b"x" * size)
        quoted = f'"{name}"' if "," in name else name
        rows.append(f"{quoted},sha256=x,{size}\n")
    rows += ["torch/__pycache__/gone.cpython-312.pyc,,\n", "torch/odd.pyc,sha256=x,7\n"]
    for name in ("METADATA", "INSTALLER"):
        (info / name).write_text("pip\n")
        rows.append(f"{info.name}/{name},sha256=x,4\n")
    rows.append(f"{info.name}/RECORD,,\n")
    (info / "RECORD").write_text("".join(rows), encoding="utf-8")
    return Distribution("torch", "2.6.0", str(info))


def missing(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def grown(path: Path) -> None:
    os.truncate(path, path.stat().st_size + 1)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def without_its_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def with_a_file_for_a_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("x")


def with_a_pipe_for_a_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    os.mkfifo(path.parent)


DAMAGES = (missing, cut, emptied, grown, a_folder, a_link_to_nothing)
OF_FOLDERS = (without_its_folder, with_a_file_for_a_folder, with_a_pipe_for_a_folder)


def test_what_is_whole_is_sure_at_once_and_two_looked(tmp_path: Path, looker: Looker) -> None:
    put(tmp_path / "site", FILES)
    kept = looker.ask(tmp_path / "site")
    assert looker.ask(tmp_path / "site", kept) == {"two": True, "sure": [True], "one": True, "copies": 1}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", [name for name, size in FILES.items() if size])
def test_each_file_counts_in_whichever_half(
    tmp_path: Path, looker: Looker, name: str, damage: Callable[[Path], None]
) -> None:
    put(tmp_path / "site", FILES)
    kept = looker.ask(tmp_path / "site")
    damage(tmp_path / "site" / name)
    assert looker.ask(tmp_path / "site", kept) == {"two": False, "sure": [False], "one": False, "copies": 1}


@pytest.mark.parametrize("damage", OF_FOLDERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", ["torch/include/ops/0.h", "torch/lib/lib0.so", "../bin/torchrun"])
def test_each_folder_counts(tmp_path: Path, looker: Looker, name: str, damage: Callable[[Path], None]) -> None:
    put(tmp_path / "site", FILES)
    kept = looker.ask(tmp_path / "site")
    damage(tmp_path / "site" / name)
    assert looker.ask(tmp_path / "site", kept) == {"two": False, "sure": [False], "one": False, "copies": 1}


@pytest.mark.parametrize("name", ["METADATA", "INSTALLER", "RECORD"])
def test_the_metadata_counts(tmp_path: Path, looker: Looker, name: str) -> None:
    one = put(tmp_path / "site", FILES)
    kept = looker.ask(tmp_path / "site")
    Path(one.folder, name).unlink()
    assert looker.ask(tmp_path / "site", kept) == {"two": False, "sure": [], "one": False, "copies": 0}


def test_a_folder_as_large_as_the_file_is_no_file(tmp_path: Path, looker: Looker) -> None:
    one = put(tmp_path / "site", {"torch/config": 1})
    path = tmp_path / "site/torch/config"
    a_folder(path)
    size = path.stat().st_size
    rows = Path(one.folder, "RECORD").read_text().replace("config,sha256=x,1", f"config,sha256=x,{size}")
    Path(one.folder, "RECORD").write_text(rows)
    kept = looker.ask(tmp_path / "site")
    assert looker.ask(tmp_path / "site", kept)["sure"] == [False]
    assert problem(one) == f"{path} is a folder, RECORD says a file"


def test_compiled_files_may_come_and_go(tmp_path: Path, looker: Looker) -> None:
    put(tmp_path / "site", FILES)
    kept = looker.ask(tmp_path / "site")
    (tmp_path / "site/torch/odd.pyc").write_text("another size")
    assert looker.ask(tmp_path / "site", kept) == {"two": True, "sure": [True], "one": True, "copies": 1}


@pytest.mark.parametrize("mode", [0o000, 0o444], ids=oct)
@pytest.mark.parametrize("folder", ["torch/include/ops", "torch/lib", "torch"])
def test_a_folder_that_may_not_be_looked_into(looker: Looker, folder: str, mode: int) -> None:
    user = 0 if os.geteuid() else 65534  # root may look into everything
    with tempfile.TemporaryDirectory(dir="/tmp") as root:  # another user gets no further than tmp_path's own folder
        site = Path(root, "site")
        put(site, FILES)
        os.chmod(root, 0o755)
        kept = looker.ask(site)
        try:
            os.chmod(site / folder, mode)
            assert looker.ask(site, kept, user) == {"two": False, "sure": [False], "one": False, "copies": 1}
            os.chmod(site / folder, 0o311)  # its files may be looked at, though it may not be read
            assert looker.ask(site, kept, user)["two"]
        finally:
            os.chmod(site / folder, 0o755)


def test_a_changed_record_has_another_checksum(tmp_path: Path) -> None:
    one = put(tmp_path / "site", FILES)
    path = Path(one.folder, "RECORD")
    before = checksum(one)
    assert checksum(one) == before
    path.write_bytes(bytes(path.stat().st_size))
    assert checksum(one) != before
    path.unlink()
    assert checksum(one) != before


NAMES = st.text(st.characters(exclude_characters='/\0\r\n"', exclude_categories=["Cs"]), min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(st.sampled_from(["a", "b", "ö"]) | NAMES, min_size=1, max_size=3).map("/".join)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), files=st.dictionaries(PATHS, st.integers(0, 9), min_size=1, max_size=12))
def test_two_processes_say_what_one_says(looker: Looker, data: st.DataObject, files: dict[str, int]) -> None:
    # No file where another one has its folder, no names that one file system or another folds into one.
    files = {f"p/{name}.py": size for name, size in files.items() if len(os.fsencode(name)) < 200}
    with tempfile.TemporaryDirectory() as root:
        site = Path(root, "site")
        one = put(site, files)
        kept = looker.ask(site)
        assert looker.ask(site, kept) == {"two": True, "sure": [True], "one": True, "copies": 1}
        for name in data.draw(st.lists(st.sampled_from(sorted(files)), unique=True, max_size=3)):
            path = site / name
            if path.is_file():
                data.draw(st.sampled_from((*DAMAGES, *OF_FOLDERS)))(path)
        said = looker.ask(site, kept)
        assert said["two"] == said["one"]
        assert said["sure"] == [said["one"]] or not said["sure"]
        expected = all(os.path.isfile(row.path) for row in record(one) if row.size_bytes and ".pyc" not in row.path)
        assert expected or not said["two"]
