"""What counts as installed: each way in which pip and uv leave a tree that only looks so."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pascal_install.installation.needs import active, markers_for, possible, unmet
from pascal_install.installation.state import read_environment
from pascal_install.model.interpreter import Target


def target_at(site: Path) -> Target:
    return Target(
        executable="/nowhere/python",
        implementation="cpython",
        version=(3, 12, 1),
        abi="cp312",
        os="linux",
        machine="x86_64",
        tags=(),
        prefix=str(site.parent),
        purelib=str(site),
        platlib=str(site),
        scripts=str(site.parent / "bin"),
    )


def put(site: Path, name: str, version: str, files: dict[str, str], requires: tuple[str, ...] = ()) -> Path:
    """Lay out what an installer lays out."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(metadata + "\nRequires-Dist: not-a-header\n")
    (info / "INSTALLER").write_text("pip\n")
    rows = []
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
        rows.append(f"{path},sha256=x,{len(text)}\n")
    rows += [f"{info.name}/METADATA,,\n", f"{info.name}/INSTALLER,,\n", f"{info.name}/RECORD,,\n"]
    (info / "RECORD").write_text("".join(rows))
    return info


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


def why(site: Path, text: str) -> list[str]:
    target = target_at(site)
    return [need.why for need in unmet([Requirement(text)], read_environment(target), markers_for(target))]


def test_whole(site: Path) -> None:
    put(site, "torch", "2.6.0+cu124", {"torch/__init__.py": "x", "torch/lib/libtorch.so": "y"})
    assert why(site, "torch===2.6.0+cu124") == []


def test_pypis_torch_is_another_version_than_the_indexs(site: Path) -> None:
    put(site, "torch", "2.6.0", {"torch/__init__.py": "x"})
    assert why(site, "torch===2.6.0+cu124") == ["2.6.0 is installed"]
    assert why(site, "torch===2.6.0") == []


def test_a_killed_pip_leaves_no_installer(site: Path) -> None:
    info = put(site, "torch", "2.6.0", {"torch/__init__.py": "x"})
    (info / "INSTALLER").unlink()
    assert "INSTALLER" in why(site, "torch")[0]


def test_a_file_of_record_is_missing(site: Path) -> None:
    put(site, "torch", "2.6.0", {"torch/__init__.py": "x", "torch/lib/libtorch.so": "y"})
    (site / "torch/lib/libtorch.so").unlink()
    assert why(site, "torch") == [f"{site}/torch/lib/libtorch.so is missing"]


def test_a_file_of_record_was_cut(site: Path) -> None:
    put(site, "torch", "2.6.0", {"torch/__init__.py": "longer"})
    (site / "torch/__init__.py").write_text("")
    assert "0 bytes" in why(site, "torch")[0]


@pytest.mark.parametrize("left", [b"", bytes(4096), b"torch/__init__.py,sha256=x,1\n" + bytes(40)])
def test_what_a_power_cut_leaves_of_a_record_proves_nothing(site: Path, left: bytes) -> None:
    info = put(site, "torch", "2.6.0", {"torch/__init__.py": "x"})
    (info / "RECORD").write_bytes(left)
    assert why(site, "torch") == ["its RECORD lists nothing, and should list itself"]


def test_compiled_files_may_come_and_go(site: Path) -> None:
    put(site, "torch", "2.6.0", {"torch/__init__.py": "x", "torch/__pycache__/__init__.cpython-312.pyc": "c"})
    (site / "torch/__pycache__/__init__.cpython-312.pyc").unlink()
    assert why(site, "torch") == []


def test_certificates_that_a_company_added_stay(site: Path) -> None:
    put(site, "certifi", "2026.1.1", {"certifi/__init__.py": "x", "certifi/cacert.pem": "roots"})
    bundle = site / "certifi/cacert.pem"
    bundle.write_text("roots and our own")
    assert why(site, "certifi") == []
    bundle.write_text("roo")
    assert "3 bytes" in why(site, "certifi")[0]


def test_two_installs_over_each_other(site: Path) -> None:
    put(site, "torch", "2.6.0", {"torch/__init__.py": "x"})
    put(site, "torch", "2.15.0", {"torch/__init__.py": "x"})
    assert "2 metadata folders" in why(site, "torch==2.6.0")[0]


def test_an_empty_metadata_folder_of_a_killed_uv(site: Path) -> None:
    (site / "torch-2.6.0.dist-info").mkdir()
    assert why(site, "torch") == ["it has no METADATA: an install of it was cut off"]


def test_what_is_required_counts_too(site: Path) -> None:
    put(site, "torch", "2.6.0", {}, ("filelock>=3", 'colorama; sys_platform == "win32"', 'x; extra == "opt"'))
    assert why(site, "torch") == ["not installed"]
    put(site, "filelock", "2.0", {})
    assert why(site, "torch") == ["2.0 is installed"]


def test_extras_lead_on(site: Path) -> None:
    put(
        site, "cuda_toolkit", "13.0", {}, ('nvidia-cublas==13.1.*; extra == "cublas"', 'nvidia-cufft; extra == "cufft"')
    )
    put(site, "nvidia_cublas", "13.1.2", {})
    assert why(site, "cuda-toolkit[cublas]") == []
    assert why(site, "cuda-toolkit[cublas,cufft]") == ["not installed"]


def test_leftovers_of_a_killed_upgrade_are_seen(site: Path) -> None:
    (site / "~orch").mkdir()
    assert read_environment(target_at(site)).leftovers == (f"{site}/~orch",)


def test_files_outside_of_the_site_folder_are_found(site: Path) -> None:
    info = put(site, "torch", "2.6.0", {"torch/__init__.py": "x"})
    with (info / "RECORD").open("a") as file:
        file.write("../bin/torchrun,sha256=x,5\n")
    assert why(site, "torch") == [f"{site.parent}/bin/torchrun is missing"]
    (site.parent / "bin").mkdir()
    (site.parent / "bin/torchrun").write_text("12345")
    assert why(site, "torch") == []


def test_markers_are_the_targets_not_ours(site: Path) -> None:
    lines = ('a; python_version < "3.13"', 'b; python_full_version == "3.12.1"', 'c; platform_system == "Windows"')
    markers = markers_for(target_at(site))
    assert [one.name for one in active(lines, markers)] == ["a", "b"]
    windows = markers_for(target_at(site)._replace(os="windows"))
    assert [one.name for one in active(lines, windows)] == ["a", "b", "c"]
    assert windows["platform_machine"] == "AMD64"


def test_whichever_extra(site: Path) -> None:
    lines = ('a; extra == "one" and python_version >= "3.9"', "b; extra == 'two'", 'c; sys_platform == "win32"')
    assert [one.name for one in possible(lines, markers_for(target_at(site)))] == ["a", "b"]
