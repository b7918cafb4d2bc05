"""What really lies in an environment: distributions that are whole, distributions that only look installed.

pip and uv call half a torch installed and answer 0. Here a distribution counts only with one metadata folder, an
INSTALLER (the last thing that an installer writes) and every file of RECORD at its size.
"""

from __future__ import annotations

import os
import stat

from pascal_install.model.names import normalise
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pascal_install.model.interpreter import Target


class RecordRow(NamedTuple):
    """One file of a RECORD: its absolute path, and its size where RECORD tells one."""

    path: str
    size_bytes: int | None


class Distribution(NamedTuple):
    """One metadata folder in the environment."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    folder: str
    """Path of the .dist-info or .egg-info."""

    @property
    def site(self) -> str:
        """The folder that it was installed into."""
        return os.path.dirname(self.folder)


class Environment(NamedTuple):
    """The distributions of a target, read once."""

    sites: tuple[str, ...]
    found: dict[str, tuple[Distribution, ...]]
    """By normalised name; more than one where an install was killed."""
    leftovers: tuple[str, ...]
    """What a killed pip set aside and never took away: entries that start with `~`."""
    checked: dict[str, str]
    """What `problem` said of each metadata folder, so that torch's 12,700 files are looked at once."""

    def problem(self, distribution: Distribution) -> str:
        """Tell why a distribution is not whole; empty where it is."""
        if distribution.folder not in self.checked:
            self.checked[distribution.folder] = problem(distribution)
        return self.checked[distribution.folder]

    def whole(self, name: str) -> Distribution | None:
        """Find a distribution that is installed and whole."""
        here = self.found.get(name, ())
        return here[0] if len(here) == 1 and not self.problem(here[0]) else None


def read_environment(target: Target) -> Environment:
    """List what is installed; nothing is checked yet."""
    sites = site_folders(target)
    found: dict[str, tuple[Distribution, ...]] = {}
    leftovers = []
    for site in sites:
        for entry in _entries(site):
            if entry.startswith("~"):
                leftovers.append(os.path.join(site, entry))
            elif entry.endswith((".dist-info", ".egg-info")):
                distribution = _distribution(os.path.join(site, entry))
                found[distribution.name] = (*found.get(distribution.name, ()), distribution)
    return Environment(sites, found, tuple(leftovers), {})


def site_folders(target: Target) -> tuple[str, ...]:
    """Give purelib and platlib; one where they are the same folder (lib64 is a link to lib in many)."""
    return tuple(dict.fromkeys(os.path.realpath(path) for path in (target.purelib, target.platlib) if path))


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _distribution(folder: str) -> Distribution:
    stem = os.path.basename(folder).rpartition(".")[0]
    name, _, version = stem.partition("-")
    if folder.endswith(".egg-info"):
        # setuptools writes NAME-VERSION-pyX.Y.egg-info; names and versions hold no hyphen there.
        version = version.partition("-")[0]
    return Distribution(normalise(name), version, folder)


def problem(distribution: Distribution) -> str:
    """Tell why a distribution is not whole; empty where it is."""
    if why := why_cut_off(distribution):
        return why
    rows = record(distribution)
    if not rows and not distribution.folder.endswith(".egg-info"):
        return "its RECORD lists nothing, and should list itself"
    return next(filter(None, map(_why_wrong, rows)), "")


def why_cut_off(distribution: Distribution) -> str:
    """Tell which part of the metadata an install that was cut off has not written; empty where all is there."""
    if distribution.folder.endswith(".egg-info"):
        # It has no list of its files: nothing can be checked, and nothing of it can be replaced.
        return ""
    for name in ("METADATA", "INSTALLER", "RECORD"):
        if not os.path.isfile(os.path.join(distribution.folder, name)):
            return f"it has no {name}: an install of it was cut off"
    return ""


def _why_wrong(row: RecordRow) -> str:
    if row.path.endswith(".pyc"):
        return ""
    try:
        found = os.stat(row.path)
    except (OSError, ValueError):  # the latter for a name that this locale cannot write
        return f"{row.path} is missing"
    if row.size_bytes is None:
        return ""
    if stat.S_ISDIR(found.st_mode):
        return f"{row.path} is a folder, RECORD says a file"
    if row.path.endswith(".pem") and found.st_size > row.size_bytes:
        return ""  # certificates that a company adds to certifi's: nothing was cut off, and they must stay
    is_other = found.st_size != row.size_bytes
    return f"{row.path} has {found.st_size} bytes, RECORD says {row.size_bytes}" if is_other else ""


def record(distribution: Distribution) -> tuple[RecordRow, ...]:
    """Read the list of a distribution's files; empty where there is none, or only what a power cut has left of it."""
    return tuple(_row(distribution, name, size) for name, size in _rows(distribution))


def _row(distribution: Distribution, name: str, size: str) -> RecordRow:
    path = os.path.normpath(os.path.join(distribution.site, name))
    return RecordRow(path, int(size) if size.isascii() and size.isdigit() else None)


def _rows(distribution: Distribution) -> list[tuple[str, str]]:
    """Read name and size of each row. Only names that CSV has to quote need its reader, and hardly any file has one."""
    try:
        path = os.path.join(distribution.folder, "RECORD")
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return []
    if "\0" in text:
        return []
    if '"' in text:
        import csv
        import io

        rows = list(csv.reader(io.StringIO(text, newline="")))
    else:
        rows = [line.split(",") for line in text.replace("\r\n", "\n").split("\n")]
    return [(row[0], row[2] if len(row) > 2 else "") for row in rows if row and row[0]]


def requires(distribution: Distribution) -> tuple[str, ...]:
    """Give the Requires-Dist lines of an installed distribution."""
    for name in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(distribution.folder, name), encoding="utf-8", errors="replace") as file:
                return requires_dist(file)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return ()


def requires_dist(metadata: Iterable[str]) -> tuple[str, ...]:
    """Give the Requires-Dist lines of a METADATA file."""
    found: list[str] = []
    for line in metadata:
        if not line.strip():
            break
        key, _, value = line.partition(":")
        if key.lower() == "requires-dist":
            found.append(value.strip())
    return tuple(found)
