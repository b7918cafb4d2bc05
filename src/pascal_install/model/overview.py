"""What a catalogue holds, counted."""

from __future__ import annotations

from pascal_install.value import NamedTuple


class Part(NamedTuple):
    """One file of a catalogue: a package, or one of the small tables."""

    name: str
    """The package's name, or the file's: `cuda.toml`."""
    origin: str
    """Where it comes from: `built-in`, or the folder that is laid over it."""
    data_date: str
    """ISO date of its newest fact; empty where the file does not tell."""
    role: str = ""
    """Of a package; empty for a table."""
    releases: int = 0
    builds: int = 0
    """How many wheels the releases have."""
    oldest: str = ""
    newest: str = ""
    """Versions without local part; empty for a table."""
    confidence: tuple[tuple[str, int], ...] = ()
    """How many releases have which confidence of their architectures, strongest first; those with none are left out."""
    checked: str = ""
    """ISO date when all indexes of the package were last asked; empty where that is not told."""
