"""What the damaged files in tests/assets/damaged are made of: one case for each file, with what must come of it."""

from __future__ import annotations

import struct
from typing import NamedTuple

READ, SKIPPED, DAMAGED = "read", "skipped", "damaged"


class Case(NamedTuple):
    """A file, and the answer to it."""

    name: str
    """It starts with the reader that the file is for."""
    content: bytes
    outcome: str
    """READ: an answer, which is known; SKIPPED: of a kind that is not read; DAMAGED: at `offset`, and exit 6."""
    offset: int
    """Where the damage is told to be: where the field or the table lies that cannot be; -1 where there is none."""
    says: str
    """READ: the entries found, `sm_60:1 compute_61:2`; else a part of the reason that is given."""


def damaged(name: str, content: bytes, offset: int, says: str) -> Case:
    """A file that breaks its format."""
    return Case(name, content, DAMAGED, offset, says)


def skipped(name: str, content: bytes, says: str) -> Case:
    """A file of another kind."""
    return Case(name, content, SKIPPED, -1, says)


def read(name: str, content: bytes, says: str) -> Case:
    """A file that is odd and sound, or damaged where nothing is looked at."""
    return Case(name, content, READ, -1, says)


def patch(content: bytes, at: int, layout: str, *values: int) -> bytes:
    """Overwrite fields."""
    changed = bytearray(content)
    struct.pack_into(f"<{layout}", changed, at, *values)
    return bytes(changed)
