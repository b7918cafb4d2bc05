"""Each kind of broken field has its own message, with file, path, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.catalogue.decode import decode
from pascal_install.errors import DataError
from support.catalogue_files import SHA256, documented_files, problems_of, write_catalogue

TORCH, CUDA, GPUS, ADVICE = "packages/torch.toml", "cuda.toml", "gpus.toml", "advice.toml"

BROKEN = [
    (TORCH, "schema = 1\n", "schema = 2\n", "schema: expected 1, found 2"),
    (TORCH, "schema = 1\n", "", "schema: expected a whole number, found nothing"),
    (TORCH, '"2026-11-23"', '"23.11.2026"', "data_date: expected a date like 2026-11-23, found '23.11.2026'"),
    (TORCH, 'name = "torch"', 'name = "pytorch"', "name: expected the name of the file, 'torch', found 'pytorch'"),
    (
        TORCH,
        'role = "torch"',
        'role = "pivot"',
        "role: expected 'torch' or 'torch-extension' or 'cuda' or 'python' or 'choice', found 'pivot'",
    ),
    (TORCH, 'role = "torch" ', 'role = "torch-extension" ', "release[0].torch: expected text, found nothing"),
    (TORCH, 'import_name = "torch"', "import_name = 1", "import_name: expected text, found 1"),
    (TORCH, "{quoted}", "{file_name}", "index[0].file: expected an address with {name}, {version}"),
    (
        TORCH,
        '"https://download.pytorch.org/whl/{variant}"',
        '"whl"',
        "index[0].page: expected an https or http address",
    ),
    (
        TORCH,
        '{upstream = "simple"}',
        '{upstream = "simple", variant = "torches"}',
        "index[0].refresh: expected variant = a CUDA variant, or 'any' or 'torch' or 'recorded' or 'libraries', found",
    ),
    (TORCH, "[sources]", '[sources]\nbad = ["x"]', "sources: expected a table of texts, found {"),
    (TORCH, '"2.6.0+cu124" ', '"two" ', "release[0].version: expected a version like 2.6.0+cu124, found 'two'"),
    (
        TORCH,
        'variant = "cu124"',
        'variant = "cu125"',
        "release[0].variant: expected 'any' or 'cpu' or 'cu124', found 'cu125'",
    ),
    (TORCH, 'variant = "cu124"', 'variant = "cpu"', "release[0].variant: expected the variant of the version, 'cu124'"),
    (TORCH, 'os = "linux"', 'os = "Linux"', "release[0].os: expected 'linux' or 'windows', found 'Linux'"),
    (TORCH, 'machine = "x86_64"', 'machine = "amd64"', "release[0].machine: expected 'x86_64' or 'aarch64'"),
    (TORCH, 'index = "pytorch"', 'index = "github"', "release[0].index: expected 'pytorch' or 'pypi', found 'github'"),
    (
        TORCH,
        '"sm_50"',
        '"5.0"',
        "release[0].architectures: expected code targets like sm_60, sm_90a, compute_90 or jit_70",
    ),
    (TORCH, '"sm_50", ', "50, ", "release[0].architectures: expected a list of texts, found [50,"),
    (
        TORCH,
        "architectures = [",
        "architectures = [] # [",
        "release[0].architectures: expected a list of texts, found []",
    ),
    (TORCH, 'confidence = "binary"', 'confidence = "sure"', "release[0].confidence: expected 'binary' or 'script'"),
    (TORCH, 'confidence = "binary"', 'confidence = "disputed"', "release[0].note: expected both sides of the dispute"),
    (TORCH, 'source = "wheel-2.6.0"', "", "release[0].source: expected text, found nothing"),
    (
        TORCH,
        'source = "wheel-2.6.0"',
        'source = "whel"',
        "release[0].source: expected a key of [sources], or a text of se",
    ),
    (TORCH, "cxx11_abi = false", "cxx11_abi = 0", "release[0].cxx11_abi: expected true or false, found 0"),
    (
        TORCH,
        '# torch = "2.6.0"',
        'torch = "2.6.0+cu124"',
        "release[0].torch: expected torch versions without local part",
    ),
    (TORCH, "# torch_also = ", "torch_also = 1 #", "release[0].torch_also: expected a list of texts, found 1"),
    (
        TORCH,
        '# torch_variants = ["cu121"]',
        'torch_variants = ["12.1"]',
        "release[0].torch_variants: expected CUDA variants",
    ),
    (TORCH, "cudnn = ", "cudn = ", "release[0].cudn: expected one of architectures, confidence, cudnn"),
    (TORCH, "wheels = [", "wheels = [1,", "release[0].wheels[0]: expected a table, found 1"),
    (TORCH, '"cp312-cp312-linux_x86_64"', '"cp312"', "release[0].wheels[1].tag: expected a wheel tag like"),
    (
        TORCH,
        '"cp312-cp312-linux_x86_64"',
        '"cp312-cp312-win_amd64"',
        "wheels[1].tag: expected a tag for linux on x86_64",
    ),
    (
        TORCH,
        '"cp312-cp312-linux_x86_64"',
        '"cp311-cp311-linux_x86_64"',
        "wheels[1].tag: expected each file once, found",
    ),
    (TORCH, '"d4c3', '"D4c3', "release[0].wheels[0].sha256: expected 64 lower-case hex digits, found 'D4c3"),
    (
        TORCH,
        'existence = "matrix"',
        'existence = "maybe"',
        "wheels[1].existence: expected 'proven' or 'tag-workflow' or",
    ),
    (TORCH, 'existence = "matrix"', 'size = "9"', "release[0].wheels[1].size: expected a whole number, found '9'"),
    (TORCH, 'existence = "matrix"', "size = true", "release[0].wheels[1].size: expected a whole number, found True"),
    (TORCH, 'existence = "matrix"', 'url = "torch.whl"', "release[0].wheels[1].url: expected an https or http address"),
    (TORCH, 'existence = "matrix"', 'filename = "torch"', "wheels[1].filename: expected the name of a wheel, found"),
    (
        TORCH,
        'existence = "matrix"',
        'filename = "torch-2.6.1+cu124-cp312-cp312-linux_x86_64.whl"',
        "wheels[1].filename: expected a wheel of torch 2.6.0+cu124 with the tag cp312-cp312-linux_x86_64, found",
    ),
    (CUDA, 'label = "cu124"', 'label = "12.4"', "cuda.toml: variant[0].label: expected a CUDA variant like cu124"),
    (
        CUDA,
        '"525.60.13"',
        '"new"',
        "variant[0].min_driver_linux: expected a driver version like 525.60.13, found 'new'",
    ),
    (CUDA, "branch = 580", 'branch = "580"', "driver_branch[0].branch: expected a whole number, found '580'"),
    (CUDA, 'cuda = "13.0"', 'cuda = "13"', "driver_branch[0].cuda: expected a CUDA version like 12.4, found '13'"),
    (
        CUDA,
        '"6.1", ',
        '"sm_61", ',
        "generation[0].capabilities: expected a compute capability like 6.1 each, found 'sm_61'",
    ),
    (CUDA, '"12.9"', '"new"', "generation[0].last_cuda: expected a version like 12.9, found 'new'"),
    (CUDA, '"9.10"', '"9"', "generation[0].last_cudnn: expected a version like 12.9, found '9'"),
    (CUDA, '"6.1", ', '"6.1", "6.1", ', "generation[0].capabilities: expected each capability in one generation"),
    (TORCH, 'id = "pypi"', 'id = "pytorch"', "index[1].id: expected each id once, found 'pytorch'"),
    (GPUS, '"1b06"', '"1B06"', "gpus.toml: gpus[0].pci: expected four lower-case hex digits, found '1B06'"),
    (GPUS, 'capability = "6.1"', 'capability = "6"', "gpus[0].capability: expected a compute capability like 6.1"),
    (ADVICE, 'when = "plan"', 'when = "now"', "advice[0].when: expected 'plan' or 'no-plan', found 'now'"),
    (ADVICE, 'text = "one or two lines"', 'text = " "', "advice.toml: advice[0].text: expected text, found ' '"),
]


def problems(folder: Path, files: dict[str, str]) -> list[str]:
    with pytest.raises(DataError) as caught:
        decode(str(write_catalogue(folder, files)))
    assert str(folder) in caught.value.summary
    assert caught.value.exit_code == 6
    return problems_of(caught.value)


@pytest.mark.parametrize(("file", "good", "bad", "message"), BROKEN)
def test_a_broken_field_is_named(tmp_path: Path, file: str, good: str, bad: str, message: str) -> None:
    files = documented_files()
    assert good in files[file]
    files[file] = files[file].replace(good, bad, 1)
    told = problems(tmp_path, files)
    assert any(line.startswith(f"{file}: ") and message in line for line in told), told


def test_the_documented_files_are_good(tmp_path: Path) -> None:
    data = decode(str(write_catalogue(tmp_path, documented_files())))
    wheel = data.packages["torch"].releases[0].wheels[0]
    assert wheel.url == "https://download.pytorch.org/whl/cu124/torch-2.6.0%2Bcu124-cp311-cp311-linux_x86_64.whl"
    assert wheel.source.startswith("github.com/docling-project")


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    files = documented_files()
    files[TORCH] = files[TORCH].replace('"d4c3', '"x4c3').replace('os = "linux"', 'os = "mac"')
    files[GPUS] = files[GPUS].replace('"1b06"', '"1"')
    files[ADVICE] = files[ADVICE].replace("[[advice]]", "[[advise]]")
    told = problems(tmp_path, files)
    assert [line.split(":")[0] for line in told].count(TORCH) >= 2
    assert any(line.startswith(GPUS) for line in told)
    assert "advice.toml: advise: expected one of advice, data_date, schema, sources; this field is not known" in told


def test_a_build_stands_once(tmp_path: Path) -> None:
    files = documented_files()
    release = files[TORCH][files[TORCH].index("[[release]]") :]
    files[TORCH] += "\n" + release
    (told,) = problems(tmp_path, files)
    assert told.startswith(
        "packages/torch.toml: release[1].version: expected each build (version, variant, os, machine,"
    )


def test_the_same_card_and_the_same_advice_stand_once(tmp_path: Path) -> None:
    files = documented_files()
    card = next(line for line in files[GPUS].splitlines() if "1b06" in line)
    files[GPUS] = files[GPUS].replace(card, f"{card}\n{card}")
    files[ADVICE] += "\n" + files[ADVICE][files[ADVICE].index("[[advice]]") :]
    told = problems(tmp_path, files)
    assert any("gpus[1].name: expected each card once" in line for line in told)
    assert any("advice[1].id: expected each id once" in line for line in told)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("variant", "cuda.toml: variant[1].label: expected each variant once, found 'cu124'"),
        ("driver_branch", "cuda.toml: driver_branch[1].branch: expected each branch once, found 580"),
    ],
)
def test_what_is_known_of_cuda_stands_once(tmp_path: Path, table: str, told: str) -> None:
    files = documented_files()
    row = files[CUDA][files[CUDA].index(f"[[{table}]]") :]
    files[CUDA] += "\n" + row[: row.index("\n\n")] + "\n"
    assert problems(tmp_path, files) == [told]


def test_toml_that_cannot_be_parsed_names_its_line_and_nothing_that_follows_from_it(tmp_path: Path) -> None:
    files = documented_files()
    files[CUDA] = files[CUDA].replace("branch = 580", "branch = ")
    (told,) = problems(tmp_path, files)
    assert told.startswith("cuda.toml: expected TOML, found: ")
    assert "line 11" in told


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    write_catalogue(tmp_path, documented_files())
    (tmp_path / "advice.toml").write_bytes(b"schema = 1 # \xff\n")
    (told,) = problems(tmp_path, {})
    assert told == "advice.toml: expected UTF-8, found byte 0xff at offset 13"


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    files = documented_files()
    files[TORCH] = files[TORCH].replace("d4c3e9a8d31a7c0f", SHA256 * 3)
    (told,) = problems(tmp_path, files)
    assert told.endswith("...")
    assert len(told) < 220
