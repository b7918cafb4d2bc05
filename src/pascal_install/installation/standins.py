"""Nothing but metadata, which tells the resolver of pip or uv what is settled without a download or a search."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

_WHEEL = "Wheel-Version: 1.0\nGenerator: pascal-install\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_stand_in(folder: str, name: str, version: str, requires: Sequence[str]) -> str:
    """Write a stand-in and give the requirement that names it by its file.

    pip never searches an index for what is required by its file, so a name that is settled here cannot be answered by a
    second index; and its requirements take part in the resolution as the real ones do.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in map(without_address, requires) if line)
    members = {f"{info}/METADATA": metadata, f"{info}/WHEEL": _WHEEL}
    members[f"{info}/RECORD"] = "".join(_row(path, text) for path, text in members.items()) + f"{info}/RECORD,,\n"
    path = Path(folder, f"{stem}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return f"{name} @ {path.as_uri()}"


def write_project(folder: str, name: str, version: str, requires: Iterable[str]) -> str:
    """Write the same for uv, as a project with nothing in it but its metadata; give the line that asks for it.

    uv reads that where it lies. Of a wheel it would keep a copy in its cache, for each place anew.
    """
    place = Path(folder, name)
    place.mkdir(parents=True, exist_ok=True)
    needs = ", ".join(json.dumps(line) for line in map(without_address, requires) if line)
    text = f"[project]\nname = {json.dumps(name)}\nversion = {json.dumps(version)}\ndependencies = [{needs}]\n"
    (place / "pyproject.toml").write_text(text, encoding="utf-8")
    return f"{name} @ {place.as_uri()}"


def without_address(line: str) -> str:
    """Take the address out of a Requires-Dist line: what a wheel names by git+ssh: or file: is searched by its name."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return ""
    requirement.url = None
    return str(requirement)


def _row(path: str, text: str) -> str:
    data = text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"
