"""`catalogue check --binaries`: rows against wheels that an index on loopback keeps."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pascal_install.catalogue.decode import decode
from pascal_install.cli.main import main
from support.catalogue_files import documented_files, write_catalogue
from support.device_code import CUBIN, pack_elf, pack_entry, pack_fatbin
from support.mirror import Mirror
from support.wheels import make_wheel

FILE = "packages/ours.toml"
HEAD = """\
schema = 1
name = "ours"
import_name = "ours"
role = "cuda"
data_date = "2026-11-23"

[[index]]
id = "pypi"
"""
RELEASE = """
[[release]]
version = "{version}"
variant = "{variant}"
os = "linux"
machine = "x86_64"
index = "pypi"
architectures = [{says}]
confidence = "{confidence}"
source = "somebody said so"
wheels = [
{wheels}
]
"""


def library(*architectures: int, entries: int = 1) -> bytes:
    """A shared library with device code for each of these."""
    fatbin = pack_fatbin(*(pack_entry(CUBIN, number) for number in architectures))
    return pack_elf({".nv_fatbin": fatbin * entries})


class Shelf:
    """Wheels on the index, and the catalogue's file about them."""

    def __init__(self, mirror: Mirror, folder: Path) -> None:
        self.mirror = mirror
        self.folder = folder
        self._text = HEAD

    def release(
        self,
        version: str,
        says: str,
        wheels: Mapping[str, Mapping[str, bytes]],
        confidence: str = "matrix",
        variant: str = "cu124",
    ) -> None:
        """Publish the wheels of one release, by Python tag, with the libraries in each."""
        rows = []
        for python, members in wheels.items():
            tag = f"{python}-{python}-manylinux2014_x86_64"
            content = make_wheel("ours", version, tag, files=members)
            self.mirror.add_pypi(f"ours-{version}-{tag}.whl", content)
            rows.append(f'  {{tag = "{tag}", sha256 = "{hashlib.sha256(content).hexdigest()}"}},')
        names = ", ".join(f'"{name}"' for name in says.split())
        self._text += RELEASE.format(
            version=version, variant=variant, says=names, confidence=confidence, wheels="\n".join(rows)
        )

    def write(self) -> Path:
        cuda = (
            documented_files()["cuda.toml"] + '[[generation]]\nname = "Rest"\ncapabilities = ["7.0"]\nsource = "a b"\n'
        )
        return write_catalogue(self.folder, {FILE: self._text, "cuda.toml": cuda})

    @property
    def text(self) -> str:
        return (self.folder / FILE).read_text(encoding="utf-8")


@pytest.fixture
def shelf(mirror: Mirror, tmp_path: Path) -> Shelf:
    return Shelf(mirror, tmp_path / "own")


@pytest.fixture
def check(shelf: Shelf, tmp_path: Path) -> Callable[..., int]:
    def run(*options: str) -> int:
        environ = {
            **os.environ,
            "PIP_INDEX_URL": shelf.mirror.pypi_url,
            "PASCAL_INSTALL_CACHE_DIR": str(tmp_path / "cache"),
        }
        return main(["catalogue", "check", "--binaries", "--catalogue", str(shelf.folder), *options], environ)

    return run


def test_wheels_that_have_what_the_row_says(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "sm_60 sm_70", {"cp311": {"ours/_C.so": library(60, 70)}})
    shelf.write()
    assert check() == 0
    assert "1 wheels of 1 releases read: 1 agrees" in capsys.readouterr().out


def test_a_contradiction_ends_with_9_and_a_table(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "sm_60 sm_61", {"cp311": {"ours/_C.so": library(60, 70)}})
    shelf.release("1.1", "sm_70", {"cp311": {"ours/_C.so": library(70)}})
    shelf.write()
    before = shelf.text
    assert check() == 9
    said = capsys.readouterr().out
    (line,) = (line for line in said.splitlines() if "differs" in line and "ours" in line)
    assert "-sm_61 +sm_70" in line
    assert "1.0" in line
    assert line.endswith(f"{FILE}:{before.splitlines().index('[[release]]') + 1}")
    assert shelf.text == before


