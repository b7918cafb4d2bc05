"""What a check found."""

from __future__ import annotations

from pascal_install.value import NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong, or worth knowing."""

    id: str
    severity: str
    """`error` or `warning`."""
    summary: str
    evidence: str = ""
    remedy: str = ""
