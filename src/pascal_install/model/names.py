"""Names of distributions."""

from __future__ import annotations


def normalise(name: str) -> str:
    """Normalise as PEP 503 does: lower case, and one hyphen for each run of hyphens, underscores and dots."""
    name = name.lower().replace("_", "-").replace(".", "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name
