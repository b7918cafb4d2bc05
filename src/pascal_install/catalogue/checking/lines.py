"""On which line each field of a TOML file stands: the parser tells values only, and people look for lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple["str | int", ...]
"""The keys and places that lead to a value: `("release", 3, "wheels", 0, "tag")`."""

_TOKEN = re.compile(
    r'(?P<text>"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<mark>[\[\]{}=,.])"
    r"|(?P<bare>[^\s\[\]{}=,.#\"']+)",
    re.DOTALL,
)


def field_lines(text: str) -> dict[Path, int]:
    """Give the line, from 1, of every table, field and item of a TOML text that a parser has accepted."""
    return _Reader(text).lines


class _Reader:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens = list(_tokens(text))
        self._at = 0
        self._counts: dict[Path, int] = {}
        table: Path = ()
        while self._kind():
            if self._kind() == "newline":
                self._at += 1
            elif self._text() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _text(self) -> str:
        return self._tokens[self._at][1] if self._kind() == "mark" else ""

    def _line(self) -> int:
        return self._tokens[min(self._at, len(self._tokens) - 1)][2]

    def _header(self) -> Path:
        """Read `[a.b]` or `[[a.b]]`; give the table that the fields after it belong to."""
        line = self._line()
        several = self._tokens[self._at + 1][1] == "["
        self._at += 2 if several else 1
        table: Path = ()
        keys = self._key()
        for key in keys[:-1]:
            table = self._newest((*table, key))
        table = (*table, keys[-1])
        if several:
            number = self._counts.get(table, 0)
            self._counts[table] = number + 1
            table = (*table, number)
        self.lines.setdefault(table, line)
        self._at += 2 if several else 1
        return table

    def _newest(self, table: Path) -> Path:
        return (*table, self._counts[table] - 1) if table in self._counts else table

    def _key(self) -> list[str]:
        keys = []
        while self._text() not in ("=", "]") and self._kind() not in ("newline", ""):
            kind, text, _ = self._tokens[self._at]
            if kind in ("bare", "text"):
                keys.append(text.strip("\"'"))
            self._at += 1
        return keys

    def _pair(self, table: Path) -> None:
        line = self._line()
        for key in self._key():
            table = (*table, key)
            self.lines.setdefault(table, line)
        self._at += 1
        self._value(table)

    def _value(self, path: Path) -> None:
        if self._text() == "[":
            self._array(path)
        elif self._text() == "{":
            self._inline(path)
        else:  # dates and floats are several tokens
            while self._text() not in (",", "]", "}") and self._kind() not in ("newline", ""):
                self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._kind() and self._text() != "]":
            if self._kind() == "newline" or self._text() == ",":
                self._at += 1
                continue
            item = (*path, number)
            self.lines[item] = self._line()
            self._value(item)
            number += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._kind() and self._text() != "}":
            if self._kind() == "newline" or self._text() == ",":
                self._at += 1
                continue
            self._pair(path)
        self._at += 1


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "comment":
            yield str(found.lastgroup), found[0], line
        line += found[0].count("\n")
