"""Where a row stands in its file: what is wrong, or to be mended, is shown by line."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from pascal_install.catalogue.decode import parse_toml
from pascal_install.model.build import Release
from pascal_install.value import NamedTuple

_HEADER = re.compile(r"^\[\[(\w+)\]\]")
_PATH = re.compile(r"^(?P<file>\S+\.toml): (?P<field>(?P<table>\w+)\[(?P<row>\d+)\](\.wheels\[(?P<wheel>\d+)\])?.*)")


class Row(NamedTuple):
    """One `[[release]]` of a file."""

    file: str
    """Path in the folder, with forward slashes."""
    number: int
    """Its place among the releases of the file, from 0."""
    line: int
    """The line of its header, from 1."""
    end: int
    """The line of the next header, or one past the last line."""

    def problem(self, field: str, expected: str, found: str) -> str:
        """Word what is wrong with one of its fields, as `decode` does."""
        return f"{self.file}:{self.line}: release[{self.number}].{field}: expected {expected}, found {found}"


class Lines:
    """The lines of a file, and where its tables and their wheels begin."""

    def __init__(self, directory: str, file: str) -> None:
        self.file = file
        try:
            with open(os.path.join(directory, file), encoding="utf-8") as opened:
                self.lines = opened.read().splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            self.lines = []
        self._headers = [
            (found[1], number) for number, line in enumerate(self.lines, start=1) if (found := _HEADER.match(line))
        ]

    def rows(self, table: str) -> list[Row]:
        """Give the rows of a table, in their order."""
        ends = [*(line for _, line in self._headers), len(self.lines) + 1][1:]
        of_table = [(line, end) for (name, line), end in zip(self._headers, ends, strict=True) if name == table]
        return [Row(self.file, number, line, end) for number, (line, end) in enumerate(of_table)]

    def wheel_line(self, row: Row, number: int) -> int:
        """Give the line of a wheel, where each has one of its own; else that of its row."""
        inside = range(row.line, row.end - 1)
        starts = [at + 1 for at in inside if self.lines[at].lstrip().startswith("{")]
        return starts[number] if number < len(starts) else row.line


def with_line(directory: str, problem: str) -> str:
    """Put the line into a problem that `decode` tells with the path of a field."""
    said = _PATH.match(problem)
    if not said:
        return problem
    lines = Lines(directory, said["file"])
    rows = lines.rows(said["table"])
    place = int(said["row"])
    if place >= len(rows):
        return problem
    line = lines.wheel_line(rows[place], int(said["wheel"])) if said["wheel"] else rows[place].line
    return f"{said['file']}:{line}: {said['field']}"


class PackageFile(NamedTuple):
    """What a package's file tells beside its values. It must have passed `decode`."""

    rows: dict[tuple[str, ...], Row]
    """By `Release.identity`; one row may hold for several CUDA variants."""
    hosts: frozenset[str]
    """Those that its `[[index]]` tables name."""

    def row(self, release: Release) -> Row:
        """Find the row of a release."""
        return self.rows[release.identity]


def read_package_file(directory: str, name: str) -> PackageFile:
    """Read the places in a package's file."""
    lines = Lines(directory, f"packages/{name}.toml")
    table = parse_toml("".join(lines.lines))
    rows: dict[tuple[str, ...], Row] = {}
    for fields, row in zip(table.get("release", []), lines.rows("release"), strict=True):
        for variant in fields.get("variants") or [fields.get("variant", "")]:
            identity = (name, fields["version"], variant, fields["os"], fields["machine"], fields["index"])
            rows[identity] = row
    urls = [
        url
        for index in table.get("index", [])
        for url in (index.get("page", ""), index.get("file", ""), *index.get("mirrors", []))
    ]
    return PackageFile(rows, frozenset(urlsplit(url).hostname or "" for url in urls if url))
