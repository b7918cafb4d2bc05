"""The look at every file that a run waits for which finds all in place: torch and what it needs have 15,000.

It can only say yes. Where anything is in doubt, `state.problem` looks again, file by file, and that is the answer.
"""

from __future__ import annotations

import os
import stat

from pascal_install.forked import both
from pascal_install.installation.state import problem, record, why_cut_off
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pascal_install.installation.state import Distribution


class Listed(NamedTuple):
    """The files of a RECORD in one folder, in a form that JSON can keep and that is read in no time."""

    folder: str
    names: str
    """Joined by slashes, which no name has: one long text is read faster than many short ones."""
    sizes: str
    """The same of their sizes, empty where RECORD tells none."""
    amount: int


#: One process has looked at fewer than these sooner than it can make a copy of itself.
_MANY = 2000


def listing(distribution: Distribution) -> list[Listed]:
    """Sort what RECORD lists by folder; without compiled files, which may come and go."""
    folders: dict[str, tuple[list[str], list[str]]] = {}
    for path, size_bytes in record(distribution):
        if not path.endswith(".pyc"):
            folder, name = os.path.split(path)
            names, sizes = folders.setdefault(folder, ([], []))
            names.append(name)
            sizes.append("" if size_bytes is None else str(size_bytes))
    return [Listed(folder, "/".join(names), "/".join(sizes), len(names)) for folder, (names, sizes) in folders.items()]


def checksum(distribution: Distribution) -> int:
    """Tell one RECORD from another, or from a damaged one, without going through its rows."""
    import zlib

    try:
        with open(os.path.join(distribution.folder, "RECORD"), "rb") as file:
            return zlib.crc32(file.read())
    except OSError:
        return -1


def are_whole(distributions: Sequence[Distribution], listed: Iterable[Listed]) -> bool:
    """Tell whether `problem` finds nothing in any of them. `listed`: all that their RECORDs list, as these are now.

    A copy of this process looks at one half of the files meanwhile.
    """
    if any(map(why_cut_off, distributions)):
        return False
    halves: tuple[list[Listed], list[Listed]] = ([], [])
    counts = [0, 0]
    for one in sorted(listed, key=lambda one: one.amount, reverse=True):
        which = counts[1] < counts[0]
        halves[which].append(one)
        counts[which] += one.amount

    def is_sure(which: int) -> bool:
        return all(map(_is_as_listed, halves[which]))

    is_sure_of_all = both(is_sure) if sum(counts) >= _MANY else is_sure(0) and is_sure(1)
    return is_sure_of_all or not any(map(problem, distributions))


def _is_as_listed(listed: Listed) -> bool:
    """Tell whether a folder surely has these files, at their sizes."""
    find, is_folder, start, opened = os.stat, stat.S_ISDIR, listed.folder + os.sep, None
    try:
        if find in os.supports_dir_fd:
            # The system then need not walk down to the folder for each file, which is a quarter of its work.
            start, opened = "", os.open(listed.folder, os.O_RDONLY | os.O_DIRECTORY)
        for name, size in zip(listed.names.split("/"), listed.sizes.split("/"), strict=True):
            found = find(start + name, dir_fd=opened)
            if size and (str(found.st_size) != size or is_folder(found.st_mode)):
                return False
    except (OSError, ValueError):  # the latter for a name that this locale cannot write
        return False
    finally:
        if opened is not None:
            os.close(opened)
    return True
