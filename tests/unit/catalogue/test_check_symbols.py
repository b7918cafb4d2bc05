"""`catalogue check --symbols`: extensions beside torches, both compiled here and kept by an index on loopback."""

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
from support.extension_pairs import USER, BuiltPair
from support.mirror import Mirror
from support.shared_libraries import needs_compiler
from support.wheels import make_wheel

pytestmark = needs_compiler

HEAD = """\
schema = 1
name = "{name}"
import_name = "{name}"
role = "{role}"
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
{torch}architectures = ["sm_61"]
confidence = "binary"
source = "our own build"
wheels = [
  {{tag = "{tag}", sha256 = "{sha256}"}},
]
"""
VARIANT = '[[variant]]\nlabel = "cu118"\nmin_driver_linux = "450"\nmin_driver_windows = "452"\nsource = "a b"\n\n'
VARIANT += '[[variant]]\nlabel = "cu126"\nmin_driver_linux = "525"\nmin_driver_windows = "528"\nsource = "a b"\n\n'
TAG = "cp311-cp311-manylinux2014_x86_64"


class Shelf:
    """Wheels on the index, and the catalogue's files about them."""

    def __init__(self, mirror: Mirror, folder: Path) -> None:
        self.mirror = mirror
        self.folder = folder
        self._texts = {"torch": HEAD.format(name="torch", role="torch")}
        self._texts["ext"] = HEAD.format(name="ext", role="torch-extension")

    def add(self, name: str, version: str, variant: str, files: Mapping[str, bytes], torch: str = "") -> None:
        """Publish one wheel, and add its row."""
        content = make_wheel(name, version, TAG, files=files)
        self.mirror.add_pypi(f"{name}-{version}-{TAG}.whl", content)
        self._texts[name] += RELEASE.format(
            version=version, variant=variant, torch=torch, tag=TAG, sha256=hashlib.sha256(content).hexdigest()
        )

    def add_torch(self, version: str, pair: BuiltPair, variant: str = "cu124") -> None:
        members = {name: path.read_bytes() for name, path in pair.torch_members().items() if isinstance(path, Path)}
        # Newer wheels list their folders; one of them begins like a library.
        self.add("torch", version, variant, {**members, "torch/lib/libshm/": b""})

    def add_extension(self, version: str, pair: BuiltPair, variant: str = "cu124", torch: str = "2.6.0") -> None:
        self.add("ext", version, variant, {"ext/_C.so": pair.extension.read_bytes()}, f'torch = "{torch}"\n')

    def write(self) -> str:
        cuda = documented_files()["cuda.toml"].replace("[[variant]]", f"{VARIANT}[[variant]]", 1)
        files = {f"packages/{name}.toml": text for name, text in self._texts.items()}
        return str(write_catalogue(self.folder, {**files, "cuda.toml": cuda}))


@pytest.fixture
def shelf(mirror: Mirror, tmp_path: Path) -> Shelf:
    return Shelf(mirror, tmp_path / "own")


@pytest.fixture
def check(shelf: Shelf, tmp_path: Path) -> Callable[..., int]:
    def run(*options: str) -> int:
        cache = str(tmp_path / "cache")
        environ = {**os.environ, "PIP_INDEX_URL": shelf.mirror.pypi_url, "PASCAL_INSTALL_CACHE_DIR": cache}
        return main(["catalogue", "check", "--symbols", "--catalogue", str(shelf.folder), *options], environ)

    return run


def pairs_in(text: str) -> dict[tuple[str, str], tuple[str, bool]]:
    return {
        (one["version"], f"{one['torch']} {one['torch_variant']}"): (one["state"], one["said"])
        for one in json.loads(text)["symbols"]
    }


