"""Write the damaged files beside this file, and outcomes.tsv: their checksums and what must come of each.

    PYTHONPATH=src:tests python tests/assets/damaged/make.py

The cases stand in tests/support/damaged_*.py. They are made from the fixtures in tests/assets/device_code, without any
tool, so the same bytes come of it everywhere.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from support.damaged_cases import Case
from support.damaged_libraries import archive_cases, elf_cases, fatbin_cases, windows_cases
from support.damaged_symbols import symbol_cases
from support.damaged_wheels import wheel_cases

HERE = Path(__file__).parent
TABLE = "outcomes.tsv"
TITLE = "name\tsha256\toutcome\toffset\tsays\n"


def cases() -> list[Case]:
    """List all cases by name."""
    makers = (archive_cases, elf_cases, fatbin_cases, symbol_cases, wheel_cases, windows_cases)
    return sorted(case for maker in makers for case in maker())


def table(made: Iterable[Case]) -> str:
    """Write the table: one line for each file."""
    lines = (
        f"{case.name}\t{hashlib.sha256(case.content).hexdigest()}\t{case.outcome}\t{case.offset}\t{case.says}\n"
        for case in made
    )
    return TITLE + "".join(lines)


def main() -> int:
    """Write them, and remove what no case makes any more."""
    made = cases()
    for path in HERE.iterdir():
        if path.suffix not in (".py", ".md"):
            path.unlink()
    for case in made:
        (HERE / case.name).write_bytes(case.content)
    (HERE / TABLE).write_text(table(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
