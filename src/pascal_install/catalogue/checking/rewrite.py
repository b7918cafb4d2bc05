"""Rows that say something else than their wheels, mended in the file: only the lines that are wrong change."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping

from pascal_install.catalogue.checking.places import Row
from pascal_install.catalogue.decode import parse_toml
from pascal_install.model.checked import CheckedRow
from pascal_install.model.cuda import CodeTarget

_ARCHITECTURES = re.compile(r"architectures = \[[^\]]*\]")
_CONFIDENCE = re.compile(r'^confidence = "[^"]*"', re.MULTILINE)
_SOURCE = re.compile(r'^source = "((?:[^"\\]|\\.)*)"', re.MULTILINE)
_DATE = re.compile(r'^data_date = "[^"]*"', re.MULTILINE)


def can_write(checked: CheckedRow, confidence: str) -> bool:
    """Tell whether all wheels that were read agree on something that the row does not say, or not as firmly."""
    return checked.verdict == "differs" or (checked.verdict == "agrees" and confidence != "binary")


def write_rows(directory: str, found: Iterable[tuple[Row, CheckedRow]], today: str) -> int:
    """Write architectures, the confidence `binary` and its source into these rows; give how many files changed.

    A file is written aside and then given its name. Raises OSError where that cannot be done.
    """
    by_file: dict[str, dict[int, tuple[Row, CheckedRow]]] = {}
    for row, checked in found:
        by_file.setdefault(row.file, {})[row.line] = (row, checked)
    for file, rows in by_file.items():
        path = os.path.join(directory, file)
        with open(path, encoding="utf-8", newline="") as opened:
            text = opened.read()
        _replace(path, _rewritten(text, rows, today))
    return len(by_file)


def _rewritten(text: str, rows: Mapping[int, tuple[Row, CheckedRow]], today: str) -> str:
    lines = text.splitlines(keepends=True)
    for row, checked in sorted(rows.values(), reverse=True):
        block = "".join(lines[row.line - 1 : row.end - 1])
        lines[row.line - 1 : row.end - 1] = [_mended(block, checked)]
    result = _DATE.sub(f'data_date = "{today}"', "".join(lines), count=1)
    parse_toml(result)
    return result


def _mended(block: str, checked: CheckedRow) -> str:
    block = _ARCHITECTURES.sub(lambda _: f"architectures = {_listed(checked.has)}", block, count=1)
    block = _CONFIDENCE.sub('confidence = "binary"', block, count=1)
    proof = f"read from the wheel {checked.read[0]}"
    return _SOURCE.sub(
        lambda said: said[0] if proof in said[1] else f'source = {json.dumps(f"{proof}; ")[:-1]}{said[1]}"',
        block,
        count=1,
    )


def _listed(targets: Iterable[CodeTarget]) -> str:
    return "[" + ", ".join(f'"{target}"' for target in targets) + "]"


def _replace(path: str, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=os.path.dirname(path), prefix=".", suffix=".part", delete=False, encoding="utf-8", newline=""
    ) as file:
        file.write(text)
    os.chmod(file.name, os.stat(path).st_mode)
    os.replace(file.name, path)
