"""Typed readers of TOML tables. A bad field becomes a line of text with its file and path; reading goes on."""

from __future__ import annotations

from typing import TypeVar

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

T = TypeVar("T")

_SHOWN = 80


class Fields:
    """One TOML table. Readers give a stand-in for a bad field, so that all problems of a file come out at once."""

    def __init__(self, table: dict[str, object], where: str, problems: list[str]) -> None:
        self._table = table
        self._where = where
        self._problems = problems
        self._read: set[str] = set()

    def reject(self, key: str, expected: str, found: object = None) -> None:
        """Note a problem of one field; `found` defaults to what stands there."""
        shown = self._table.get(key) if found is None else found
        text = "nothing" if shown is None else repr(shown)
        text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        self._problems.append(f"{self._path(key)}: expected {expected}, found {text}")

    def text(self, key: str, default: str | None = None) -> str:
        """Read text that is not empty; a field without default is required."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value.strip():
            return value
        self.reject(key, "text")
        return ""

    def parsed(self, key: str, parse: Callable[[str], T], expected: str, default: T) -> T:
        """Read required text through a parser that raises ValueError; give the default for bad text."""
        value = self._take(key)
        if isinstance(value, str):
            try:
                return parse(value)
            except ValueError:
                pass
        self.reject(key, expected)
        return default

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        """Read one of a few words; empty for a bad one."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in allowed:
            return value
        self.reject(key, " or ".join(repr(word) for word in allowed))
        return ""

    def integer(self, key: str, *, required: bool = False) -> int | None:
        """Read a whole number that is not negative; None where it is missing or bad."""
        value = self._take(key)
        if value is None and not required:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.reject(key, "a whole number")
        return None

    def boolean(self, key: str) -> bool | None:
        """Read true or false; None where the field is missing."""
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return value
        self.reject(key, "true or false")
        return None

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """Read a list of texts; a missing one is empty."""
        value = self._take(key)
        if value is None and not required:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) for item in value) and (value or not required):
            return tuple(value)
        self.reject(key, "a list of texts")
        return ()

    def mapping(self, key: str) -> dict[str, str]:
        """Read a table of texts; a missing one is empty."""
        value = self._take(key)
        if value is None:
            return {}
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        self.reject(key, "a table of texts")
        return {}

    def tables(self, key: str) -> Iterator[Fields]:
        """Read a list of tables; a missing one is empty."""
        value = self._take(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.reject(key, "a list of tables")
            return
        for place, item in enumerate(value):
            where = f"{self._path(key)}[{place}]"
            if isinstance(item, dict):
                yield Fields(item, where, self._problems)
            else:
                self._problems.append(f"{where}: expected a table, found {item!r}")

    def close(self) -> None:
        """Note every field that nobody read: most are slips of the pen."""
        for key in self._table:
            if key not in self._read:
                known = ", ".join(sorted(self._read))
                self._problems.append(f"{self._path(key)}: expected one of {known}; this field is not known")

    def _take(self, key: str) -> object:
        self._read.add(key)
        return self._table.get(key)

    def _path(self, key: str) -> str:
        joint = " " if self._where.endswith(":") else "."
        return f"{self._where}{joint}{key}"


class Sources:
    """Where facts come from: rows name keys of a file's [sources], or hold the text itself, joined by `; `."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def expand(self, fields: Fields, default: str | None = None) -> str:
        """Read a row's `source` as full text. A word that looks like a key and is none is a problem."""
        value = fields.text("source", default)
        if value is default or not value:
            return value
        parts = []
        for part in value.split("; "):
            if part not in self._texts and not any(mark in part for mark in " /:@"):
                fields.reject("source", "a key of [sources], or a text of several words", part)
            parts.append(self._texts.get(part, part))
        return "; ".join(parts)
