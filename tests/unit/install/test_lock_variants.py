"""Locks of packages whose CUDA variants share a wheel, or the name of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.errors import VerificationError
from pascal_install.installation.lock_reading import Locked, parse_lock, read_lock
from pascal_install.model.build import Catalogue, Release
from support import facts

SHA = {name: character * 64 for name, character in (("torch", "1"), ("bitsandbytes", "2"), ("llama", "3"))}
HEAD = 'lock-version = "1.0"\ncreated-by = "somebody"\n'
PACKAGE = """
[[packages]]
name = "{name}"
version = "{version}"
{index}
[[packages.wheels]]
name = "{file}"
url = "{url}"
hashes = {{sha256 = "{sha256}"}}
"""


def one(name: str, version: str, url: str, sha256: str, variant: str = "") -> str:
    text = PACKAGE.format(name=name, version=version, index="", file=url.rpartition("/")[2], url=url, sha256=sha256)
    return f'{text}[packages.tool.pascal-install]\nvariant = "{variant}"\narchitectures = []\n' if variant else text


def shared(variant: str, architectures: str) -> Release:
    """A release of bitsandbytes: every CUDA variant lies in one wheel."""
    release = facts.release(
        "bitsandbytes", "0.50.2", architectures, torch=">=2.4,<3", variant=variant, publisher="pypi"
    )
    wheel = facts.wheel("bitsandbytes", "0.50.2", "py3-none-manylinux_2_28_x86_64", sha256=SHA["bitsandbytes"])
    return release._replace(wheels=(wheel._replace(url=""),))


def llama(variant: str, architectures: str, sha256: str = "") -> Release:
    """A release of llama-cpp-python: files of one name, each below the tag of its variant."""
    release = facts.release("llama-cpp-python", "0.3.35", architectures, variant=variant, publisher="github")
    wheel = facts.wheel("llama_cpp_python", "0.3.35", "py3-none-manylinux_2_28_x86_64", sha256=sha256)
    return release._replace(wheels=(wheel._replace(url=llama_url(variant)),))


def llama_url(variant: str) -> str:
    return f"https://host.example/v0.3.35-{variant}/llama_cpp_python-0.3.35-py3-none-manylinux_2_28_x86_64.whl"


def catalogue() -> Catalogue:
    return facts.catalogue(
        facts.release("torch", "2.6.0+cu126", facts.PASCAL_ARCHS),
        shared("cu130", "sm_75 sm_80"),
        shared("cu126", "sm_60 sm_75"),
        llama("cu130", "sm_75 sm_80", "9" * 64),
        llama("cu124", "sm_60 sm_61"),
        roles={"llama-cpp-python": "cuda"},
    )


def read(tmp_path: Path, *packages: str) -> Locked:
    where = str(tmp_path / "pylock.toml")
    return read_lock(parse_lock(HEAD + "".join(packages), where), where, facts.target(), facts.host("6.1"), catalogue())


def variant_of(locked: Locked, name: str) -> str:
    pin = locked.plan.pin(name)
    assert pin is not None
    assert all(found.kind == "cubin" for _, found in pin.coverage)
    return pin.build.release.variant


def test_a_foreign_lock_means_the_library_for_its_torch(tmp_path: Path) -> None:
    torch = "https://host.example/torch-2.6.0+cu126-cp312-cp312-manylinux_2_28_x86_64.whl"
    wheel = "https://host.example/bitsandbytes-0.50.2-py3-none-manylinux_2_28_x86_64.whl"
    locked = read(
        tmp_path,
        one("torch", "2.6.0+cu126", torch, SHA["torch"]),
        one("bitsandbytes", "0.50.2", wheel, SHA["bitsandbytes"]),
    )
    assert variant_of(locked, "bitsandbytes") == "cu126"


def test_our_own_lock_tells_the_variant(tmp_path: Path) -> None:
    wheel = "https://mirror.example/bitsandbytes-0.50.2-py3-none-manylinux_2_28_x86_64.whl"
    locked = read(tmp_path, one("bitsandbytes", "0.50.2", wheel, SHA["bitsandbytes"], "cu126"))
    assert variant_of(locked, "bitsandbytes") == "cu126"


def test_files_of_one_name_are_told_apart_by_their_address(tmp_path: Path) -> None:
    locked = read(tmp_path, one("llama-cpp-python", "0.3.35", llama_url("cu124"), SHA["llama"]))
    assert variant_of(locked, "llama-cpp-python") == "cu124"


def test_another_hash_than_the_recorded_one_is_an_alarm(tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        read(tmp_path, one("llama-cpp-python", "0.3.35", llama_url("cu130"), SHA["llama"]))
    assert caught.value.code == "hash-mismatch"
