"""Small answers that cost much to find, kept as one JSON file each.

A cache never fails: what cannot be read is found anew, and what cannot be written is not kept.
"""

from __future__ import annotations

import os

from pascal_install.read_json import read_json
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def _path(cache_dir: str, kind: str, name: str) -> str:
    plain = "".join(char if char.isalnum() else "-" for char in name)
    return os.path.join(cache_dir, kind, f"{plain[-100:]}.json")


def read(cache_dir: str, kind: str, name: str, key: list[Any]) -> Any:
    """Give what was kept under a name and a key, or None. An empty `cache_dir` keeps nothing."""
    if not cache_dir:
        return None
    try:
        with open(_path(cache_dir, kind, name), encoding="utf-8") as file:
            kept = read_json(file.read())
    except (OSError, ValueError):
        return None
    return kept["value"] if isinstance(kept, dict) and kept.get("key") == key else None


def write(cache_dir: str, kind: str, name: str, key: list[Any], value: Any) -> None:
    """Keep a value under a name, for as long as the key is the same; both are what JSON can hold, tuples excepted."""
    if not cache_dir:
        return
    import json

    path = _path(cache_dir, kind, name)
    part = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(part, "w", encoding="utf-8") as file:
            json.dump({"key": key, "value": value}, file)
        os.replace(part, path)
    except OSError:
        return
