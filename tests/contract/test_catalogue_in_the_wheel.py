"""The catalogue inside the built wheel, as an installed tool meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pascal_install.catalogue.compile import compile_data
from pascal_install.catalogue.decode import decode, digest
from support.catalogue_files import ROOT

pytest.importorskip("hatchling")

LOOK = """
import json, sys
from pascal_install.catalogue.load import load, load_gpus
from pascal_install.catalogue.locate import compiled_dir, data_dir
found = load(["torch", "exllamav2"], "linux", "x86_64", cache_dir="/nonexistent")
heavy = {"tomllib", "tomli", "packaging", "hashlib", "pathlib", "dataclasses", "inspect", "tempfile", "requests"}
print(json.dumps({
    "releases": {name: len(package.releases) for name, package in found.packages.items()},
    "card": load_gpus(cache_dir="/nonexistent").lookup_pci("1b06")[0],
    "folders": [compiled_dir(), data_dir()],
    "heavy": sorted(heavy & set(sys.modules)),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it, read-only, as a site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("pascal_install-*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for path in [site, *site.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return site


def test_the_packaged_copy_is_read_without_a_cache(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    # -S: an editable install of the project, if there is one, stays out.
    ran = subprocess.run(
        [sys.executable, "-S", "-c", LOOK], env=environment, cwd="/", check=True, capture_output=True, text=True
    )
    told = json.loads(ran.stdout)
    package = installed / "pascal_install"
    assert told["folders"] == [str(package / "_catalogue"), str(package / "resolver_data")]
    assert told["releases"]["torch"] > 50
    assert told["releases"]["exllamav2"] > 50
    assert told["card"] == "GeForce GTX 1080 Ti"
    assert told["heavy"] == []


def test_compiled_form_and_toml_in_the_wheel_agree(installed: Path) -> None:
    package = installed / "pascal_install"
    files = compile_data(decode(str(package / "resolver_data")))
    assert {path.name: path.read_bytes() for path in (package / "_catalogue").iterdir()} == files
    assert digest(str(package / "resolver_data")) == digest(str(ROOT / "resolver_data"))
