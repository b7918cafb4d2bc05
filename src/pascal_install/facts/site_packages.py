"""What stands in an environment's site-packages: always read fresh, since every install changes it."""

from __future__ import annotations

import os

from pascal_install.model.interpreter import InstalledDistribution
from pascal_install.model.names import normalise


def installed_distributions(folders: tuple[str, ...]) -> tuple[InstalledDistribution, ...]:
    """List the distributions of some folders, sorted; those that cannot be named are left out.

    Two entries of one name are both given: that is what a killed upgrade leaves. So is an empty metadata folder. Names
    with a `~`, pip's own leftovers, are no distributions.
    """
    found = []
    for folder in dict.fromkeys(os.path.realpath(folder) for folder in folders):
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            if entry.endswith((".dist-info", ".egg-info")) and not entry.startswith("~"):
                path = os.path.join(folder, entry)
                name, version = _named_by_folder(entry) or _named_by_metadata(path)
                if name:
                    installer = _first_line(os.path.join(path, "INSTALLER"))
                    found.append(InstalledDistribution(normalise(name), version, path, installer))
    return tuple(sorted(found))


def _named_by_folder(entry: str) -> tuple[str, str] | None:
    """Read name and version from a folder's name, where it is written in the canonical way."""
    stem, kind = os.path.splitext(entry)
    parts = stem.split("-")
    if kind == ".egg-info" and len(parts) == 3 and parts[2].startswith("py"):
        del parts[2]
    if len(parts) != 2 or not parts[0] or not parts[1][:1].isdigit() or "_" in parts[1]:
        return None
    return parts[0], parts[1]


def _named_by_metadata(path: str) -> tuple[str, str]:
    """Read name and version from the head of METADATA or PKG-INFO; empty where there is none."""
    for file_path in (os.path.join(path, "METADATA"), os.path.join(path, "PKG-INFO"), path):
        try:
            with open(file_path, encoding="utf-8", errors="replace") as file:
                head = file.read(4096)
        except OSError:
            continue
        fields: dict[str, str] = {}
        for line in head.partition("\n\n")[0].splitlines():
            key, colon, value = line.partition(":")
            if colon:
                fields.setdefault(key.lower(), value.strip())
        return fields.get("name", ""), fields.get("version", "")
    return "", ""


def _first_line(path: str) -> str:
    """Read one word of a small file, unbuffered: an environment has a hundred of them, and every plan reads all."""
    try:
        with open(path, "rb", buffering=0) as file:
            return (file.read(80) or b"").partition(b"\n")[0].decode("utf-8", "replace").strip()
    except OSError:
        return ""


def is_writable(folder: str) -> bool:
    """Tell whether files can be made in a folder that need not exist yet.

    access(2) answers for permissions and for read-only file systems, even to root; on Windows it does not see access
    control lists, so there pip may still be refused.
    """
    while not os.path.exists(folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def externally_managed(stdlib: str) -> str:
    """Give the message of the EXTERNALLY-MANAGED marker (PEP 668) beside a standard library, or empty."""
    try:
        with open(os.path.join(stdlib, "EXTERNALLY-MANAGED"), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    message: list[str] = []
    for line in lines:
        if message:
            if line[:1].strip():
                break
            message.append(line.strip())
        elif line.lower().startswith("error") and "=" in line and line.partition("=")[0].strip().lower() == "error":
            message.append(line.partition("=")[2].strip())
    return "\n".join(message).strip() or "this Python is managed by the operating system"
