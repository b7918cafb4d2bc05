"""Addresses: which mirror they are taken from, and how they are shown."""

from __future__ import annotations

from pascal_install.errors import UsageError
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Mirror = tuple[str, str]


def parse_mirror(text: str) -> Mirror:
    """Read `FROM=TO`, two prefixes of addresses. Raises UsageError for anything else."""
    source, equals, replacement = text.partition("=")
    if not equals or "://" not in source or "://" not in replacement:
        raise UsageError(
            f"cannot read the mirror {redact(text)!r}",
            code="bad-mirror",
            hints=("write FROM=TO: https://download.pytorch.org/whl=https://mirror.example/pytorch",),
        )
    return source.rstrip("/"), replacement.rstrip("/")


def mirrored(url: str, mirrors: Sequence[Mirror]) -> str:
    """Apply the mirror with the longest prefix that fits; whole path parts only."""
    fitting = [mirror for mirror in mirrors if url == mirror[0] or url.startswith(mirror[0] + "/")]
    if not fitting:
        return url
    source, replacement = max(fitting, key=lambda mirror: len(mirror[0]))
    return replacement + url[len(source) :]


def original(url: str, mirrors: Sequence[Mirror]) -> str:
    """Undo `mirrored`: give the address that a mirror stands for, so that it can be recorded."""
    fitting = [mirror for mirror in mirrors if url == mirror[1] or url.startswith(mirror[1] + "/")]
    if not fitting:
        return url
    source, replacement = max(fitting, key=lambda mirror: len(mirror[1]))
    return source + url[len(replacement) :]


def redact(url: str) -> str:
    """Take user names, passwords, tokens and signed queries out of an address before it is shown or stored."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    path, question, _ = path.partition("?")
    host = authority.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}{'?...' if question else ''}"