def test_write_source_mends_only_the_wrong_rows(shelf: Shelf, check: Callable[..., int]) -> None:
    right = {"cp311": {"ours/_C.so": library(70)}}
    shelf.release("1.0", "sm_60 sm_61", {"cp311": {"ours/_C.so": library(60, 70)}})
    shelf.release("1.1", "sm_70", right, confidence="binary")
    shelf.release("1.2", "sm_70", {"cp311": {"ours/_C.so": library(70), "ours/more.so": library(70)}})
    shelf.write()
    before = shelf.text.splitlines()
    assert check("--write-source") == 0
    changed = [(old, new) for old, new in zip(before, shelf.text.splitlines(), strict=True) if old != new]
    proof = "read from the wheel ours-{}-cp311-cp311-manylinux2014_x86_64.whl; somebody said so"
    assert changed[1:] == [
        ('architectures = ["sm_60", "sm_61"]', 'architectures = ["sm_60", "sm_70"]'),
        ('confidence = "matrix"', 'confidence = "binary"'),
        ('source = "somebody said so"', f'source = "{proof.format("1.0")}"'),
        ('confidence = "matrix"', 'confidence = "binary"'),
        ('source = "somebody said so"', f'source = "{proof.format("1.2")}"'),
    ]
    assert changed[0][0] == 'data_date = "2026-11-23"'
    found = {one.version: one for one in decode(str(shelf.folder)).packages["ours"].releases}
    assert {one.confidence for one in found.values()} == {"binary"}
    assert check() == 0


def test_wheels_of_one_row_that_differ_are_left_to_a_person(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "sm_70", {"cp311": {"ours/_C.so": library(70)}, "cp312": {"ours/_C.so": library(60, 70)}})
    shelf.write()
    before = shelf.text
    assert check("--write-source") == 9
    assert "mixed" in capsys.readouterr().out
    assert shelf.text == before


def test_libraries_of_nvidia_do_not_count(shelf: Shelf, check: Callable[..., int]) -> None:
    members = {"ours/_C.so": library(70), "ours.libs/libcudart-0a1b.so.12": library(60)}
    shelf.release("1.0", "sm_70", {"cp311": members})
    shelf.release("1.1", "sm_60", {"cp311": {"ours/_C.so": pack_elf({}), "ours.libs/libnvjpeg.so.12": library(60)}})
    shelf.write()
    assert check() == 0


