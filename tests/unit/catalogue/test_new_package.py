"""docs/new-package.md: one TOML file is a new package, and every kind of coupling can be written down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pascal_install.catalogue.decode import decode
from pascal_install.catalogue.load import load
from pascal_install.cli.main import main
from pascal_install.errors import DataError
from pascal_install.model.request import Wanted
from support.catalogue_files import ROOT, documented_files, problems_of, write_catalogue

NAME = "packages/fastsplat.toml"
LABELS = ("cu121", "cu124", "cu126")
PURE = 'schema = 1\nname = "{name}"\nimport_name = "x"\nrole = "{role}"\ndata_date = "2026-11-24"\n{more}\n'


def examples() -> list[str]:
    """Give the head of a file that `refresh` fills, and a complete file."""
    page = (ROOT / "docs/new-package.md").read_text(encoding="utf-8")
    found: list[str] = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return found


def example() -> str:
    return examples()[1]


def plan_document(
    folder: Path, capsys: pytest.CaptureFixture[str], packages: list[str], gpu: str, expected: int
) -> dict[str, object]:
    where = ["--gpu", gpu, "--driver", "580.95.05", "--platform", "linux_x86_64", "--python-version", "3.12"]
    options = ["--catalogue", str(folder), "--format", "json"]
    environ = {"PASCAL_INSTALL_CACHE_DIR": str(folder / "cache")}
    assert main(["plan", *packages, *where, *options], environ) == expected
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_the_example_is_planned_with_the_torch_that_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_catalogue(tmp_path, {NAME: example()})
    document = plan_document(tmp_path, capsys, ["fastsplat"], "GTX 1080 Ti", 0)
    pins = {pin["name"]: pin for pin in document["pins"]}  # type: ignore[attr-defined]
    assert list(pins) == ["torch", "fastsplat"]
    # torch 2.6.0+cu126 was compiled with the other C++ ABI: cu124 is the newest that is left.
    assert pins["torch"]["version"] == "2.6.0+cu124"
    assert pins["fastsplat"]["url"] == (
        "https://wheels.example/fastsplat/v1.2.0/fastsplat-1.2.0%2Bcu12torch2.6-cp312-cp312-linux_x86_64.whl"
    )
    assert pins["fastsplat"]["coverage"] == {"6.1": {"kind": "cubin", "arch": "sm_60"}}


def test_the_head_that_refresh_fills_is_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_catalogue(tmp_path, {"packages/spconv-cu120.toml": examples()[0]})
    environ = {"PASCAL_INSTALL_CACHE_DIR": str(tmp_path / "cache")}
    assert main(["catalogue", "check", "--catalogue", str(folder)], environ) == 0
    assert "no problem found" in capsys.readouterr().out


def test_its_advice_is_told_where_nothing_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_catalogue(tmp_path, {NAME: example()})
    document = plan_document(tmp_path, capsys, ["fastsplat"], "GTX 970", 3)
    error = document["error"]
    assert isinstance(error, dict)
    assert error["rule"] == "kernel-coverage"
    assert any("0.8 can be built from source" in line for line in error["suggest"])


def test_names_that_stand_for_others_are_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        NAME: example(),
        "packages/viewer.toml": PURE.format(name="viewer", role="python", more='uses = ["splat", "unheard-of>=2"]'),
        "packages/splat.toml": PURE.format(name="splat", role="choice", more='one_of = ["ctranslate2", "fastsplat"]'),
    }
    write_catalogue(tmp_path, files)
    catalogue = load(["viewer"], "linux", "x86_64", overlay=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert list(catalogue.packages["viewer"].uses) == [
        Wanted("splat", "", "splat"),
        Wanted("unheard-of", ">=2", "unheard-of>=2"),
    ]
    assert {"viewer", "splat", "ctranslate2", "fastsplat"} <= set(catalogue.packages)
    assert catalogue.unknown == ("unheard-of",)
    document = plan_document(tmp_path, capsys, ["viewer==3", "splat<2"], "GTX 1080 Ti", 0)
    assert [pin["name"] for pin in document["pins"]] == ["torch", "fastsplat"]  # type: ignore[attr-defined]


BROKEN = [
    (
        'torch = "2.6.*"',
        'torch = "~=2.6"',
        "release[0].torch: expected torch versions without local part, like 2.6.0, 2.6",
    ),
    ('torch = "2.6.*"', 'torch = ">2.6"', "release[0].torch: expected torch versions without local part"),
    ('torch = "2.6.*"', 'torch = ">=2.6,>=2.7"', "release[0].torch: expected torch versions without local part"),
    (
        '["cu12x"]',
        '["cux"]',
        "release[0].torch_variants: expected CUDA variants like cu124, or cu12x for all of CUDA 12",
    ),
    ('variant = "cu124"', 'variants = ["cu124", "cu999"]', "release[0].variants: expected CUDA variants of cuda.toml"),
    (
        'variant = "cu124"',
        'variant = "cu124"\nvariants = ["cu121"]',
        "release[0].variants: expected variant or variants",
    ),
    (
        '"sm_60", ',
        '"jit_6.0", ',
        "release[0].architectures: expected code targets like sm_60, sm_90a, compute_90 or jit",
    ),
    ('role = "torch-extension"', 'role = "python"', "uses: expected a list of texts, found nothing"),
    ('role = "torch-extension"', 'role = "choice"', "one_of: expected a list of texts, found nothing"),
    ("[[index]]", 'uses = ["ctranslate2"]\n[[index]]', "uses: expected this field with the role 'python' only"),
    ("[[index]]", 'one_of = ["a"]\n[[index]]', "one_of: expected this field with the role 'choice' only"),
    ('when = "no-plan"', 'when = "later"', "advice[0].when: expected 'plan' or 'no-plan'"),
    ('id = "instead-of-fastsplat-on-maxwell"', 'id = "fp16-slow"', "advice[0].id: expected each id once"),
]


@pytest.mark.parametrize(("good", "bad", "message"), BROKEN)
def test_a_broken_field_is_named(tmp_path: Path, good: str, bad: str, message: str) -> None:
    assert good in example()
    files = documented_files() | {NAME: example().replace(good, bad, 1)}
    write_catalogue(tmp_path, files)
    with pytest.raises(DataError) as caught:
        decode(str(tmp_path), LABELS)
    told = problems_of(caught.value)
    assert any(line.startswith(f"{NAME}: {message}") for line in told), told


def test_requirements_and_names_that_cannot_be_read(tmp_path: Path) -> None:
    files = {
        "packages/viewer.toml": PURE.format(name="viewer", role="python", more='uses = ["splat >> 2"]'),
        "packages/splat.toml": PURE.format(name="splat", role="choice", more='one_of = ["Fast_Splat"]'),
    }
    write_catalogue(tmp_path, files)
    with pytest.raises(DataError) as caught:
        decode(str(tmp_path))
    told = problems_of(caught.value)
    assert "packages/splat.toml: one_of: expected normalised names like cupy-cuda12x, found 'Fast_Splat'" in told
    assert "packages/viewer.toml: uses: expected requirements like ctranslate2>=4,<5, found 'splat >> 2'" in told


def test_a_release_of_several_variants_is_one_for_each(tmp_path: Path) -> None:
    text = example().replace('variant = "cu124"', 'variants = ["cu126", "cu121"]').replace("+cu12torch2.6", "")
    write_catalogue(tmp_path, {NAME: text})
    releases = decode(str(tmp_path), LABELS).packages["fastsplat"].releases
    assert [release.variant for release in releases] == ["cu126", "cu121"]
    assert releases[0]._replace(variant="") == releases[1]._replace(variant="")


def test_an_address_with_the_variant_in_it_belongs_to_one_variant(tmp_path: Path) -> None:
    text = example().replace('variant = "cu124"', 'variants = ["cu126", "cu121"]').replace("{tag}", "{variant}")
    write_catalogue(tmp_path, {NAME: text})
    with pytest.raises(DataError) as caught:
        decode(str(tmp_path), LABELS)
    assert "no {variant} in the index's addresses" in caught.value.cause
