"""Lines that fit a terminal: broken between words, what follows indented under what came first."""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_LABELS = ("error: ", "cause: ", "hint:  ", "warning: ", "- ")

#: A label is short; two spaces further on stand between the parts of a sentence.
_LONGEST_LABEL = 28

#: Narrower than this, indenting leaves no room for words.
_NARROWEST = 24


def columns_of(stream: TextIO) -> int:
    """Give how wide a terminal is; 0 where the stream is none: what goes to a file or a pipe is never broken."""
    import os

    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0


def fit(text: str, columns: int) -> str:
    """Break the lines of a text that are longer than `columns`; 0 leaves all as they are. Long words stay whole."""
    if columns < _NARROWEST:
        return text
    return "".join(f"{_fit_line(line, columns)}\n" for line in text.splitlines())


def width_of(text: str) -> int:
    """Count the characters that show, colours not among them."""
    first, *painted = text.split("\x1b")
    return len(first) + sum(len(piece) - piece.find("m") - 1 for piece in painted)


def _fit_line(line: str, columns: int) -> str:
    if width_of(line) <= columns:
        return line
    indent = min(_indent_of(line), columns // 2)
    lines: list[str] = []
    current, at = "", 0
    for word in line.split():
        start = line.index(word, at)
        gap, at = line[at:start], start + len(word)
        if current.strip() and width_of(current) + len(gap) + width_of(word) > columns:
            lines.append(current)
            current = " " * indent + word
        else:
            current += gap + word
    return "\n".join([*lines, current])


def _indent_of(line: str) -> int:
    """Find where the words after the label begin."""
    words = line.lstrip(" ")
    margin = len(line) - len(words)
    for label in _LABELS:
        if words.startswith(label):
            return margin + len(label)
    label, gap, rest = words.partition("  ")
    if gap and len(label) <= _LONGEST_LABEL:
        return margin + len(label) + 2 + len(rest) - len(rest.lstrip(" "))
    return margin or 2