def test_pairs_that_load_as_the_catalogue_says(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = BuiltPair(tmp_path / "pair")
    shelf.add_torch("2.6.0", pair)
    shelf.add_extension("1.0", pair)
    shelf.write()
    assert check("--format", "json", "--quiet") == 0
    assert pairs_in(capsys.readouterr().out) == {("1.0", "2.6.0 cu124"): ("loads", True)}


def test_a_pair_that_does_not_load_ends_with_9(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shelf.add_torch("2.6.0", BuiltPair(tmp_path / "torch"))
    shelf.add_extension("1.0", BuiltPair(tmp_path / "ext", user=USER.replace("check(", "gone(")))
    shelf.write()
    assert check() == 9
    said = capsys.readouterr().out
    assert "fails" in said
    assert "c10::gone" in said


def test_another_cuda_minor_that_loads_becomes_evidence(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = BuiltPair(tmp_path / "pair")
    shelf.add_torch("2.6.0", pair, "cu126")
    shelf.add_extension("1.0", pair)
    shelf.add_extension("1.1", BuiltPair(tmp_path / "eleven", cuda="11.0"))
    shelf.add_extension("1.2", BuiltPair(tmp_path / "other"), "cu118")
    file = Path(shelf.write()) / "packages/ext.toml"
    before = file.read_text(encoding="utf-8").splitlines()
    assert check("--write-source") == 0
    assert "other-cuda" not in capsys.readouterr().out
    changed = [line for line in file.read_text(encoding="utf-8").splitlines() if line not in before]
    proof = f"the symbols of ext-1.0-{TAG}.whl resolve beside torch-2.6.0-{TAG}.whl (cu126)"
    assert changed[1:] == ['torch_variants = ["cu126"]', f'source = "{proof}; our own build"']
    found = {one.version: one.torch_variants for one in decode(str(shelf.folder)).packages["ext"].releases}
    assert found == {"1.0": ("cu126",), "1.1": (), "1.2": ()}
    assert check("--format", "json", "--quiet") == 0
    states = pairs_in(capsys.readouterr().out)
    assert states["1.0", "2.6.0 cu126"] == ("loads", True)
    assert states["1.1", "2.6.0 cu126"] == ("fails", False)
    assert states["1.2", "2.6.0 cu126"] == ("loads", False)  # another CUDA major: told, and not written


def test_further_variants_are_added_to_those_that_are_there(
    shelf: Shelf, check: Callable[..., int], tmp_path: Path
) -> None:
    pair = BuiltPair(tmp_path / "pair")
    shelf.add_torch("2.6.0", pair, "cu126")
    shelf.add_extension("1.0", pair)
    file = Path(shelf.write()) / "packages/ext.toml"
    text = file.read_text(encoding="utf-8").replace('torch = "2.6.0"', 'torch = "2.6.0"\ntorch_variants = ["cu121"]')
    file.write_text(text, encoding="utf-8")
    assert check("--write-source") == 0
    (release,) = decode(str(shelf.folder)).packages["ext"].releases
    assert release.torch_variants == ("cu121", "cu126")


def test_neighbours_are_checked_and_never_written(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = BuiltPair(tmp_path / "pair")
    for version in ("2.4.0", "2.5.0", "2.6.0", "2.7.0"):
        shelf.add_torch(version, pair)
    shelf.add_extension("1.0", pair)
    file = Path(shelf.write()) / "packages/ext.toml"
    before = file.read_text(encoding="utf-8")
    assert check("--neighbours", "--write-source", "--format", "json", "--quiet") == 0
    assert pairs_in(capsys.readouterr().out) == {
        ("1.0", "2.5.0 cu124"): ("loads", False),
        ("1.0", "2.6.0 cu124"): ("loads", True),
        ("1.0", "2.7.0 cu124"): ("loads", False),
    }
    assert file.read_text(encoding="utf-8") == before


def test_answers_are_kept_and_a_torch_is_fetched_once(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = BuiltPair(tmp_path / "pair")
    shelf.add_torch("2.6.0", pair)
    shelf.add_extension("1.0", pair)
    shelf.add_extension("1.1", BuiltPair(tmp_path / "other"))
    shelf.write()
    assert check() == 0
    assert capsys.readouterr().err.count("fetching the libraries of torch-2.6.0") == 1
    shelf.mirror.forget()
    assert check("--offline") == 0
    assert shelf.mirror.requests == ()
    shelf.add_extension("1.2", BuiltPair(tmp_path / "third"))
    shelf.write()
    capsys.readouterr()
    assert check("--offline", "--format", "json", "--quiet") == 7
    states = pairs_in(capsys.readouterr().out)
    assert states["1.0", "2.6.0 cu124"] == ("loads", True)
    assert states["1.2", "2.6.0 cu124"] == ("unread", True)


def test_a_wheel_that_is_not_listed_is_unread(
    shelf: Shelf, check: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = BuiltPair(tmp_path / "pair")
    shelf.add_torch("2.6.0", pair)
    shelf.add_extension("1.0", pair)
    file = Path(shelf.write()) / "packages/ext.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('sha256 = "', f'sha256 = "{"0" * 64}", size = 1}}, # "'))
    assert check("--format", "json", "--quiet") == 7
    assert pairs_in(capsys.readouterr().out) == {("1.0", "2.6.0 cu124"): ("unread", True)}
