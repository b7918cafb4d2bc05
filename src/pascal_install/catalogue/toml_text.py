"""Values as TOML: the same values give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def to_toml(document: Mapping[str, Any]) -> str:
    """Write a document: plain values first, then tables, then lists of tables."""
    return "".join(_table(document, ())).lstrip("\n")


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines, below = [], []
    for key, value in table.items():
        here = (*path, key_text(key))
        if isinstance(value, Mapping):
            below += ["\n[", ".".join(here), "]\n", *_table(value, here)]
        elif len(here) == 1 and isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            for entry in value:
                below += ["\n[[", here[0], "]]\n", *_table(entry, here)]
        else:
            lines += [key_text(key), " = ", value_text(value), "\n"]
    return [*lines, *below]


def key_text(key: str) -> str:
    """Write a key, quoted where it must be."""
    is_bare = key and all(character.isascii() and (character.isalnum() or character in "-_") for character in key)
    return key if is_bare else _string(key)


def value_text(value: Any) -> str:
    """Write a value on one line; a list of tables takes one line for each."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(key)} = {value_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        parts = [value_text(inner) for inner in value]
        if any(isinstance(inner, Mapping) for inner in value):
            return "[\n" + "".join(f"    {part},\n" for part in parts) + "]"
        return "[" + ", ".join(parts) + "]"
    return _string(str(value))


def _string(text: str) -> str:
    # JSON escapes what TOML wants escaped, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
