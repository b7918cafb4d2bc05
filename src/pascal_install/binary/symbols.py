"""Dynamic symbols of ELF libraries, read as the loader reads them.

Only what the loader itself uses is touched: the dynamic section, the undefined symbols (they stand in front of the
hashed ones) and, in the libraries that are searched, their GNU hash tables. A look-up costs the same in any size of
table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

from pascal_install.binary.elf import DYNAMIC, ElfHeader, Segment, file_offset, read_header, read_segments
from pascal_install.binary.source import DamagedError, Source, UnsupportedError, read_exactly
from pascal_install.value import NamedTuple

_DYNAMIC = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NEED = struct.Struct("<HHIII")
_NEED_PART = struct.Struct("<IHHII")
_DEFINITION = struct.Struct("<HHHHIII")
_GNU_HASH_HEADER = struct.Struct("<IIII")
_WORD = struct.Struct("<Q")
_LINK = struct.Struct("<I")

# Tags of the dynamic section.
_NEEDED, _STRTAB, _SYMTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 5, 6, 10, 14, 15, 29
_HASH, _GNU_HASH, _VERSYM = 4, 0x6FFFFEF5, 0x6FFFFFF0
_VERDEF, _VERDEF_COUNT, _VERNEED, _VERNEED_COUNT = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF

_BINDINGS = (1, 2, 10)
_WEAK = 2
_VERSION_MASK = 0x7FFF

# libtorch_cpu.so has 90 thousand dynamic symbols and 17 MB of names. Beyond these limits a file is not real.
_MAX_TABLE = 1 << 27
_MAX_SYMBOLS = 1 << 21
_MAX_DYNAMIC = 1 << 16
_MAX_NAME = 1 << 16
_MAX_STRING = 1 << 14
_MAX_VERSIONS = 1 << 12
_MAX_CHAIN = 1 << 12
_MAX_LINKS = 1 << 24


class Symbol(NamedTuple):
    """A symbol that a library wants from others."""

    name: str
    version: str = ""
    """Its GNU symbol version, `GLIBC_2.32`, or empty."""
    weak: bool = False


class VersionNeed(NamedTuple):
    """A symbol version that another library must define, or the loader refuses to go on."""

    library: str
    version: str
    weak: bool


class DynamicLibrary:
    """The dynamic section of one library, and look-ups in its hash table.

    The source is read by each look-up, so it must stay open. Raises UnsupportedError where there is nothing dynamic (an
    object file, a static program), and DamagedError, also from its methods, where a table breaks its format.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        #: The folder it lies in, which `$ORIGIN` in its run path stands for; whoever opened it fills it in.
        self.origin = ""
        header: ElfHeader = read_header(source)
        self.machine = header.machine
        self._segments: tuple[Segment, ...] = read_segments(source, header)
        dynamic = next((segment for segment in self._segments if segment.kind == DYNAMIC), None)
        if dynamic is None:
            raise UnsupportedError("not a dynamic library")
        if dynamic.size > _MAX_DYNAMIC:
            raise DamagedError(dynamic.offset, f"a dynamic section of {dynamic.size} bytes; no real file has that many")
        needed: list[int] = []
        self._tags: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        content = read_exactly(source, dynamic.offset, dynamic.size // 16 * 16, "the dynamic section")
        for tag, value in _DYNAMIC.iter_unpack(content):
            if tag == 0:
                break
            if tag == _NEEDED:
                needed.append(value)
            else:
                self._tags.setdefault(tag, value)
        self.needed = tuple(self._string(at) for at in needed)
        self.soname = self._string(self._tags[_SONAME]) if _SONAME in self._tags else ""
        run_path = self._tags.get(_RUNPATH, self._tags.get(_RPATH))
        self.run_path = tuple(self._string(run_path).split(":")) if run_path is not None else ()
        self._hash = self._gnu_hash() if _GNU_HASH in self._tags else self._old_hash() if _HASH in self._tags else None
        self._versions: dict[int, str] | None = None

    def undefined(self) -> Iterator[Symbol]:
        """List the symbols that this library wants."""
        count = self._hash.unhashed if self._hash else 0
        names = self._read(_STRTAB, self._tags.get(_STRSZ, 0), "the dynamic strings")
        marks = self._read(_VERSYM, count * 2, "the symbol versions") if _VERSYM in self._tags else b""
        versions = {mark: need.version for mark, need in self._needs()} if marks else {}
        symbols = self._read(_SYMTAB, count * _SYMBOL.size, "the dynamic symbols")
        left = len(names) * 4
        for number, (name_at, info, _, section, _, _) in enumerate(_SYMBOL.iter_unpack(symbols)):
            if section == 0 and number and info >> 4 in _BINDINGS:
                end = names.find(b"\0", name_at, name_at + _MAX_NAME)
                left -= end - name_at
                if end < 0 or left < 0:
                    raise self._damage(_STRTAB, f"no sound name at {name_at} in the dynamic strings")
                mark = int.from_bytes(marks[number * 2 : number * 2 + 2], "little") & _VERSION_MASK
                name = names[name_at:end].decode("utf-8", "replace")
                yield Symbol(name, versions.get(mark, ""), info >> 4 == _WEAK)

    def version_needs(self) -> tuple[VersionNeed, ...]:
        """List the symbol versions that this library wants, with the library that each must come from."""
        return tuple(need for _, need in self._needs())

    def defines(self, name: str, version: str = "") -> bool:
        """Tell whether the loader would find this symbol here. A library without versions satisfies any version."""
        encoded = name.encode()
        if self._hash is None:
            return False
        numbers = self._hash.candidates(encoded)
        return any(self._is_named(number, encoded) and self._has_version(number, version) for number in numbers)

    def versions(self) -> dict[int, str]:
        """The symbol versions that this library defines, by their mark; empty where it has none."""
        if self._versions is None:
            self._versions = {}
            if _VERDEF in self._tags:
                at = 0
                for _ in range(min(self._tags.get(_VERDEF_COUNT, 0), _MAX_VERSIONS)):
                    entry = self._read(_VERDEF, _DEFINITION.size, "a version definition", at)
                    _, _, mark, _, _, names_at, following = _DEFINITION.unpack(entry)
                    name_at = self._read(_VERDEF, 4, "a version's name", at + names_at)
                    self._versions[mark & _VERSION_MASK] = self._string(int.from_bytes(name_at, "little"))
                    if following == 0:
                        break
                    at += following
        return self._versions

    def _needs(self) -> Iterator[tuple[int, VersionNeed]]:
        if _VERNEED not in self._tags:
            return
        at = parts = 0
        for _ in range(min(self._tags.get(_VERNEED_COUNT, 0), _MAX_VERSIONS)):
            entry = self._read(_VERNEED, _NEED.size, "a needed version", at)
            _, count, file_at, part_offset, following = _NEED.unpack(entry)
            library = self._string(file_at)
            part_at = at + part_offset
            for _ in range(count):
                parts += 1
                if parts > _MAX_VERSIONS:
                    raise self._damage(_VERNEED, f"more than {_MAX_VERSIONS} needed versions")
                part = self._read(_VERNEED, _NEED_PART.size, "a needed version", part_at)
                _, flags, mark, name_at, next_part = _NEED_PART.unpack(part)
                yield mark & _VERSION_MASK, VersionNeed(library, self._string(name_at), bool(flags & 2))
                if next_part == 0:
                    break
                part_at += next_part
            if following == 0:
                return
            at += following

    def _is_named(self, number: int, name: bytes) -> bool:
        entry = self._read(_SYMTAB, _SYMBOL.size, "a dynamic symbol", number * _SYMBOL.size)
        name_at, info, _, section, _, _ = _SYMBOL.unpack(entry)
        if section == 0 or info >> 4 not in _BINDINGS:
            return False
        return self._read(_STRTAB, len(name) + 1, "a symbol's name", name_at, may_end=True) == name + b"\0"

    def _has_version(self, number: int, version: str) -> bool:
        if not version or _VERSYM not in self._tags or not self.versions():
            return True
        mark = int.from_bytes(self._read(_VERSYM, 2, "a symbol's version", number * 2), "little") & _VERSION_MASK
        return self.versions().get(mark) == version

    def _gnu_hash(self) -> _GnuHash:
        header = _GNU_HASH_HEADER.unpack(self._read(_GNU_HASH, _GNU_HASH_HEADER.size, "a hash table"))
        buckets, first, bloom_words, _ = header
        start = self._start(_GNU_HASH, "a hash table")
        if first > _MAX_SYMBOLS or buckets > _MAX_SYMBOLS or bloom_words > _MAX_SYMBOLS or not bloom_words:
            raise DamagedError(start, "a hash table with sizes that no real file has")
        tables = self._read(_GNU_HASH, bloom_words * 8 + buckets * 4, "a hash table", _GNU_HASH_HEADER.size)
        chains_at = start + _GNU_HASH_HEADER.size + len(tables)
        return _GnuHash(self._source, header, tables, chains_at)

    def _old_hash(self) -> _OldHash:
        start = self._start(_HASH, "a hash table")
        buckets, chains = struct.unpack("<II", self._read(_HASH, 8, "a hash table"))
        if buckets > _MAX_SYMBOLS or chains > _MAX_SYMBOLS:
            raise DamagedError(start, "a hash table with sizes that no real file has")
        return _OldHash(self._read(_HASH, (buckets + chains) * 4, "a hash table", 8), buckets, chains)

    def _read(self, tag: int, size: int, what: str, skip: int = 0, *, may_end: bool = False) -> bytes:
        """Read from the table that a tag of the dynamic section points at."""
        start = self._start(tag, what) + skip
        if size > _MAX_TABLE:
            raise DamagedError(start, f"{size} bytes for {what}; no real file has that many")
        if may_end:
            return self._source.read_at(start, size) if start < self._source.size_bytes else b""
        return read_exactly(self._source, start, size, what)

    def _start(self, tag: int, what: str) -> int:
        """Tell where in the file the table lies that a tag of the dynamic section points at."""
        if tag not in self._starts:
            if tag not in self._tags:
                raise DamagedError(0, f"the dynamic section does not tell where {what} lies")
            self._starts[tag] = file_offset(self._segments, self._tags[tag])
        return self._starts[tag]

    def _string(self, at: int) -> str:
        content = b""
        while len(content) < _MAX_STRING:
            more = self._read(_STRTAB, 256, "the dynamic strings", at + len(content), may_end=True)
            content += more
            if b"\0" in more:
                return content[: content.index(b"\0")].decode("utf-8", "replace")
            if not more:
                break
        raise self._damage(_STRTAB, f"no name ends after {at} in the dynamic strings")

    def _damage(self, tag: int, cause: str) -> DamagedError:
        return DamagedError(self._start(tag, "a table"), cause)


class _GnuHash:
    """A GNU hash table: a Bloom filter that says no at once, then one short chain."""

    def __init__(self, source: Source, header: tuple[int, int, int, int], tables: bytes, chains_at: int) -> None:
        #: Symbols in front of the hashed ones: all that are undefined are among them.
        buckets, self.unhashed, bloom_words, self._shift = header
        self._source = source
        # Kept as bytes: a look-up touches one word of each, and unpacking all would cost more than all look-ups.
        self._bloom_words, self._bloom = bloom_words, tables[: bloom_words * 8]
        self._bucket_count, self._buckets = buckets, tables[bloom_words * 8 :]
        self._chains_at = chains_at
        self._links_left = _MAX_LINKS

    def candidates(self, name: bytes) -> Iterator[int]:
        """Give the numbers of the symbols whose name has the same hash."""
        hashed = _gnu_hash(name)
        word = _WORD.unpack_from(self._bloom, hashed // 64 % self._bloom_words * 8)[0]
        if not (word >> hashed % 64 & word >> (hashed >> self._shift) % 64 & 1) or not self._bucket_count:
            return
        number = _LINK.unpack_from(self._buckets, hashed % self._bucket_count * 4)[0]
        if number < self.unhashed:
            return
        for _ in range(_MAX_CHAIN // 8):
            at = self._chains_at + (number - self.unhashed) * 4
            # A chain ends with a mark, so running out of links is damage.
            links = self._source.read_at(at, 32)
            if len(links) < 4:
                raise DamagedError(at, "a chain of a hash table runs past the end of the file")
            self._links_left -= 8
            for (link,) in _LINK.iter_unpack(links[: len(links) // 4 * 4]):
                if link | 1 == hashed | 1:
                    yield number
                if link & 1:
                    return
                number += 1
            if self._links_left < 0:
                break
        raise DamagedError(self._chains_at, f"a chain of more than {_MAX_CHAIN} symbols in a hash table")


class _OldHash:
    """The hash table of the System V ABI, which few libraries of today have alone."""

    def __init__(self, tables: bytes, buckets: int, chains: int) -> None:
        numbers = struct.unpack(f"<{buckets + chains}I", tables)
        self._buckets = numbers[:buckets]
        self._chains = numbers[buckets:]
        #: There is one chain link for each symbol, undefined ones included.
        self.unhashed = chains
        self._links_left = _MAX_LINKS

    def candidates(self, name: bytes) -> Iterator[int]:
        """Give the numbers of the symbols in the same chain."""
        if not self._buckets:
            return
        number = self._buckets[_old_hash(name) % len(self._buckets)]
        for _ in range(_MAX_CHAIN):
            if number == 0 or number >= len(self._chains) or self._links_left < 0:
                return
            yield number
            number = self._chains[number]
            self._links_left -= 1


def _old_hash(name: bytes) -> int:
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high & 0xFFFFFFFF
    return value


@lru_cache(maxsize=16)
def _gnu_hash(name: bytes) -> int:
    """Hash a symbol's name as the GNU tools do; the last are kept, for one name is sought in many libraries."""
    value = 5381
    for byte in name:
        value = value * 33 + byte & 0xFFFFFFFF
    return value
