"""Recipes from a plugin, and settings from a project: installed and typed as somebody would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.environments import clean_environ

EXAMPLE = Path(__file__).parents[2] / "examples/plugin"
MACHINE = ("--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--platform", "linux_x86_64", "--python-version", "3.12")


class Desk:
    """A folder where somebody types commands, beside packages that are installed for `pascal-install`."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site-packages"
        self.folder = folder / "project"
        self.folder.mkdir()
        self.environ = clean_environ(folder / "home", PYTHONPATH=str(self.site))
        inherited = os.environ.get("PYTHONPATH")
        if inherited:
            self.environ["PYTHONPATH"] += os.pathsep + inherited

    def types(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pascal_install", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False, timeout=120
        )

    def gets(self, *words: str) -> dict[str, Any]:
        done = self.types(*words, "--format", "json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def installs(self, source: Path) -> None:
        options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(self.site))
        subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_example_plugin_brings_its_package(desk: Desk) -> None:
    assert desk.types("plan", "team-kernels", *MACHINE).returncode == 3
    desk.installs(EXAMPLE)
    plan = desk.gets("plan", "team-kernels", *MACHINE)
    assert [(pin["name"], pin["version"]) for pin in plan["pins"]] == [
        ("torch", "2.6.0+cu124"),
        ("team-kernels", "1.2+cu124.torch2.6.0"),
    ]
    assert plan["pins"][1]["url"].startswith("https://wheels.example/team-kernels/team_kernels-1.2")
    listed = desk.gets("catalogue", "list", "team-kernels")["parts"]
    assert [(part["name"], part["origin"]) for part in listed] == [("team-kernels", "plugin my_team_recipes-1.0")]
    again = desk.gets("plan", "team-kernels", *MACHINE)
    assert again == plan


def write_plugin(site: Path, recipes: str, *, module: str = "other_recipes") -> None:
    info = site / "other_recipes-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(f"[pascal_install.catalogue]\nother = {module}\n", encoding="utf-8")
    (site / "other_recipes/packages").mkdir(parents=True)
    (site / "other_recipes/packages/torch.toml").write_text(recipes, encoding="utf-8")


TORCH = """\
schema = 1
name = "torch"
import_name = "torch"
role = "torch"
data_date = "2026-11-24"
[[index]]
id = "pytorch"
page = "https://download.pytorch.org/whl/{variant}"
file = "https://download.pytorch.org/whl/{variant}/{quoted}"
[[release]]
version = "2.6.0+cu124"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pytorch"
architectures = ["sm_60"]
confidence = "binary"
source = "somebody said so"
"""


@pytest.mark.parametrize("sha256", ["", "0" * 64])
def test_a_plugin_does_not_weaken_a_hash(desk: Desk, sha256: str) -> None:
    wheel = f'wheels = [{{tag = "cp312-cp312-linux_x86_64", sha256 = "{sha256}"}}]\n'
    write_plugin(desk.site, TORCH + (wheel if sha256 else wheel.replace(', sha256 = ""', "")))
    done = desk.types("plan", "torch==2.6.0", *MACHINE)
    assert done.returncode == 6
    assert "other_recipes-2.0 gives another hash" in done.stderr


@pytest.mark.parametrize(
    ("recipes", "module", "said"),
    [
        ("schema = 1\nname = 5\n", "other_recipes", "packages/torch.toml"),
        ("", "nowhere.at_all", "the plugin other_recipes-2.0 has no recipes"),
    ],
)
def test_a_broken_plugin_is_named(desk: Desk, recipes: str, module: str, said: str) -> None:
    write_plugin(desk.site, recipes, module=module)
    done = desk.types("plan", "torch", *MACHINE)
    assert done.returncode == 6
    assert said in done.stderr


PROJECT = """\
[project]
name = "game"
[tool.pascal-install]
packages = ["exllamav2==0.3.2", "torchvision"]
gpu = "GTX 1080 Ti"
driver = "580.95.05"
"""
ELSEWHERE = ("--platform", "linux_x86_64", "--python-version", "3.12")


def test_a_project_says_what_it_needs(desk: Desk) -> None:
    (desk.folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    desk.folder /= "deep/down"
    desk.folder.mkdir(parents=True)
    plan = desk.gets("plan", *ELSEWHERE)
    assert [pin["name"] for pin in plan["pins"]] == ["torch", "exllamav2", "torchvision"]
    assert plan["host"]["gpus"][0]["compute_capability"] == "6.1"


def test_what_is_typed_comes_first_then_the_environment(desk: Desk) -> None:
    (desk.folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    desk.environ["PASCAL_INSTALL_GPU"] = "RTX 4090"
    plan = desk.gets("plan", "torch", *ELSEWHERE)
    assert [pin["name"] for pin in plan["pins"]] == ["torch"]
    assert plan["host"]["gpus"][0]["compute_capability"] == "8.9"
    typed = desk.gets("plan", "torch", "--gpu", "P100", *ELSEWHERE)
    assert typed["host"]["gpus"][0]["compute_capability"] == "6.0"


def test_the_projects_recipes_lie_beside_it(desk: Desk) -> None:
    folder = desk.folder / "recipes/packages"
    folder.mkdir(parents=True)
    example = EXAMPLE / "src/my_team_recipes/packages/team-kernels.toml"
    (folder / "team-kernels.toml").write_bytes(example.read_bytes())
    (desk.folder / "pyproject.toml").write_text(PROJECT + 'catalogue = "recipes"\n', encoding="utf-8")
    plan = desk.gets("plan", "team-kernels", *ELSEWHERE)
    assert plan["pins"][1]["name"] == "team-kernels"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gpus = 5", "gpus: no such key"),
        ("driver = 580", "driver: expected a text"),
        ('gpu = ["6.1;7.5"]', "without `;`"),
        ("offline = 'yes'", "offline: expected true or false"),
        ("gpu = [", "pyproject.toml"),
    ],
)
def test_a_bad_project_is_told_with_file_and_key(desk: Desk, line: str, said: str) -> None:
    (desk.folder / "pyproject.toml").write_text(f"[tool.pascal-install]\n{line}\n", encoding="utf-8")
    done = desk.types("plan", "torch", *MACHINE)
    assert done.returncode == 6
    assert said in done.stderr
    assert "pyproject.toml" in done.stderr


def test_without_packages_anywhere(desk: Desk) -> None:
    done = desk.types("plan", *MACHINE)
    assert done.returncode == 2
    assert "[tool.pascal-install]" in done.stderr
