"""What stands in site-packages, told from the names and heads of metadata folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.facts.site_packages import installed_distributions, is_writable


def add(folder: Path, name: str, **files: str) -> None:
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file.replace("PKG_INFO", "PKG-INFO")).write_text(text)


def read(*folders: Path) -> list[tuple[str, str, str]]:
    return [(one.name, one.version, one.installer) for one in installed_distributions(tuple(map(str, folders)))]


@pytest.mark.parametrize(
    ("entry", "files", "expected"),
    [
        ("torch-2.6.0+cu124.dist-info", {"INSTALLER": "pip\n"}, ("torch", "2.6.0+cu124", "pip")),
        (
            "nvidia_cublas_cu12-12.4.5.8.dist-info",
            {"INSTALLER": "uv"},
            ("nvidia-cublas-cu12", "12.4.5.8", "uv"),
        ),
        ("Ruamel.Yaml-0.18.dist-info", {}, ("ruamel-yaml", "0.18", "")),
        ("torch-2.6.0.dist-info", {}, ("torch", "2.6.0", "")),  # a killed install: no INSTALLER, no METADATA
        ("odd-name-1.0.dist-info", {"METADATA": "Name: odd-name\nVersion: 1.0\n\nName: body"}, ("odd-name", "1.0", "")),
        (
            "torch-2.6_cu124.dist-info",
            {"METADATA": "Name: torch\nVersion: 2.6+cu124\n"},
            ("torch", "2.6+cu124", ""),
        ),
        ("old-1.2-py3.8.egg-info", {"PKG_INFO": "Name: old\nVersion: 1.2\n"}, ("old", "1.2", "")),
        ("bare.egg-info", {"PKG_INFO": "Metadata-Version: 2.1\nName: bare\nVersion: 3\n"}, ("bare", "3", "")),
    ],
)
def test_one_distribution(tmp_path: Path, entry: str, files: dict[str, str], expected: tuple[str, str, str]) -> None:
    add(tmp_path, entry, **files)
    assert read(tmp_path) == [expected]


def test_what_is_no_distribution(tmp_path: Path) -> None:
    for name in ("torch", "~orch-2.6.0.dist-info", "torch-2.6.0.data", "__pycache__", "nameless.dist-info"):
        add(tmp_path, name)
    assert read(tmp_path, tmp_path / "missing") == []


def test_an_egg_info_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "distutils.egg-info").write_text("Metadata-Version: 1.1\nName: distutils-made\nVersion: 0.1\n")
    assert read(tmp_path) == [("distutils-made", "0.1", "")]


def test_two_of_one_name_are_both_told(tmp_path: Path) -> None:
    add(tmp_path, "torch-2.6.0.dist-info")
    add(tmp_path, "torch-2.15.0.dist-info")
    assert [version for _, version, _ in read(tmp_path)] == ["2.15.0", "2.6.0"]


def test_purelib_and_platlib_that_are_one_folder_count_once(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib64").symlink_to("lib")
    add(tmp_path / "lib", "torch-2.6.0.dist-info")
    assert len(read(tmp_path / "lib", tmp_path / "lib64")) == 1


def test_a_folder_that_will_be_made_is_writable(tmp_path: Path) -> None:
    assert is_writable(str(tmp_path / "lib/python3.12/site-packages"))
    (tmp_path / "file").touch()
    assert not is_writable(str(tmp_path / "file/site-packages"))