def test_of_libraries_for_several_cudas_the_rows_own_counts(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    members = {"ours/_C_cuda124.so": library(60), "ours/_C_cuda126.so": library(70)}
    shelf.release("1.0", "sm_60", {"cp311": members})
    shelf.release("1.0", "sm_60", {"cp311": members}, variant="cu126")
    shelf.write()
    assert check() == 9
    said = capsys.readouterr().out
    assert "-sm_60 +sm_70" in said
    assert "2 wheels of 2 releases read: 1 agrees, 1 differs" in said


def test_what_is_compiled_on_the_machine_is_not_compared(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "jit_70", {"cp311": {"ours/compiler.so": pack_elf({})}})
    shelf.write()
    assert check() == 0
    assert "nothing to compare" in capsys.readouterr().out


def test_what_was_read_is_not_fetched_again(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "sm_70", {"cp311": {"ours/_C.so": library(70)}})
    shelf.write()
    assert check() == 0
    shelf.mirror.forget()
    assert check() == 0
    assert check("--offline") == 0
    assert shelf.mirror.requests == ()
    shelf.release("1.1", "sm_60", {"cp311": {"ours/_C.so": library(60)}})
    shelf.write()
    capsys.readouterr()
    assert check("--offline") == 7
    said = capsys.readouterr().out
    assert "ours-1.1-cp311-cp311-manylinux2014_x86_64.whl: not read yet" in said
    assert "1 wheels of 2 releases read: 1 agrees, 1 unread" in said


def test_the_same_library_in_another_wheel_is_not_fetched_again(shelf: Shelf, check: Callable[..., int]) -> None:
    # 400 kB deflate to next to nothing: only what does not fit into the end of the wheel is fetched as a member.
    same = {"ours/_C.so": library(70, entries=2), "ours/data.bin": os.urandom(200_000)}
    wheels = {python: {**same, f"ours/{python}.py": python.encode()} for python in ("cp310", "cp311", "cp312")}
    shelf.release("1.0", "sm_70", wheels)
    shelf.write()
    assert check("--jobs", "1") == 0
    ranges = [one for one in shelf.mirror.requests if one.method == "GET" and one.path.endswith(".whl")]
    assert len(ranges) == 4  # the end of each wheel, and the library once


def test_it_goes_on_where_it_was_cut_off(shelf: Shelf, check: Callable[..., int]) -> None:
    shelf.release("1.0", "sm_70", {"cp311": {"ours/_C.so": library(70)}})
    shelf.release("1.1", "sm_60", {"cp311": {"ours/_C.so": library(60)}})
    shelf.write()
    shelf.mirror.fault("401", "*ours-1.0*", times=None)
    assert check("--jobs", "1") == 7
    shelf.mirror.mend()
    shelf.mirror.forget()
    assert check("--jobs", "1") == 0
    assert any("ours-1.0" in one.path for one in shelf.mirror.requests)
    assert not any("ours-1.1" in one.path for one in shelf.mirror.requests)


def test_one_wheel_of_each_release_is_enough_where_that_is_asked_for(shelf: Shelf, check: Callable[..., int]) -> None:
    shelf.release("1.0", "sm_70", {"cp311": {"ours/_C.so": library(70)}, "cp312": {"ours/_C.so": library(60)}})
    shelf.write()
    assert check("--one-each") == 0
    assert not any("cp312" in one.path for one in shelf.mirror.requests)


def test_a_wheel_that_is_gone_is_told_and_no_contradiction(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "sm_70", {"cp311": {"ours/_C.so": library(70)}})
    folder = shelf.write()
    text = shelf.text
    (folder / FILE).write_text(text.replace('sha256 = "', 'sha256 = "0')[: text.rindex('"}')] + '"},\n]\n')
    assert check() == 7
    assert (
        "not read  ours-1.0-cp311-cp311-manylinux2014_x86_64.whl: the index does not list it" in capsys.readouterr().out
    )


def test_a_damaged_wheel_is_told(shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    damaged = library(70)[:-4]
    shelf.release("1.0", "sm_70", {"cp311": {"ours/_C.so": damaged[: len(damaged) // 2]}})
    shelf.write()
    assert check() == 7
    assert "damaged" in capsys.readouterr().out


def test_json_tells_the_same(shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    shelf.release("1.0", "sm_60", {"cp311": {"ours/_C.so": library(70)}})
    shelf.write()
    assert check("--format", "json", "--quiet") == 9
    said = capsys.readouterr()
    (row,) = json.loads(said.out)["binaries"]
    assert (row["verdict"], row["says"], row["has"]) == ("differs", ["sm_60"], ["sm_70"])
    assert said.err == ""


def test_a_file_in_a_form_that_cannot_be_mended_is_left_alone(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.release("1.0", "sm_60", {"cp312": {"ours/_C.so": library(61)}})
    path = shelf.write() / FILE
    path.write_text(
        shelf.text.replace("\nconfidence", "\n  confidence").replace("\narch", "\n  arch"), encoding="utf-8"
    )
    path.write_text(shelf.text.replace("architectures =", "architectures  =").replace("\nsource", "\n  source"))
    before = shelf.text
    assert check("--write-source") == 6
    assert "cannot be edited" in capsys.readouterr().err
    assert shelf.text == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("options", [["ours"], ["--write-source"], ["--one-each"], ["--binaries", "nothing"]])
def test_options_that_make_no_sense(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "check", *options], os.environ) == 2
