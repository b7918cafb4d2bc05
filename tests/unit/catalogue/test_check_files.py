"""`catalogue check` without a network: each kind of nonsense is told with file, line and field, all at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pascal_install.catalogue.checking.files import check_files
from pascal_install.catalogue.decode import decode
from pascal_install.cli.main import main
from pascal_install.errors import DataError
from support.catalogue_files import REAL, SHA256, documented_files, problems_of, write_catalogue

TORCH = "packages/torch.toml"

EXTENSION = """\
schema = 1
name = "ours"
import_name = "ours"
role = "torch-extension"
data_date = "2026-11-23"

[[index]]
id = "us"
file = "https://wheels.example/{filename}"

[[release]]
version = "1.0+cu124"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "us"
torch = "2.6.0"
architectures = ["sm_60"]
confidence = "binary"
source = "our own build"
wheels = [
  {tag = "cp312-cp312-linux_x86_64"},
]
"""


REST = """
[[generation]]
name = "Rest"
capabilities = ["5.0", "7.0", "7.5", "8.0", "8.6", "9.0"]
source = "our list"
"""
OURS = "packages/ours.toml"


def small() -> dict[str, str]:
    """A catalogue in order: the one of docs/data.md, an extension, and all GPUs that they name."""
    files = documented_files()
    return files | {OURS: EXTENSION, "cuda.toml": files["cuda.toml"] + REST}


def problems(folder: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        check_files(str(folder))
    return problems_of(caught.value)


def changed(tmp_path: Path, file: str, old: str, new: str) -> Path:
    files = small()
    assert old in files[file]
    files[file] = files[file].replace(old, new, 1)
    return write_catalogue(tmp_path, files)


def line_of(folder: Path, file: str, text: str) -> int:
    lines = (folder / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_the_data_that_ships_makes_sense() -> None:
    assert "torch" in check_files(str(REAL)).packages


def test_a_small_catalogue_makes_sense(tmp_path: Path) -> None:
    folder = write_catalogue(tmp_path, small())
    assert sorted(check_files(str(folder)).packages) == ["ours", "torch"]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (OURS, '["sm_60"]', '["sm_60", "sm_60"]', "architectures: expected each architecture once"),
        (TORCH, '"sm_90"]', '"sm_99"]', "architectures: expected architectures of GPUs that cuda.toml knows"),
        (OURS, '["sm_60"]', '["sm_60a"]', "architectures: expected architectures of GPUs that cuda.toml knows"),
        (OURS, "cp312-cp312-linux", "cp312-cp311-linux", "wheels[0].tag: expected a wheel tag that exists"),
        (
            OURS,
            "cp312-cp312-linux_x86_64",
            "cq312-none-linux_x86_64",
            "wheels[0].tag: expected a wheel tag that exists",
        ),
        (OURS, "linux_x86_64", "manylinux_2_x86_64", "wheels[0].tag: expected a wheel tag that exists"),
        (OURS, '"2.6.0"', '"2.5.0"', "torch: expected a torch cu124 that the catalogue has for linux x86_64"),
        (
            OURS,
            '"2.6.0"',
            '"2.6.0"\ntorch_also = ["9.9.*"]',
            "torch_also: expected torch versions that the catalogue has",
        ),
        (
            OURS,
            '"2.6.0"',
            '"2.6.0"\ntorch_variants = ["cu99x"]',
            "torch_variants: expected CUDA variants of a torch for",
        ),
        (OURS, '"x86_64"', '"aarch64"', "torch: expected a torch cu124 that the catalogue has for linux aarch64"),
        (
            OURS,
            "linux_x86_64",
            'linux_x86_64", url = "https://elsewhere.example/a.whl',
            "wheels[0].url: expected a host that an [[index]] names (wheels.example)",
        ),
        (
            OURS,
            "linux_x86_64",
            'linux_x86_64", url = "http://wheels.example/a.whl',
            "wheels[0].url: expected an address with https",
        ),
    ],
)
def test_nonsense_is_told_with_its_place(tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    folder = changed(tmp_path, file, old, new)
    if '"aarch64"' in new:
        path = folder / file
        path.write_text(path.read_text(encoding="utf-8").replace("linux_x86_64", "linux_aarch64"), encoding="utf-8")
    (problem,) = problems(folder)
    field = told.partition(":")[0].rpartition(".")[2]
    line = line_of(folder, file, "{tag = " if "wheels" in told else f"{field} = ")
    assert problem.startswith(f"{file}:{line}: release[0].{told}")


def test_an_index_without_encryption_is_told_once(tmp_path: Path) -> None:
    folder = changed(tmp_path, OURS, "https://wheels", "http://wheels")
    line = line_of(folder, OURS, "file = ")
    assert problems(folder) == [
        f"{OURS}:{line}: index[0].file: expected an address with https, found 'http://wheels.example/{{filename}}'"
    ]


def test_cuda_13_compiles_nothing_for_pascal(tmp_path: Path) -> None:
    files = small() | {"packages/ours.toml": EXTENSION.replace("cu124", "cu130")}
    variant = '[[variant]]\nlabel = "cu130"\nmin_driver_linux = "580"\nmin_driver_windows = "580"\nsource = "a b"\n'
    files["cuda.toml"] = files["cuda.toml"].replace("[[variant]]", f"{variant}\n[[variant]]", 1)
    found = problems(write_catalogue(tmp_path, files))
    assert any("expected what CUDA 13.0 compiles for, found sm_60, last in CUDA 12.9" in problem for problem in found)


def test_a_file_has_one_hash_and_a_hash_one_file(tmp_path: Path) -> None:
    twice = EXTENSION.replace('{tag = "cp312-cp312-linux_x86_64"},', "ROWS")
    rows = (
        f'{{tag = "cp311-cp311-linux_x86_64", sha256 = "{SHA256}"}},\n'
        f'  {{tag = "cp312-cp312-linux_x86_64", sha256 = "{SHA256}"}},\n'
        f'  {{tag = "cp310-cp310-linux_x86_64", sha256 = "{"a" * 64}", url = "https://wheels.example/x.whl"}},\n'
        f'  {{tag = "cp313-cp313-linux_x86_64", sha256 = "{"b" * 64}", url = "https://wheels.example/x.whl"}},'
    )
    files = small() | {"packages/ours.toml": twice.replace("ROWS", rows)}
    found = problems(write_catalogue(tmp_path, files))
    assert len(found) == 2
    assert f"expected one file with the hash {SHA256}" in found[0]
    assert "expected one hash for https://wheels.example/x.whl" in found[1]


def test_one_file_name_may_lie_in_several_folders_with_several_hashes() -> None:
    torchvision = decode(str(REAL)).packages["torchvision"]
    names: dict[str, set[str]] = {}
    for wheel in (wheel for release in torchvision.releases for wheel in release.wheels if wheel.sha256):
        names.setdefault(wheel.filename, set()).add(wheel.sha256)
    assert max(map(len, names.values())) > 1


def test_names_of_packages_are_those_of_the_catalogue(tmp_path: Path) -> None:
    choice = 'schema = 1\nname = "either"\nimport_name = "ours"\nrole = "choice"\ndata_date = "2026-11-23"\n'
    files = small() | {"packages/either.toml": choice + 'one_of = ["ours", "theirs"]\n'}
    files["advice.toml"] = files["advice.toml"].replace('packages = ["torch"]', 'packages = ["torchh"]')
    assert problems(write_catalogue(tmp_path, files)) == [
        "packages/either.toml:6: one_of: expected packages of the catalogue, found ['theirs']",
        "advice.toml:7: advice[0].packages: expected packages of the catalogue, found ['torchh']",
    ]


def test_bad_fields_are_told_with_their_lines(tmp_path: Path) -> None:
    files = small() | {"packages/ours.toml": EXTENSION.replace('"binary"', '"sure"')}
    files[TORCH] = files[TORCH].replace('sha256 = "d4c3', 'sha256 = "X4c3')
    files["cuda.toml"] = files["cuda.toml"].replace('"525.60.13"', '"new"')
    folder = write_catalogue(tmp_path, files)
    found = problems(folder)
    assert [problem.split(" expected")[0] for problem in found] == [
        f"packages/ours.toml:{line_of(folder, OURS, 'confidence = ')}: release[0].confidence:",
        f"{TORCH}:{line_of(folder, TORCH, 'X4c3')}: release[0].wheels[0].sha256:",
        f"cuda.toml:{line_of(folder, 'cuda.toml', 'min_driver_linux = ')}: variant[0].min_driver_linux:",
    ]


def test_what_cannot_be_read_does_not_hide_what_makes_no_sense(tmp_path: Path) -> None:
    files = small() | {"packages/broken.toml": "schema = \n"}
    files[OURS] = (
        EXTENSION.replace("cp312-cp312-linux", "cp312-cp311-linux")
        + f"""
