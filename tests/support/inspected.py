"""Environments to inspect: site-packages with distributions whose libraries are the fixtures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def add_distribution(site_dir: Path, name: str, version: str, files: Mapping[str, bytes | Path]) -> None:
    """Install a distribution the plain way: its files, and a RECORD that lists them."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    for member, content in files.items():
        path = site_dir / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    folder = site_dir / info
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{member},sha256=x,1" for member in files] + [f"{info}/RECORD,,"]
    (folder / "RECORD").write_text("\n".join(lines) + "\n")


def torch_version_file(cuda: str | None) -> bytes:
    """Write the lines of torch/version.py that its build writes."""
    value = "None" if cuda is None else repr(cuda)
    lines = ("from typing import Optional", "__version__ = '2.6.0'", "debug = False", f"cuda: Optional[str] = {value}")
    return "\n".join((*lines, "")).encode()
