"""Static archives: `ar` files, whose members are object files."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.binary.source import DamagedError, Source, UnsupportedError, read_exactly
from pascal_install.value import NamedTuple

MAGIC = b"!<arch>\n"
THIN_MAGIC = b"!<thin>\n"

_HEADER_SIZE = 60
_MAX_MEMBERS = 1 << 17


class Member(NamedTuple):
    """One member: where its bytes are."""

    offset: int
    size: int


def members(source: Source) -> Iterator[Member]:
    """Walk through the members, symbol and name tables left out. Raises DamagedError."""
    if read_exactly(source, 0, len(MAGIC), "an archive's magic") == THIN_MAGIC:
        raise UnsupportedError("a thin archive: its members are files of their own")
    offset = len(MAGIC)
    for _ in range(_MAX_MEMBERS):
        if offset >= source.size_bytes:
            return
        header = read_exactly(source, offset, _HEADER_SIZE, "a member's header")
        size_text = header[48:58].strip()
        if header[58:] != b"`\n" or not size_text.isdigit():
            raise DamagedError(offset, "a member's header without its size or its end mark")
        name, size, start = header[:16].rstrip(), int(size_text), offset + _HEADER_SIZE
        if start + size > source.size_bytes:
            raise DamagedError(offset, f"a member of {size} bytes runs past the end of the file")
        if name not in (b"/", b"//", b"/SYM64/"):
            # The BSD form keeps long names in front of the content.
            name_size = int(name[3:]) if name.startswith(b"#1/") and name[3:].isdigit() else 0
            if name_size > size:
                raise DamagedError(offset, "a member's name is longer than the member")
            yield Member(start + name_size, size - name_size)
        offset = start + size + size % 2
    raise DamagedError(offset, f"more than {_MAX_MEMBERS} members")
