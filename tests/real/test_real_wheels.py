"""Real wheels of PyPI, read where they lie: the answers are those of NVIDIA's cuobjdump (120 MB)."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from support.environments import ORIGINAL_ENVIRON

pytestmark = pytest.mark.real

TABLE = Path(__file__).parent.parent / "assets" / "cuobjdump" / "lists.tsv"


def rows() -> dict[str, list[dict[str, str]]]:
    by_wheel = defaultdict(list)
    with TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            by_wheel[row["wheel"]].append(row)
    return by_wheel


def address(wheel: str) -> str:
    """Let pip tell where the wheel lies."""
    name, version, _, _, platform = wheel.removesuffix(".whl").split("-")
    target = ["--only-binary", ":all:", "--platform", platform, "--python-version", "3.11", "--target", "nowhere"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--no-deps", "--report", "-"]
    done = subprocess.run(
        [*pip, *target, f"{name}=={version}"], env=ORIGINAL_ENVIRON, capture_output=True, text=True, check=True
    )
    url: str = json.loads(done.stdout)["install"][0]["download_info"]["url"]
    assert url.endswith(wheel), url
    return url


@pytest.mark.parametrize("wheel", sorted(rows()))
def test_a_wheel_is_read_as_cuobjdump_reads_it(wheel: str) -> None:
    command = [sys.executable, "-m", "pascal_install", "inspect", address(wheel), "--gpu", "6.1", "--format", "json"]
    done = subprocess.run(command, env=ORIGINAL_ENVIRON, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    binaries = {binary["member"]: binary for binary in json.loads(done.stdout)["binaries"]}
    for row in rows()[wheel]:
        executable, relocatable = (binaries[row["member"]][section] for section in ("nv_fatbin", "nv_relfatbin"))
        found = {
            "cubins": ",".join(f"{target}:{number}" for target, number in executable["cubin"].items()),
            "ptx": ",".join(f"{target}:{number}" for target, number in executable["ptx"].items()),
            "relocatable_cubins": ",".join(relocatable["cubin"]),
            "relocatable_ptx": ",".join(relocatable["ptx"]),
        }
        assert {name: text or "-" for name, text in found.items()} == {name: row[name] for name in found}
