"""The catalogue that ships: it is whole, its compiled form agrees with it, and the facts that matter stand in it."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from pascal_install.catalogue.compile import compile_data, platform_of, platforms
from pascal_install.catalogue.decode import Data, decode
from pascal_install.catalogue.load import load, load_gpus, package_names
from pascal_install.catalogue.ranking import newest_first
from pascal_install.facts.gpu_name import find_gpu
from pascal_install.model.build import CONFIRMED, Release
from pascal_install.model.cuda import ComputeCapability, coverage
from pascal_install.resolve.rules import fits_torch
from support.catalogue_files import REAL

PASCAL = ComputeCapability(6, 1)


@pytest.fixture(scope="module")
def data() -> Data:
    return decode(str(REAL))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def release(data: Data, version: str, os: str = "linux", machine: str = "x86_64", index: str = "pytorch") -> Release:
    name = "exllamav2" if "torch" in version else "torch"
    (found,) = (
        one
        for one in data.packages[name].releases
        if (one.version, one.os, one.machine, one.publisher) == (version, os, machine, index)
    )
    return found


def existence(data: Data, version: str, tag: str, os: str = "linux", index: str = "pytorch") -> str:
    return next(wheel.existence for wheel in release(data, version, os, index=index).wheels if wheel.tag == tag)


def has(data: Data, version: str, capability: str, os: str = "linux", index: str = "pytorch") -> bool:
    found = coverage(release(data, version, os, index=index).architectures, ComputeCapability.parse(capability))
    return found.kind == "cubin"


def test_the_compiled_form_agrees_with_the_toml(data: Data, cache: str) -> None:
    assert package_names(cache_dir=cache) == tuple(sorted(data.packages))
    for name, package in data.packages.items():
        assert platforms(package) or package.uses or package.one_of
        for os, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("windows", "x86_64"), ("darwin", "aarch64")):
            loaded = load([name], os, machine, cache_dir=cache)
            of_platform = tuple(one for one in package.releases if platform_of(one) == f"{os}_{machine}")
            assert loaded.packages[name] == package._replace(releases=of_platform)
            assert loaded.tables == data.tables
            assert loaded.data_date == max(data.dates[f"packages/{one}.toml"] for one in loaded.packages)
            assert loaded.unknown == ()


def test_compiling_gives_the_same_bytes_in_whatever_order_the_rows_stand(data: Data) -> None:
    files = compile_data(data)
    shuffled = {}
    for name, package in data.packages.items():
        releases = list(package.releases)
        random.Random(7).shuffle(releases)
        shuffled[name] = package._replace(releases=newest_first(releases))
    assert compile_data(data._replace(packages=shuffled)) == files
    assert json.loads(files["meta.json"])["digest"] == data.digest


def test_names_that_are_not_there_are_told(cache: str) -> None:
    found = load(["torch", "no-such-thing"], "linux", "x86_64", cache_dir=cache)
    assert found.unknown == ("no-such-thing",)
    assert list(found.packages) == ["torch"]


def test_releases_are_ranked_by_version_and_builds_of_one_version_share_a_rank(data: Data) -> None:
    for package in data.packages.values():
        assert list(package.releases) == sorted(package.releases, key=lambda one: -one.rank)
    ranks = {one.public_version: one.rank for one in data.packages["torch"].releases}
    assert ranks["2.10.0"] > ranks["2.9.1"] > ranks["2.9.0"]
    assert ranks["2.15.0"] == max(ranks.values())
    assert len({one.rank for one in data.packages["torch"].releases if one.public_version == "2.6.0"}) == 1


def test_windows_builds_differ_from_linux_ones(data: Data) -> None:
    assert not has(data, "2.8.0+cu126", "6.0", "windows")
    assert has(data, "2.8.0+cu126", "6.1", "windows")
    assert has(data, "2.8.0+cu126", "6.0")
    assert has(data, "2.7.1+cu128", "6.1", "windows")
    assert not has(data, "2.7.1+cu128", "7.0")
    assert release(data, "2.8.0+cu128", "windows").confidence == "disputed"
    assert "9929" in release(data, "2.8.0+cu128", "windows").note


def test_no_torch_after_2_14_has_code_for_pascal(data: Data) -> None:
    serving = [one for one in data.packages["torch"].releases if coverage(one.architectures, PASCAL).kind == "cubin"]
    assert max(serving, key=lambda one: one.rank).version == "2.14.1+cu126"
    assert {one.version for one in serving if one.publisher == "pypi"} >= {"2.7.1", "2.6.0"}
    assert "2.8.0" not in {one.version for one in serving if one.publisher == "pypi"}


def test_only_seen_files_are_confirmed(data: Data) -> None:
    cp312 = "cp312-cp312-manylinux_2_28_x86_64"
    assert existence(data, "2.14.0+cu126", cp312) == "proven"
    assert existence(data, "2.14.1+cu126", cp312) == "matrix"
    assert existence(data, "2.14.1+cu126", "cp312-cp312-win_amd64", "windows") == "proven"
    linux = "cp312-cp312-linux_x86_64"
    assert existence(data, "0.3.2+cu124.torch2.6.0", linux, index="github") in CONFIRMED
    assert existence(data, "0.2.8+cu126.torch2.6.0", linux, index="github") == "dropped"


def test_the_abi_of_torch_2_6_differs_between_variants(data: Data) -> None:
    assert release(data, "2.6.0+cu126").cxx11_abi is True
    assert release(data, "2.6.0+cu124").cxx11_abi is False
    assert release(data, "2.7.0+cu128").cxx11_abi is True
    assert release(data, "2.6.0+cu126", "windows").cxx11_abi is None
    assert release(data, "2.14.0+cu126").cudnn == "9.10.2.21"


def test_addresses_are_written_as_their_hosts_want_them(data: Data) -> None:
    torch = release(data, "2.6.0+cu124").wheels[0]
    assert "/whl/cu124/torch-2.6.0%2Bcu124-" in torch.url
    assert torch.mirrors == (torch.url.replace("download.", "download-r2."),)
    exllamav2 = release(data, "0.3.2+cu124.torch2.6.0", index="github").wheels[0]
    assert "/releases/download/v0.3.2/exllamav2-0.3.2+cu124.torch2.6.0-" in exllamav2.url
    addresses = [wheel.url for one in data.packages["exllamav2"].releases for wheel in one.wheels]
    assert any("/releases/download/0.0.13.post2/" in url for url in addresses)
    assert any("/releases/download/v0.0.14/" in url for url in addresses)


def test_pypi_builds_have_hash_and_size_and_no_address(data: Data) -> None:
    for package in data.packages.values():
        wheels = [wheel for one in package.releases if one.publisher == "pypi" for wheel in one.wheels]
        assert all(wheel.sha256 and wheel.size_bytes and not wheel.url for wheel in wheels)
    torch = release(data, "2.10.0", index="pypi")
    assert [wheel.filename for wheel in torch.wheels if wheel.tag == "cp312-cp312-manylinux_2_28_x86_64"] == [
        "torch-2.10.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.10.0-3-cp312-cp312-manylinux_2_28_x86_64.whl",
    ]


def test_exllamav2_never_comes_from_pypi_and_fits_one_torch(data: Data) -> None:
    package = data.packages["exllamav2"]
    assert "py3-none-any" in package.never_from_pypi
    torches = {one.public_version for one in data.packages["torch"].releases}
    assert {one.torch for one in package.releases} <= torches
    assert all(not wheel.tag.startswith("py3") for one in package.releases for wheel in one.wheels)
    assert not any(coverage(one.architectures, ComputeCapability(5, 2)).kind == "cubin" for one in package.releases)


def test_companions_are_coupled_to_a_torch_that_is_there(data: Data) -> None:
    torches = {one.public_version for one in data.packages["torch"].releases}
    for name in ("torchvision", "torchaudio"):
        for one in data.packages[name].releases:
            assert {one.torch, *one.torch_also} <= torches
    (audio,) = (
        one for one in data.packages["torchaudio"].releases if one.version == "2.11.0+cu126" and one.os == "linux"
    )
    assert audio.torch == "2.11.0"
    assert "2.14.1" in audio.torch_also


def test_one_file_has_one_hash(data: Data) -> None:
    for package in data.packages.values():
        for publisher in {one.publisher for one in package.releases}:
            hashes: dict[str, str] = {}
            of_publisher = [one for one in package.releases if one.publisher == publisher]
            for wheel in (wheel for one in of_publisher for wheel in one.wheels if wheel.sha256):
                assert hashes.setdefault(wheel.url or wheel.filename, wheel.sha256) == wheel.sha256


def test_drivers_and_generations(data: Data) -> None:
    variants = {facts.label: facts for facts in data.tables.variants}
    assert str(variants["cu118"].min_driver_linux) == "450.80.02"
    assert str(variants["cu126"].min_driver_windows) == "528.33"
    assert {one.variant for package in data.packages.values() for one in package.releases} <= {*variants, "any"}
    assert dict(data.tables.driver_branches)[580] == (13, 0)
    pascal = next(one for one in data.tables.generations if "6.1" in one.capabilities)
    assert (pascal.name, pascal.last_driver_branch, pascal.last_cuda) == ("Pascal", 580, "12.9")
    capabilities = [capability for one in data.tables.generations for capability in one.capabilities]
    assert len(capabilities) == len(set(capabilities))


@pytest.mark.parametrize(
    ("device_id", "name", "capability"),
    [
        ("1b06", "GeForce GTX 1080 Ti", (6, 1)),
        ("0x1B38", "Tesla P40", (6, 1)),
        ("15f8", "Tesla P100 PCIe 16GB", (6, 0)),
        ("13fa", "Quadro M3000M", (5, 2)),
        ("129a", "GeForce 910M", (3, 5)),
        ("2684", "GeForce RTX 4090", (8, 9)),
    ],
)
def test_cards_by_pci_id(cache: str, device_id: str, name: str, capability: tuple[int, int]) -> None:
    assert load_gpus(cache_dir=cache).lookup_pci(device_id) == (name, capability)


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("Jetson TX1", "5.3"),
        ("NVIDIA Tegra X1", "5.3"),
        ("Jetson Nano", "5.3"),
        ("Jetson TX2", "6.2"),
        ("Jetson TX2 NX", "6.2"),
        ("DRIVE PX 2", "6.1"),
        ("Jetson Xavier NX", "7.2"),
        ("IGX Orin", "8.7"),
        ("Jetson Thor", "11.0"),
        ("RTX 5070", "12.0"),
        ("DGX Spark", "12.1"),
    ],
)
def test_cards_and_boards_by_the_names_that_people_write(cache: str, text: str, capability: str) -> None:
    assert find_gpu(text, load_gpus(cache_dir=cache))[1] == ComputeCapability.parse(capability)


def test_cards_by_name_and_ids_that_nobody_knows(cache: str) -> None:
    gpus = load_gpus(cache_dir=cache)
    assert ("Quadro M3000M", "5.2") in gpus
    assert ("Quadro M3000M", "5.0") not in gpus
    assert all(name and not name.startswith("NVIDIA") for name, _ in gpus)
    assert gpus.lookup_pci("ffff") is None


def test_advice_names_known_packages_and_has_one_or_two_lines(data: Data) -> None:
    for advice in data.tables.advice:
        assert set(advice.packages) <= set(data.packages)
        assert len(advice.text) <= 200
    pascal = {advice.id for advice in data.tables.advice if "6.1" in advice.capabilities and advice.when == "plan"}
    assert {"does-not-work-below-7.0", "fp16-slow"} <= pascal


def test_no_file_names_the_address_of_pypi() -> None:
    for path in Path(REAL).rglob("*.toml"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"pypi[.]org", text) is None
        assert "pythonhosted" not in text


def test_symbols_let_xformers_beside_another_minor_of_cuda(data: Data) -> None:
    # pip installs just this pair: xformers 0.0.28.post3 asks for torch==2.5.1, which PyPI has for CUDA 12.4 only.
    rows = {(one.version, one.os): one for one in data.packages["xformers"].releases if one.publisher == "pypi"}
    torch = release(data, "2.5.1", index="pypi")
    assert fits_torch(rows["0.0.28.post3", "linux"], torch)
    assert "the symbols of xformers-0.0.28.post3" in rows["0.0.28.post3", "linux"].source
    # Its symbols resolve too, but CUDA 13 beside CUDA 12 is promised by nobody.
    assert not fits_torch(rows["0.0.33", "linux"], release(data, "2.9.0", index="pypi"))
