"""Where a row stands in its file: what is wrong, or to be mended, is shown by line."""

from __future__ import annotations

import os
import re
from typing import Any

from pascal_install.catalogue.checking.lines import Path, field_lines
from pascal_install.catalogue.decode import parse_toml
from pascal_install.model.build import Release
from pascal_install.value import NamedTuple

#: What `Fields` tells: `packages/torch.toml: release[3].wheels[0].tag: expected ...`.
_TOLD = re.compile(r"(?P<file>\S+\.toml): (?P<field>[^\s:]+)(?P<rest>: .*)", re.DOTALL)
#: What the parser of TOML tells.
_PARSER = re.compile(r"(?P<file>\S+\.toml): (?P<rest>expected TOML, .*\(at line (?P<line>\d+), .*)", re.DOTALL)
_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")


class Row(NamedTuple):
    """One `[[release]]` of a file."""

    file: str
    """Path in the folder, with forward slashes."""
    number: int
    """Its place among the releases of the file, from 0."""
    line: int
    """The line of its header, from 1."""
    end: int
    """The line of the next release, or one past the last line."""

    @property
    def field(self) -> str:
        """How `Fields` names it."""
        return f"release[{self.number}]"

    def problem(self, field: str, expected: str, found: str) -> str:
        """Word what is wrong with one of its fields, as `Fields` does."""
        return f"{self.file}: {self.field}.{field}: expected {expected}, found {found}"


class Places:
    """The lines of the fields of a folder's files; each file is read once."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._files: dict[str, dict[Path, int]] = {}

    def with_lines(self, problems: list[str]) -> list[str]:
        """Put its line into each problem that tells file and field; where the field is missing, that of its row."""
        return [self._with_line(problem) for problem in problems]

    def _with_line(self, problem: str) -> str:
        told = _TOLD.fullmatch(problem)
        if not told:
            parser = _PARSER.match(problem)
            return f"{parser['file']}:{parser['line']}: {parser['rest']}" if parser else problem
        lines = self._lines(told["file"])
        path: Path = tuple(int(step[1:-1]) if step.startswith("[") else step for step in _STEP.findall(told["field"]))
        while path and path not in lines and (*path, 0) not in lines:
            path = path[:-1]
        line = lines.get(path) or lines.get((*path, 0), 1)
        return f"{told['file']}:{line}: {told['field']}{told['rest']}"

    def _lines(self, file: str) -> dict[Path, int]:
        if file not in self._files:
            self._files[file] = field_lines(read_text(self._directory, file))
        return self._files[file]


def fields_told(problems: list[str]) -> set[tuple[str, str]]:
    """Give file and first step of the path of every field that a problem is about: `release[3]`, `index[0]`, `name`."""
    found = (_TOLD.fullmatch(problem) for problem in problems)
    return {(told["file"], told["field"].partition(".")[0]) for told in found if told}


def read_text(directory: str, file: str) -> str:
    """Read a file of the folder; empty where it cannot be read, which `decode` tells."""
    try:
        with open(os.path.join(directory, file), encoding="utf-8") as opened:
            return opened.read()
    except (OSError, UnicodeDecodeError):
        return ""


class PackageFile(NamedTuple):
    """What a package's file tells beside its values."""

    file: str
    """Path in the folder, with forward slashes."""
    rows: dict[tuple[str, ...], Row]
    """By `Release.identity`; one row may hold for several CUDA variants."""
    templates: tuple[tuple[str, str], ...]
    """The addresses of its `[[index]]` tables, each with its field."""

    def row(self, release: Release) -> Row:
        """Find the row of a release."""
        return self.rows[release.identity]


def read_package_file(directory: str, name: str) -> PackageFile:
    """Read the places in a package's file. Rows without what identifies them, which `decode` tells, are left out."""
    file = f"packages/{name}.toml"
    text = read_text(directory, file)
    table = parse_toml(text)
    lines = field_lines(text)
    starts = [lines[("release", number)] for number in range(len(table.get("release", [])))]
    ends = [*starts[1:], text.count("\n") + 1]
    rows: dict[tuple[str, ...], Row] = {}
    for number, fields in enumerate(table.get("release", [])):
        for identity in _identities(name, fields):
            rows.setdefault(identity, Row(file, number, starts[number], ends[number]))
    templates = [
        (f"index[{number}].{key}", url)
        for number, index in enumerate(table.get("index", []))
        for key in ("page", "file", "mirrors")
        for url in ([index[key]] if isinstance(index.get(key), str) else index.get(key, []))
    ]
    return PackageFile(file, rows, tuple(templates))


def _identities(name: str, fields: Any) -> list[tuple[str, ...]]:
    version, os_name, machine, index = (_text(fields, key) for key in ("version", "os", "machine", "index"))
    labels = fields.get("variants") or [fields.get("variant", "")] if isinstance(fields, dict) else []
    return [(name, version, label, os_name, machine, index) for label in labels if isinstance(label, str)]


def _text(fields: Any, key: str) -> str:
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else ""
