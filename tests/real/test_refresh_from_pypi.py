"""The newest releases on the real PyPI, taken out of a copy of the data, come back as they were read by hand."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from pascal_install.catalogue.decode import parse_toml
from pascal_install.catalogue.refresh.run import Work, refresh, write
from pascal_install.catalogue.refresh.upstream import World
from pascal_install.inspection.kept import KeptReadings
from pascal_install.installation.pip_settings import pip_settings
from pascal_install.installation.selection import person_fetcher
from pascal_install.report.progress import SILENT
from support.catalogue_files import REAL

pytestmark = pytest.mark.real


#: What a refresh has to find out: of the torchaudio that names no torch, all but that.
FACTS = {
    "torch": ("variant", "architectures", "cudnn"),
    "triton": ("variant", "architectures", "torch", "torch_also"),
    "torchaudio": ("variant", "architectures"),
    "autoawq-kernels": ("variant",),
}


@pytest.mark.parametrize("name", FACTS)
def test_the_newest_release_comes_back(name: str, tmp_path: Path) -> None:
    text = (REAL / f"packages/{name}.toml").read_text(encoding="utf-8")
    version = next(row["version"] for row in parse_toml(text)["release"] if row["index"] == "pypi")
    blocks = re.split(r"(?m)^(?=\[\[release\]\])", text)
    left = [block for block in blocks if f'version = "{version}"\n' not in block]
    path = tmp_path / f"base/packages/{name}.toml"
    path.parent.mkdir(parents=True)
    (path.parent / "torch.toml").write_bytes((REAL / "packages/torch.toml").read_bytes())
    path.write_text("".join(left), encoding="utf-8")
    labels = [row["label"] for row in parse_toml((REAL / "cuda.toml").read_text(encoding="utf-8"))["variant"]]
    settings = pip_settings(sys.executable, os.environ)
    with person_fetcher(settings, ()) as fetcher:
        world = World(fetcher, settings.index_url, sorted(labels))
        kept = KeptReadings(str(tmp_path / "cache"))
        folder = str(tmp_path / "base")
        write([refresh(name, Work(folder, folder, world, kept, "2026-11-24", SILENT, ("pypi",)))])

    def facts(content: str) -> dict[tuple[str, str], tuple[object, ...]]:
        rows = [row for row in parse_toml(content)["release"] if row["version"] == version and row["index"] == "pypi"]
        return {
            (row["os"], row["machine"]): (
                *(row.get(field) for field in FACTS[name]),
                sorted((wheel["tag"], wheel["sha256"], wheel["size"]) for wheel in row["wheels"]),
            )
            for row in rows
        }

    assert facts(path.read_text(encoding="utf-8")) == facts(text)
