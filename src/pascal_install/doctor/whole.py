"""Distributions that only look installed: pip and uv call half a torch installed, and answer 0."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pascal_install.doctor.case import Case, Symptom
from pascal_install.installation.change import is_nvidia_family
from pascal_install.installation.state import Distribution
from pascal_install.model.finding import Finding


def check(case: Case) -> Iterator[Symptom]:
    """Report distributions with missing or cut files, without INSTALLER, or with two metadata folders."""
    for name, here in sorted(case.environment.found.items()):
        if len(here) > 1:
            folders = ", ".join(one.folder for one in here)
            finding = Finding("two-metadata-folders", "error", f"two installs of {name} lie over each other", folders)
            yield _with_cure(case, finding, here)
        elif why := case.environment.problem(here[0]):
            summary = f"{name} {here[0].version or '(unknown version)'} is not whole, whatever pip says"
            yield _with_cure(case, Finding("not-whole", "error", summary, f"{here[0].folder}: {why}"), here)


def _with_cure(case: Case, finding: Finding, here: tuple[Distribution, ...]) -> Symptom:
    name = here[0].name
    if case.is_known(name):
        return Symptom(_told(finding, name), repair=(name,))
    if is_nvidia_family(name) and "torch" in case.environment.found:
        return Symptom(_told(finding, name), repair=("torch",))
    versions = [one.version for one in here if one.version and os.path.isfile(os.path.join(one.folder, "METADATA"))]
    wanted = f"{name}=={versions[-1]}" if len(set(versions)) == 1 else name
    return Symptom(_told(finding, wanted), install=(wanted,))


def _told(finding: Finding, wanted: str) -> Finding:
    return finding._replace(remedy=f"pascal-install doctor --fix, or: pip install --force-reinstall --no-deps {wanted}")
