"""Reading JSON without `json`, whose import of `re` takes as long as the rest of a plan.

What parses is the same: the scanner that `json` itself uses, written in C. Where that is not to be had, `json` does it.
"""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def read_json(text: str | bytes) -> Any:
    """Read one JSON document, in UTF-8 where it is bytes. Raises ValueError for anything else."""
    text = text if isinstance(text, str) else text.decode()
    scan = _scanner()
    if scan is None:
        import json

        return json.loads(text)
    try:
        value, end = scan(text, len(text) - len(text.lstrip(_BLANK)))
    except StopIteration as error:
        raise ValueError(f"expected a JSON value at character {error.value}") from None
    if text[end:].strip(_BLANK):
        raise ValueError(f"something follows the JSON value at character {end}")
    return value


_BLANK = " \t\n\r"


class _Settings:
    """What the scanner asks for: the settings of `json.JSONDecoder`, all at their defaults."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> float:
        """Take NaN and the infinities, as `json` does."""
        return float(name.replace("Infinity", "inf"))


def _scanner() -> Any:
    try:
        from _json import make_scanner
    except ImportError:  # an implementation without CPython's own
        return None
    try:
        scan: Any = make_scanner
        return scan(_Settings)
    except (AttributeError, TypeError):  # a later one, which wants to know more
        return None