[[release]]
version = "two"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "us"
torch = "9.9.9"
architectures = ["sm_60"]
confidence = "binary"
wheels = [{{tag = "cp312-cp312-linux_x86_64", sha256 = "{SHA256[1:]}"}}]
"""
    )
    files[TORCH] = files[TORCH].replace('source = "wheel-2.6.0"', "")
    folder = write_catalogue(tmp_path, files)
    assert [problem.split(" expected")[0] for problem in problems(folder)] == [
        "packages/broken.toml:1:",
        f"{OURS}:{line_of(folder, OURS, 'cp312-cp311')}: release[0].wheels[0].tag:",
        f"{OURS}:{line_of(folder, OURS, 'two') - 1}: release[1].source:",
        f"{OURS}:{line_of(folder, OURS, 'two')}: release[1].version:",
        f"{OURS}:{line_of(folder, OURS, SHA256[1:])}: release[1].wheels[0].sha256:",
        f"{TORCH}:{line_of(folder, TORCH, '[[release]]')}: release[0].source:",
    ]


def test_rows_in_any_form_that_toml_has_are_found(tmp_path: Path) -> None:
    indented = EXTENSION.replace("[[index]]", "[[ index ]]").replace("[[release]]", "  [[release]]  # ours")
    head = EXTENSION[: EXTENSION.index("[[index]]")].replace('name = "ours"', 'name = "theirs"', 1)
    release = (
        '{version = "1.0", variant = "cu124", os = "linux", machine = "x86_64", index = "us", torch = "2.6.0", '
        'architectures = ["sm_60", "sm_60"], confidence = "binary", source = """our "own"\nbuild""", wheels = []}'
    )
    index = 'index = [{id = "us", file = "https://wheels.example/{filename}"}]  # [[release]]'
    in_line = f"{head}{index}\nrelease = [\n{release},\n]\n"
    files = small() | {OURS: indented.replace('["sm_60"]', '["sm_33"]'), "packages/theirs.toml": in_line}
    folder = write_catalogue(tmp_path, files)
    assert [problem.split(": expected")[0] for problem in problems(folder)] == [
        f"{OURS}:{line_of(folder, OURS, 'sm_33')}: release[0].architectures",
        f"packages/theirs.toml:{line_of(folder, 'packages/theirs.toml', 'sm_60')}: release[0].architectures",
    ]


def test_the_command_ends_with_6_and_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = EXTENSION.replace('"2.6.0"', '"1.0.0"').replace('["sm_60"]', '["sm_60", "sm_60"]')
    folder = write_catalogue(tmp_path, {"packages/ours.toml": text})
    assert main(["catalogue", "check", "--catalogue", str(folder)], os.environ) == 6
    said = capsys.readouterr()
    assert "2 problems in the catalogue's files" in said.err
    assert "packages/ours.toml:17: release[0].torch: " in said.err
    assert "packages/ours.toml:18: release[0].architectures: " in said.err
    assert said.out == ""
    assert main(["catalogue", "check", "--catalogue", str(folder), "--format", "json"], os.environ) == 6
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == 6
    assert [problem.split(" ")[0] for problem in document["problems"]] == [f"{OURS}:17:", f"{OURS}:18:"]


def test_an_overlay_is_held_against_what_lies_below(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_catalogue(tmp_path, {"packages/ours.toml": EXTENSION})
    assert main(["catalogue", "check", "--catalogue", str(folder), "--format", "json"], os.environ) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "problems": [],
        "packages": [{"name": "ours", "builds": 1, "releases": 1, "confidence": {"binary": 1}}],
        "binaries": [],
        "urls": [],
        "symbols": [],
    }


def test_without_a_folder_ours_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "check"], os.environ) == 0
    said = capsys.readouterr().out
    assert "no problem found" in said
    assert next(line for line in said.splitlines() if line.startswith("torch ")).split()[1].isdigit()
