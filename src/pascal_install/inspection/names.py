"""Names: which files may hold device code, and what belongs together in an environment."""

from __future__ import annotations

_ENDINGS = (".so", ".pyd", ".dll", ".exe", ".a", ".lib", ".o", ".obj")


def may_hold_code(name: str) -> bool:
    """Tell whether a file of this name is worth opening: a library, also `libnccl.so.2`, an archive or an object."""
    base = name.rpartition("/")[2].lower()
    return base.endswith(_ENDINGS) or ".so." in base


def is_shared_library(name: str) -> bool:
    """Tell shared libraries of Linux by name."""
    base = name.rpartition("/")[2]
    return base.endswith(".so") or ".so." in base


def part_of(member: str) -> str:
    """Name what a file of site-packages belongs to, by its folder; auditwheel puts libraries in `NAME.libs`."""
    folders = member.split("/")
    if folders[0] == "nvidia" and len(folders) > 2:
        return "/".join(folders[:2])
    return folders[0].removesuffix(".libs")
