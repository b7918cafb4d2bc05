"""Rows that say something else than their wheels, mended in the file: only the lines that are wrong change."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable

from pascal_install.catalogue.checking.places import Row
from pascal_install.catalogue.decode import parse_toml
from pascal_install.catalogue.writing import cannot_edit, write_files
from pascal_install.model.checked import CheckedPair, CheckedRow

_ARCHITECTURES = re.compile(r"architectures = \[[^\]]*\]")
_CONFIDENCE = re.compile(r'^confidence = "[^"]*"', re.MULTILINE)
_SOURCE = re.compile(r'^source = "((?:[^"\\]|\\.)*)"', re.MULTILINE)
_TORCH = re.compile(r'^torch = "[^"]*"\n', re.MULTILINE)
_TORCH_VARIANTS = re.compile(r"^torch_variants = \[([^\]]*)\]", re.MULTILINE)
_DATE = re.compile(r'^data_date = "[^"]*"', re.MULTILINE)


def can_write(checked: CheckedRow, confidence: str) -> bool:
    """Tell whether all wheels that were read agree on something that the row does not say, or not as firmly."""
    return checked.verdict == "differs" or (checked.verdict == "agrees" and confidence != "binary")


#: Mends the lines of one row.
Mend = Callable[[str], str]


def write_rows(directory: str, mends: Iterable[tuple[Row, Mend]], today: str) -> None:
    """Mend these rows, and set their files' `data_date`; all files, or none.

    Files are written aside and then given their names. Raises InstallerError where that cannot be done, and DataError
    for a file that is written in a way that cannot be edited.
    """
    by_file: dict[str, dict[Row, list[Mend]]] = {}
    for row, mend in mends:
        by_file.setdefault(row.file, {}).setdefault(row, []).append(mend)
    texts = {}
    for file, rows in by_file.items():
        path = os.path.join(directory, file)
        with open(path, encoding="utf-8", newline="") as opened:
            lines = opened.read().splitlines(keepends=True)
        for row in sorted(rows, reverse=True):
            block = "".join(lines[row.line - 1 : row.end - 1])
            for mend in rows[row]:
                before, block = block, mend(block)
                if block == before:
                    raise cannot_edit(f"{row.file}:{row.line}: {row.field} has fields that share a line")
            lines[row.line - 1 : row.end - 1] = [block]
        texts[path] = _DATE.sub(f'data_date = "{today}"', "".join(lines), count=1)
        parse_toml(texts[path])
    write_files(texts)


def from_wheel(checked: CheckedRow) -> Mend:
    """Write what the wheels of a row have, with the confidence `binary` and the wheel as its source."""

    def mend(block: str) -> str:
        block = _ARCHITECTURES.sub(lambda _: f"architectures = {_listed(checked.has)}", block, count=1)
        block = _CONFIDENCE.sub('confidence = "binary"', block, count=1)
        return _with_source(block, f"read from the wheel {checked.read[0]}")

    return mend


def from_pair(checked: CheckedPair, wheel: str, torch_wheel: str) -> Mend:
    """Write down that an extension loads beside another CUDA variant of its torch, and what was read."""

    def mend(block: str) -> str:
        known = _TORCH_VARIANTS.search(block)
        if known:
            labels = [*json.loads(f"[{known[1]}]"), checked.torch_variant]
            block = block.replace(known[0], f"torch_variants = {_listed(dict.fromkeys(labels))}", 1)
        else:
            line = f"torch_variants = {_listed([checked.torch_variant])}\n"
            block = _TORCH.sub(lambda said: said[0] + line, block, count=1)
        return _with_source(block, f"the symbols of {wheel} resolve beside {torch_wheel} ({checked.torch_variant})")

    return mend


def _with_source(block: str, proof: str) -> str:
    """Put a proof in front of a row's source, if it does not stand there already."""
    return _SOURCE.sub(lambda said: said[0] if proof in said[1] else f'source = "{proof}; {said[1]}"', block, count=1)


def _listed(items: Iterable[object]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"
