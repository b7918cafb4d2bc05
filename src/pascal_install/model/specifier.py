"""The commonest version that people ask for, `==2.6.0`, read without packaging, which costs more than a plan."""

from __future__ import annotations

from pascal_install.value import NamedTuple


class ExactVersion(NamedTuple):
    """`==2.6.0`, as PEP 440 ("Version matching") has it: zeros at the end and local versions do not count."""

    text: str

    def contains(self, version: str, *, prereleases: bool = False) -> bool:  # noqa: ARG002  as packaging's
        """Tell whether a version is the one that is asked for."""
        number = _number(version.partition("+")[0])
        return number is not None and number == _number(self.text)

    def __str__(self) -> str:
        return f"=={self.text}"


def read_exact(specifier: str) -> ExactVersion | None:
    """Read `==2.6.0`; None for everything else, which packaging reads."""
    text = specifier.removeprefix("==").strip()
    return ExactVersion(text) if specifier.startswith("==") and _number(text) is not None else None


def _number(version: str) -> tuple[int, ...] | None:
    """Read a version of numbers alone, zeros at its end left out; no other version equals one of these."""
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    while len(parts) > 1 and not parts[-1].strip("0"):
        del parts[-1]
    return tuple(map(int, parts))
