"""`pascal-install inspect --against`, as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pascal_install.cli.main import main
from support.shared_libraries import compile_library, needs_compiler

if TYPE_CHECKING:
    import pytest

TORCH = "namespace c10 { int check(int value) { return value; } }"
USER = "namespace c10 { int check(int); } int use() { return c10::check(1); }"


def pair(folder: Path, torch: str) -> tuple[str, str]:
    """Build an extension, and the torch that it meets."""
    built_with = compile_library(folder / "build", "libtorch.so", TORCH)
    extension = compile_library(folder / "ext", "_C.so", USER, built_with)
    compile_library(folder / "site" / "torch" / "lib", "libtorch.so", torch)
    return str(extension), str(folder / "site")


@needs_compiler
def test_a_pair_that_fits_loads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    extension, torch = pair(tmp_path, TORCH)
    assert main(["inspect", extension, "--gpu", "6.1", "--against", torch], {}) == 0
    said = capsys.readouterr().out
    assert "1 libraries that link with torch\n  loads\n" in said


@needs_compiler
def test_what_is_missing_is_named_both_ways_and_the_exit_code_stays_0(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    extension, torch = pair(tmp_path, TORCH.replace("check(int", "check(long"))
    arguments = ["inspect", extension, "--gpu", "6.1", "--against", torch]
    assert main(arguments, {}) == 0
    said = capsys.readouterr().out
    assert "  does not load\n" in said
    assert "_C.so  c10::check  _ZN3c105checkEi\n" in said
    assert main([*arguments, "--format", "json"], {}) == 0
    against = json.loads(capsys.readouterr().out)["against"]
    assert against["loads"] is False
    assert against["libraries"][0]["missing"] == [{"symbol": "_ZN3c105checkEi", "version": ""}]
    assert [finding["id"] for finding in against["findings"]] == ["symbols-missing"]


@needs_compiler
def test_a_place_without_torch_is_a_usage_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    extension, _ = pair(tmp_path, TORCH)
    assert main(["inspect", extension, "--gpu", "6.1", "--against", str(tmp_path / "ext")], {}) == 2
    assert "there is no torch in" in capsys.readouterr().err
