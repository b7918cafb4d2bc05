"""What a check of the catalogue found, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pascal_install.model.build import CONFIDENCE
from pascal_install.model.checked import CheckedFile, CheckedPair, CheckedRow
from pascal_install.model.overview import Part
from pascal_install.report.document import SCHEMA
from pascal_install.report.overview import table
from pascal_install.report.text import Style, clean


def files_in_order(parts: Sequence[Part], *, color: bool) -> str:
    """Word that the files are in order, and how many releases of each package have which confidence."""
    style = Style(color=color)
    words = [word for word in CONFIDENCE if any(word in dict(part.confidence) for part in parts)]
    rows = [
        (part.name, f"{part.builds}", f"{part.releases}", *(f"{dict(part.confidence).get(word, '')}" for word in words))
        for part in parts
    ]
    text = table(("package", "builds", "releases", *words), rows, style) if rows else ""
    return f"{text}{style.good('no problem found in the files')}\n"


def checked_rows(rows: Sequence[CheckedRow], *, verbose: bool, color: bool) -> str:
    """Word what the wheels say: each row that they contradict, that was mended or not read, then the counts."""
    style = Style(color=color)
    shown = [row for row in rows if verbose or row.verdict != "agrees"]
    lines = [(row.name, row.version, row.platform, row.verdict, _difference(row), row.place) for row in shown]
    text = table(("package", "version", "platform", "", "the wheels", "where"), lines, style) if lines else ""
    unread = [f"not read  {clean(name)}: {clean(why)}\n" for row in rows for name, why in row.unread]
    counts = Counter(row.verdict for row in rows)
    wheels = sum(len(row.read) for row in rows)
    said = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
    summary = f"{wheels} wheels of {len(rows)} releases read: {said or 'nothing to compare'}\n"
    return f"\n{text}{''.join(unread)}{summary}"


def _difference(row: CheckedRow) -> str:
    missing = [f"-{target}" for target in row.says if target not in row.has]
    further = [f"+{target}" for target in row.has if target not in row.says]
    return " ".join([*missing, *further] if row.read else ())


def checked_files(files: Sequence[CheckedFile], *, verbose: bool, color: bool) -> str:
    """Word what hosts say: each file that is not as recorded, then the counts for each host."""
    style = Style(color=color)
    shown = [file for file in files if file.is_contradicted or (verbose and file.state != "there")]
    lines = [(file.state, file.existence, file.host, file.filename, file.why) for file in shown]
    text = table(("", "recorded as", "host", "file", "why"), lines, style) if lines else ""
    counts: dict[str, Counter[str]] = {}
    for file in files:
        counts.setdefault(file.host, Counter())[file.state] += 1
    states = ("there", "gone", "other-size", "unasked")
    rows = [(host, *(f"{found[state]}" for state in states)) for host, found in sorted(counts.items())]
    unasked = dict.fromkeys((file.host, file.why) for file in files if file.state == "unasked")
    silent = "".join(f"not asked  {clean(host)}: {clean(why)}\n" for host, why in unasked)
    return f"\n{text}{table(('host', *states), rows, style)}{silent}"


def checked_pairs(pairs: Sequence[CheckedPair], *, verbose: bool, color: bool) -> str:
    """Word which extensions load beside which torch; those that are as the catalogue says with `verbose` only."""
    style = Style(color=color)
    shown = [pair for pair in pairs if verbose or pair.said != (pair.state == "loads")]
    lines = [
        (
            f"{pair.name} {pair.version} {pair.variant}",
            f"torch {pair.torch} {pair.torch_variant}",
            pair.state,
            "goes together" if pair.said else "does not go together",
            pair.why[0] if pair.why else "",
        )
        for pair in shown
    ]
    text = table(("extension", "beside", "", "the catalogue says", "why"), lines, style) if lines else ""
    counts = Counter(pair.state for pair in pairs)
    said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    return f"\n{text}{len(pairs)} pairs: {said or 'nothing to check'}\n"


def report_document(
    parts: Iterable[Part],
    rows: Iterable[CheckedRow],
    files: Iterable[CheckedFile] = (),
    pairs: Iterable[CheckedPair] = (),
) -> dict[str, Any]:
    """Describe the same for programs."""
    packages = [
        {"name": part.name, "builds": part.builds, "releases": part.releases, "confidence": dict(part.confidence)}
        for part in parts
    ]
    compared = [
        {
            **row._asdict(),
            "says": [str(target) for target in row.says],
            "has": [str(target) for target in row.has],
            "unread": [{"filename": name, "why": why} for name, why in row.unread],
        }
        for row in rows
    ]
    return {
        "schema": SCHEMA,
        "problems": [],
        "packages": packages,
        "binaries": compared,
        "urls": [file._asdict() for file in files if file.state != "there"],
        "symbols": [pair._asdict() for pair in pairs],
    }
