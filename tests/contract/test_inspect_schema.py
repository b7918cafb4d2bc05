"""The published schema of `inspect --format json` describes what the command prints, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pascal_install.cli.main import main
from support.device_code import ASSETS, DAMAGED

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent.parent / "docs" / "inspect.schema.json").read_text(encoding="utf-8")
)
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
KNOWN = frozenset(
    (
        *("type", "const", "enum", "oneOf", "required", "properties", "additionalProperties", "items"),
        *("$ref", "$defs", "$schema", "title", "description"),
    )
)


def problems(value: Any, schema: dict[str, Any], path: str = "$") -> list[str]:
    """Check a value against the parts of JSON Schema that the schema uses."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    found = []
    if "$ref" in schema:
        found += problems(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
    if "oneOf" in schema and sum(not problems(value, one, path) for one in schema["oneOf"]) != 1:
        found.append(f"{path} is none or several of oneOf")
    if "const" in schema and value != schema["const"]:
        found.append(f"{path} is {value!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is {value!r}")
    names = schema.get("type", [])
    types = tuple(TYPES[name] for name in ([names] if isinstance(names, str) else names))
    if types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        return [*found, f"{path} is a {type(value).__name__}"]
    if isinstance(value, dict):
        found += [f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, item in value.items():
            part = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            found += [f"{path}.{name} is not described"] if part is False else problems(item, part, f"{path}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += problems(item, schema.get("items", {}), f"{path}[{number}]")
    return found


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    main(["inspect", *arguments, "--gpu", "6.1", "--gpu", "9.0", "--format", "json"], {})
    return json.loads(capsys.readouterr().out)


def test_what_is_printed_is_described(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    library = str(ASSETS / "libmixed.so")
    for arguments in (
        [library],
        [library, str(ASSETS / "libplain.so"), "--deep"],
        [str(ASSETS)],
        [str(DAMAGED / "wheel-damaged-library.whl")],
        [str(DAMAGED / "wheel-64-bit.whl"), "--quick"],
    ):
        assert problems(printed(capsys, *arguments), SCHEMA) == []
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / "libc10.so").write_bytes((DAMAGED / "symbols-sound.so").read_bytes())
    found = printed(capsys, str(DAMAGED / "symbols-sound.so"), "--against", str(tmp_path))
    assert found["against"]["findings"]
    assert problems(found, SCHEMA) == []


@pytest.mark.parametrize(
    "change", [{"new": 1}, {"schema": 2}, {"binaries": [{}]}, {"subject": None}, {"coverage": {"6.1": 1}}], ids=str
)
def test_what_is_not_described_is_noticed(change: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, str(ASSETS / "libmixed.so"))
    assert problems(found, SCHEMA) == []
    assert problems(found | change, SCHEMA) != []
