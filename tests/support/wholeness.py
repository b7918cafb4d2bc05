"""Is an environment whole: every RECORD true, one dist-info for each name, no leftovers, `pip check` clean."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections import Counter
from pathlib import Path

from pascal_install.installation.journal import open_journals
from support.installs import World


def what_is_broken(world: World, *modules: str) -> list[str]:
    """Tell everything that is not whole; empty for a whole environment, in which these modules import too."""
    problems = [f"left over: {path.name}" for path in world.site.glob("~*")]
    problems += [f"open: {journal.folder}" for journal in open_journals(world.plan.target)]
    infos = sorted(world.site.glob("*.dist-info"))
    names = Counter(info.name.partition("-")[0].lower() for info in infos)
    problems += [f"{count} times: {name}" for name, count in names.items() if count > 1]
    for info in infos:
        problems += [f"{info.name} has no {file}" for file in ("INSTALLER", "METADATA") if not (info / file).is_file()]
        problems += _untrue_rows(world.site, info)
    checked = world.pip("check", check=False)
    if checked.returncode:
        problems.append(checked.stdout)
    if modules and not world.imports(*modules):
        problems.append(f"does not import: {', '.join(modules)}")
    return problems


def _untrue_rows(site: Path, info: Path) -> list[str]:
    record = info / "RECORD"
    if not record.is_file():
        return [f"{info.name} has no RECORD"]
    problems = []
    for path, digest, size in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        file = site / path
        if path.endswith(".pyc"):
            continue  # Python makes them anew
        if not file.is_file():
            problems.append(f"missing: {path}")
        elif size and file.stat().st_size != int(size):
            problems.append(f"of another size: {path}")
        elif digest and digest != _digest(file):
            problems.append(f"changed: {path}")
    return problems


def _digest(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
