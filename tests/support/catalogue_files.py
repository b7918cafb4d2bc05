"""Small folders of catalogue TOML."""

from __future__ import annotations

import re
from pathlib import Path

from pascal_install.errors import DataError

ROOT = Path(__file__).parents[2]
REAL = ROOT / "resolver_data"
SHA256 = "0123456789abcdef" * 4


def documented_files() -> dict[str, str]:
    """Give the four examples of docs/data.md, which are a whole catalogue, by path."""
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return dict(zip(("packages/torch.toml", "cuda.toml", "gpus.toml", "advice.toml"), blocks, strict=True))


def write_catalogue(folder: Path, files: dict[str, str]) -> Path:
    """Write files by their paths in the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def problems_of(error: DataError) -> list[str]:
    """Give each problem that a DataError of the catalogue tells."""
    return error.cause.split("\n")
