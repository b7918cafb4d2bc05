"""A person's own builds over ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.catalogue.load import load, load_gpus, package_names
from pascal_install.errors import DataError
from pascal_install.model.build import Catalogue, Release
from support.catalogue_files import SHA256, problems_of, write_catalogue

HEAD = 'schema = 1\nname = "{name}"\nimport_name = "{name}"\nrole = "{role}"\ndata_date = "2027-01-02"\n'
INDEX = '[[index]]\nid = "{id}"\nfile = "https://wheels.example/{{filename}}"\n'
RELEASE = """
[[release]]
version = "{version}"
variant = "{variant}"
os = "linux"
machine = "x86_64"
index = "{index}"
architectures = ["sm_61"]
confidence = "binary"
source = "we built it"
{more}
wheels = [{{tag = "cp312-cp312-linux_x86_64", sha256 = "{sha256}"}}]
"""


def torch_release(version: str, variant: str, index: str = "pytorch", more: str = "") -> str:
    return RELEASE.format(version=version, variant=variant, index=index, more=more, sha256=SHA256)


def loaded(tmp_path: Path, names: list[str]) -> Catalogue:
    return load(names, "linux", "x86_64", overlay=str(tmp_path / "mine"), cache_dir=str(tmp_path / "cache"))


def find(catalogue: Catalogue, name: str, version: str) -> Release:
    (found,) = (one for one in catalogue.packages[name].releases if one.version == version)
    return found


def test_the_same_build_is_replaced_and_others_are_added_in_their_place(tmp_path: Path) -> None:
    text = HEAD.format(name="torch", role="torch") + INDEX.format(id="pytorch")
    text += torch_release("2.6.0+cu124", "cu124") + torch_release("2.14.2+cu126", "cu126")
    write_catalogue(tmp_path / "mine", {"packages/torch.toml": text})
    before = load(["torch"], "linux", "x86_64", cache_dir=str(tmp_path / "cache"))
    after = loaded(tmp_path, ["torch"])
    assert len(after.packages["torch"].releases) == len(before.packages["torch"].releases) + 1
    mine = find(after, "torch", "2.6.0+cu124")
    assert [wheel.url for wheel in mine.wheels] == [
        "https://wheels.example/torch-2.6.0+cu124-cp312-cp312-linux_x86_64.whl"
    ]
    assert mine.source == "we built it"
    new, newest_cu126 = find(after, "torch", "2.14.2+cu126"), find(after, "torch", "2.14.1+cu126")
    assert newest_cu126.rank < new.rank < find(after, "torch", "2.15.0").rank
    assert after.data_date == "2027-01-02"


def test_another_publisher_of_the_same_version_stands_beside_ours(tmp_path: Path) -> None:
    text = HEAD.format(name="torch", role="torch") + INDEX.format(id="us") + torch_release("2.6.0+cu124", "cu124", "us")
    write_catalogue(tmp_path / "mine", {"packages/torch.toml": text})
    found = [
        one.publisher for one in loaded(tmp_path, ["torch"]).packages["torch"].releases if one.version == "2.6.0+cu124"
    ]
    assert sorted(found) == ["pytorch", "us"]


def test_what_belongs_to_the_package_stays(tmp_path: Path) -> None:
    text = HEAD.format(name="exllamav2", role="torch-extension") + INDEX.format(id="us")
    text += torch_release("0.3.3+cu126.torch2.14.0", "cu126", "us", 'torch = "2.14.0"')
    write_catalogue(tmp_path / "mine", {"packages/exllamav2.toml": text})
    package = loaded(tmp_path, ["exllamav2"]).packages["exllamav2"]
    assert package.never_from_pypi
    assert package.releases[0].version == "0.3.3+cu126.torch2.14.0"


def test_new_packages_variants_cards_and_advice(tmp_path: Path) -> None:
    files = {
        "packages/our-kernels.toml": HEAD.format(name="our-kernels", role="cuda")
        + INDEX.format(id="us")
        + torch_release("1.0+cu127", "cu127", "us"),
        "cuda.toml": 'schema = 1\ndata_date = "2027-01-02"\n[[variant]]\nlabel = "cu127"\nmin_driver_linux = "565.57"\n'
        'min_driver_windows = "566.03"\nsource = "our build"\n',
        "gpus.toml": 'schema = 1\ndata_date = "2027-01-02"\n'
        'gpus = [{name = "Our Card", capability = "6.1", pci = "1b06", source = "our build"}]\n',
        "advice.toml": 'schema = 1\ndata_date = "2027-01-02"\n'
        '[[advice]]\nid = "fp16-slow"\ntext = "ours"\nsource = "our build"\n',
    }
    write_catalogue(tmp_path / "mine", files)
    overlay, cache = str(tmp_path / "mine"), str(tmp_path / "cache")
    found = loaded(tmp_path, ["our-kernels", "torch"])
    wheel = found.packages["our-kernels"].releases[0].wheels[0]
    assert wheel.filename == "our_kernels-1.0+cu127-cp312-cp312-linux_x86_64.whl"
    assert "our-kernels" in package_names(overlay=overlay, cache_dir=cache)
    assert {"cu126", "cu127"} <= {facts.label for facts in found.tables.variants}
    assert [advice.text for advice in found.tables.advice if advice.id == "fp16-slow"] == ["ours"]
    gpus = load_gpus(overlay=overlay, cache_dir=cache)
    assert gpus.lookup_pci("1b06") == ("Our Card", (6, 1))
    assert gpus.lookup_pci("1b38") == ("Tesla P40", (6, 1))


def test_its_problems_name_its_folder(tmp_path: Path) -> None:
    text = HEAD.format(name="torch", role="torch") + INDEX.format(id="us") + torch_release("2.6.0+cu999", "cu999", "us")
    write_catalogue(tmp_path / "mine", {"packages/torch.toml": text})
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, ["torch"])
    assert str(tmp_path / "mine") in caught.value.summary
    (problem,) = problems_of(caught.value)
    assert problem.startswith("packages/torch.toml: release[0].variant: expected 'any' or 'cpu' or 'cu112' or")


def test_a_folder_that_holds_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no catalogue in"):
        loaded(tmp_path, ["torch"])


def test_odd_names_and_addresses_survive_compiling(tmp_path: Path) -> None:
    text = HEAD.format(name="torch", role="torch") + INDEX.format(id="us") + torch_release("2.6.0+cu124", "cu124", "us")
    odd = (
        '{tag = "cp310-cp310-linux_x86_64", url = "https://other.example/a?b=c"},'
        '{tag = "cp311-cp311-linux_x86_64", filename = "torch-2.6.0+cu124-7-cp311-cp311-linux_x86_64.whl", size = 5},'
    )
    write_catalogue(tmp_path / "mine", {"packages/torch.toml": text.replace("wheels = [", f"wheels = [{odd}")})
    wheels = next(one.wheels for one in loaded(tmp_path, ["torch"]).packages["torch"].releases if one.publisher == "us")
    assert [(wheel.filename, wheel.url, wheel.size_bytes) for wheel in wheels] == [
        ("torch-2.6.0+cu124-cp310-cp310-linux_x86_64.whl", "https://other.example/a?b=c", None),
        (
            "torch-2.6.0+cu124-7-cp311-cp311-linux_x86_64.whl",
            "https://wheels.example/torch-2.6.0+cu124-7-cp311-cp311-linux_x86_64.whl",
            5,
        ),
        (
            "torch-2.6.0+cu124-cp312-cp312-linux_x86_64.whl",
            "https://wheels.example/torch-2.6.0+cu124-cp312-cp312-linux_x86_64.whl",
            None,
        ),
    ]
