"""Changes to the text of a package's file: what is not concerned stays as it is, byte for byte."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from packaging.version import Version

from pascal_install.catalogue.decode import parse_toml
from pascal_install.catalogue.refresh.compare import Row
from pascal_install.catalogue.toml_text import key_text, to_toml, value_text
from pascal_install.catalogue.writing import cannot_edit
from pascal_install.model.cuda import CudaVersion, variant_cuda

_HEADER = re.compile(r"^\[", re.MULTILINE)
_RELEASE = re.compile(r"^\[\[release\]\][^\n]*\n", re.MULTILINE)
_SOURCES = re.compile(r"^\[sources\][^\n]*\n", re.MULTILINE)
_WHEEL = re.compile(r"^[ \t]*\{.*\},?[ \t]*$", re.MULTILINE)


def identity(release: Mapping[str, Any]) -> tuple[object, ...]:
    """Tell one release of a file from another."""
    variants = tuple(release.get("variants") or [release.get("variant", "")])
    return (release["version"], variants, release["os"], release["machine"], release["index"])


def edited(text: str, releases: Sequence[Row], sources: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Put releases into a file: over those of the same identity, else in the order of versions.

    `sources` come into its `[sources]`, `fields` are plain ones at its head. Raises DataError for a file that is
    written in a way that cannot be edited.
    """
    wanted = _expected(parse_toml(text), releases, sources, fields)
    for release in releases:
        text = _put(text, release)
    for key, value in sources.items():
        text = _with_source(text, key, value)
    for key, value in fields.items():
        text = _with_field(text, key, value)
    if parse_toml(text) != wanted:
        raise cannot_edit("changing it in place would change more than it should")
    return text


def new_file(base: Mapping[str, Any]) -> str:
    """Begin a file that lies over another one: its head and indexes, without a release."""
    kept = ("uses", "one_of", "index")
    return to_toml(
        {
            key: value
            for key, value in base.items()
            if key in kept or (isinstance(value, (str, int)) and key != "checked")
        }
    )


def release_text(release: Row) -> str:
    """Write a release, one wheel a line."""
    lines = [f"{key_text(key)} = {value_text(value)}\n" for key, value in release.items() if key != "wheels"]
    wheels = [f"  {value_text(wheel)},\n" for wheel in release["wheels"]]
    return "".join(["[[release]]\n", *lines, "wheels = [\n", *wheels, "]\n"])


def _expected(
    raw: dict[str, Any], releases: Sequence[Row], sources: Mapping[str, str], fields: Mapping[str, str]
) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    rows = raw.get("release", [])
    for release in releases:
        place = next((place for place, row in enumerate(rows) if identity(row) == identity(release)), None)
        if place is None:
            rows.insert(_place(rows, release), release)
        else:
            rows[place] = release
    if rows:
        raw["release"] = rows
    if sources:
        raw["sources"] = {**raw.get("sources", {}), **sources}
    return {**raw, **fields}


def _place(rows: Sequence[Row], release: Row) -> int:
    """Find where a release belongs: before the first one that is older."""
    return next((place for place, row in enumerate(rows) if _age(row) < _age(release)), len(rows))


def _age(release: Row) -> tuple[Version, CudaVersion]:
    label = (release.get("variants") or [release.get("variant", "cpu")])[0]
    return Version(release["version"].partition("+")[0]), variant_cuda(label) or CudaVersion(0, 0)


def _put(text: str, release: Row) -> str:
    rows = parse_toml(text).get("release", [])
    starts = [found.start() for found in _RELEASE.finditer(text)]
    if len(starts) != len(rows):
        raise cannot_edit("a [[release]] does not begin its line")
    ends = [*starts[1:], len(text)]
    place = next((place for place, row in enumerate(rows) if identity(row) == identity(release)), None)
    if place is not None:
        block = text[starts[place] : ends[place]]
        return text[: starts[place]] + _changed(block, rows[place], release) + text[ends[place] :]
    before = _place(rows, release)
    if before < len(starts):
        return text[: starts[before]] + release_text(release) + "\n" + text[starts[before] :]
    return text.rstrip("\n") + "\n\n" + release_text(release)


def _changed(block: str, before: Row, after: Row) -> str:
    """Change the lines of one release that say something else now."""
    for key in after:
        if key != "wheels" and key in before and before[key] != after[key]:
            line = re.compile(rf"^{re.escape(key)}[ \t]*=.*$", re.MULTILINE)
            block = line.sub(lambda _, key=key: f"{key} = {value_text(after[key])}", block, count=1)  # type: ignore[misc]
    lines = list(_WHEEL.finditer(block))
    same_fields = [key for key in before if key != "wheels"] == [key for key in after if key != "wheels"]
    if len(lines) != len(before["wheels"]) or not lines or not same_fields:
        tail = block[len(block.rstrip("\n")) :]
        return release_text(after).rstrip("\n") + tail
    for line, old, new in reversed(list(zip(lines, before["wheels"], after["wheels"], strict=False))):
        if old != new:
            block = block[: line.start()] + f"  {value_text(new)}," + block[line.end() :]
    added = "".join(f"  {value_text(wheel)},\n" for wheel in after["wheels"][len(before["wheels"]) :])
    if added:
        last = list(_WHEEL.finditer(block))[-1]
        kept = block[: last.end()] if block[: last.end()].rstrip().endswith(",") else block[: last.end()].rstrip() + ","
        block = f"{kept}\n{added.rstrip()}{block[last.end() :]}"
    return block


def _with_source(text: str, key: str, value: str) -> str:
    if key in parse_toml(text).get("sources", {}):
        return text
    line = f"{key_text(key)} = {value_text(value)}\n"
    found = _SOURCES.search(text)
    if found:
        return text[: found.end()] + line + text[found.end() :]
    first = _RELEASE.search(text)
    place = first.start() if first else len(text)
    return f"{text[:place].rstrip()}\n\n[sources]\n{line}" + ("\n" + text[place:] if first else "")


def _with_field(text: str, key: str, value: str) -> str:
    first = _HEADER.search(text)
    end = first.start() if first else len(text)
    head, rest = text[:end], text[end:]
    line = re.compile(rf"^{re.escape(key)}[ \t]*=.*$", re.MULTILINE)
    if line.search(head):
        said = re.compile(rf'^({re.escape(key)}[ \t]*=[ \t]*)"[^"]*"', re.MULTILINE)
        return said.sub(lambda found: f"{found[1]}{value_text(value)}", head, count=1) + rest
    return f"{head.rstrip()}\n{key} = {value_text(value)}\n\n" + rest
