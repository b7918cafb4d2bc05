"""Packages that are not coupled to torch, for real: cupy, onnxruntime-gpu and faster-whisper from PyPI (500 MB)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.environments import ORIGINAL_ENVIRON, make_venv

pytestmark = pytest.mark.real

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    pytest.skip("these releases have wheels for Python 3.11 to 3.13", allow_module_level=True)


@pytest.mark.parametrize(
    ("packages", "pins", "imports"),
    [
        (["faster-whisper"], ["ctranslate2"], "faster_whisper, ctranslate2"),
        (["cupy", "onnxruntime-gpu"], ["cupy-cuda12x", "onnxruntime-gpu"], "cupy, onnxruntime"),
    ],
)
def test_no_torch_comes_along(tmp_path: Path, packages: list[str], pins: list[str], imports: str) -> None:
    python = make_venv(tmp_path / "venv")
    environ = {
        **ORIGINAL_ENVIRON,
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "PASCAL_INSTALL_CACHE_DIR": str(tmp_path / "cache"),
        "PASCAL_INSTALL_GPU": "GTX 1080 Ti",
        "PASCAL_INSTALL_DRIVER": "580.95.05",
    }
    command = [sys.executable, "-m", "pascal_install", "install", *packages, "--format", "json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [pin["name"] for pin in json.loads(done.stdout)["pins"]] == pins
    code = f"import {imports}, importlib.metadata as m; print({{d.name for d in m.distributions()}})"
    said = subprocess.run([str(python), "-c", code], env=environ, capture_output=True, text=True, check=True).stdout
    assert packages[-1] in said
    assert "'torch'" not in said
