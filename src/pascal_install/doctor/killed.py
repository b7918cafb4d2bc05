"""What killed installs left: an open journal of ours, the folders that a killed pip set aside."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pascal_install.doctor.case import Case, Symptom
from pascal_install.installation.journal import open_journals
from pascal_install.model.finding import Finding
from pascal_install.report.progress import size_text


def check_journal(case: Case) -> Iterator[Symptom]:
    """Report an install of ours that never came to its end: until it is undone, the rest says nothing."""
    for journal in open_journals(case.target):
        yield Symptom(
            Finding(
                "open-journal",
                "error",
                "an install was killed here, and its change is half done",
                f"{journal.folder}, step {journal.step or 'begin'}",
                "pascal-install rollback, or the install again: both bring back what was there before",
            ),
            recover=True,
        )


def was_undone(finding: Finding) -> Finding:
    """Word the finding of a killed install once what was there before is back."""
    return finding._replace(
        summary="an install was killed here; what was there before it is back",
        remedy="run the install again, if you still want it",
    )


def check_leftovers(case: Case) -> Iterator[Symptom]:
    """Report what a killed pip set aside and never took away."""
    for path in case.environment.leftovers:
        yield Symptom(
            Finding(
                "leftover",
                "error",
                f"a killed pip left {os.path.basename(path)}",
                f"{path}, {size_text(_size_bytes(path))}",
                "pascal-install doctor --fix, or delete it",
            ),
            sweep=True,
        )


def _size_bytes(path: str) -> int:
    if not os.path.isdir(path):
        return os.lstat(path).st_size
    files = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(os.lstat(file).st_size for file in files)
