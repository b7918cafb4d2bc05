"""What the catalogue holds, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from pascal_install.model.overview import Part
from pascal_install.report.document import SCHEMA
from pascal_install.report.text import Style, clean

_TITLES = ("package", "builds", "versions", "architectures known from", "where from", "data of")


def overview(parts: Sequence[Part], layers: Sequence[str], today: date, *, color: bool) -> str:
    """Word each part in one line: packages with their counts, then the tables; then how several `layers` lie."""
    rows = [
        (
            part.name,
            f"{part.builds}" if part.role else "",
            f"{part.oldest} to {part.newest}" if part.newest else "",
            ", ".join(f"{word} {number}" for word, number in part.confidence),
            part.origin,
            _dated(part, today),
        )
        for part in parts
    ]
    several = (
        f"\nfrom below to above: {', '.join(map(clean, layers))}\na row replaces the same row of what lies below it\n"
    )
    return table(_TITLES, rows, Style(color=color)) + (several if len(layers) > 1 else "")


def overview_document(parts: Iterable[Part], layers: Sequence[str], today: date) -> dict[str, Any]:
    """Describe the same for programs; `age_days` counts from `checked`, else from `data_date`; null without."""
    described = [
        {**part._asdict(), "confidence": dict(part.confidence), "age_days": _age_days(part, today)} for part in parts
    ]
    return {"schema": SCHEMA, "layers": list(layers), "parts": described}


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], style: Style) -> str:
    """Set rows under their titles, each column as wide as its widest cell."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    return "\n".join([style.strong(line(titles)), *map(line, cells)]) + "\n"


def _age_days(part: Part, today: date) -> int | None:
    known = part.checked or part.data_date
    # Facts are dated in UTC, which may be a day ahead.
    return max(0, (today - date.fromisoformat(known)).days) if known else None


def _dated(part: Part, today: date) -> str:
    age = _age_days(part, today)
    if age is None:
        return "not told"
    days = f"{age} day{'' if age == 1 else 's'}"
    return f"{part.data_date} (looked up {days} ago)" if part.checked else f"{part.data_date} ({days} old)"
