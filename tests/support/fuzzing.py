"""The readers as functions of bytes that may only answer or raise DataError, and good bytes to start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pascal_install.binary import library, stream
from pascal_install.binary.fatbin import MAX_WASTED, Tally, read_section
from pascal_install.binary.source import BytesSource
from pascal_install.binary.stream import StreamedSource, read_streamed
from pascal_install.binary.symbols import DynamicLibrary
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.errors import DataError
from pascal_install.inspection.wheel import library_members, read_wheel
from pascal_install.model.cuda import ComputeCapability
from support.device_code import (
    CUBIN,
    DAMAGED,
    PTX,
    SUFFIX_A,
    asset,
    incompressible,
    pack_archive,
    pack_elf,
    pack_entry,
    pack_fatbin,
    pack_pe,
    pack_wheel,
)


class StrictSource(BytesSource):
    """Bytes that are read as the system reads files, with the work counted: it must stay in proportion to the size."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads = 0
        self.ahead: list[tuple[int, int]] = []

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source`. Nothing may be asked for that `os.pread` would refuse, or set memory aside for in vain."""
        assert 0 <= offset < 1 << 63, offset
        assert 0 <= length <= max(1 << 21, self.size_bytes), length
        self.reads += 1
        assert self.reads < MAX_WASTED + 1000 + self.size_bytes, "too much work for so small a file"
        return super().read_at(offset, length)

    def is_slow(self, offset: int) -> bool:
        """See `SlowSource`: the headers are always fetched ahead."""
        assert 0 <= offset < 1 << 63, offset
        return True

    def fetch_ahead(self, offsets: Sequence[int], length: int) -> None:
        """See `SlowSource`. Keep what was asked for."""
        assert all(0 <= offset < 1 << 63 for offset in offsets), offsets
        self.ahead += [(offset, length) for offset in offsets]


def read_fatbins(content: bytes) -> None:
    """Take the bytes for a section."""
    read_section(StrictSource(content), 0, len(content), Tally())


def read_any_library(content: bytes) -> None:
    """Take the bytes for a library, object or archive."""
    library.read_library(StrictSource(content), deep=True)


def read_archive(content: bytes) -> None:
    """Take the bytes for an archive, whatever their start."""
    read_any_library(b"!<arch>\n" + content[8:])


def read_pe(content: bytes) -> None:
    """Take the bytes for a Windows library, whatever their start."""
    read_any_library(b"MZ" + content[2:])


def read_stream(content: bytes) -> None:
    """Take the bytes for a large library that comes in chunks; the answer must be that of the file."""

    def start() -> Iterator[bytes]:
        return (content[at : at + 512] for at in range(0, len(content), 512))

    small, stream._SMALL = stream._SMALL, 0
    try:
        streamed = read_streamed(StreamedSource(start, len(content)))
    finally:
        stream._SMALL = small
    assert streamed.library == library.read_library(BytesSource(content))


def read_symbols(content: bytes) -> None:
    """Take the bytes for a dynamic library."""
    found = DynamicLibrary(StrictSource(content))
    for symbol in found.undefined():
        found.defines(symbol.name, symbol.version)
    found.defines("answer")
    found.version_needs()
    found.versions()


def read_zip(content: bytes) -> None:
    """Take the bytes for a wheel, and inflate all of it."""
    source = StrictSource(content)
    for member in read_members(source, read_directory_place(source), lambda _: True):
        for _ in content_chunks(source, member):
            pass


def read_whole_wheel(content: bytes) -> None:
    """Take the bytes for a wheel, and read the device code in it, all of it and up to a proof."""
    for quick in (False, True):
        source = StrictSource(content)
        read_wheel("a wheel", source, library_members(source), (ComputeCapability(6, 1),), quick=quick)


def _harness(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def tried(content: bytes) -> None:
        try:
            read(content)
        except DataError:
            return

    return tried


READERS: dict[str, Callable[[bytes], None]] = {
    name: _harness(read)
    for name, read in {
        "fatbin": read_fatbins,
        "elf": read_any_library,
        "pe": read_pe,
        "stream": read_stream,
        "symbols": read_symbols,
        "zip": read_zip,
        "ar": read_archive,
        "wheel": read_whole_wheel,
    }.items()
}


def seeds(name: str) -> list[bytes]:
    """Give good inputs for a reader: small ones, because mutations of large ones rarely hit what matters."""
    fatbin = pack_fatbin(pack_entry(CUBIN, 60), pack_entry(CUBIN, 90, flags=SUFFIX_A), pack_entry(PTX, 61, header=80))
    elf = pack_elf({".nv_fatbin": fatbin * 2, "__nv_relfatbin": fatbin})
    real = asset("librelocatable.so")
    at = real.index(b"\x50\xed\x55\xba")
    wheels = [pack_wheel({"x/_C.so": elf, "y": b"stored"}, stored=["y"]), pack_wheel({"a.so": incompressible(64)})]
    return {
        "fatbin": [fatbin, fatbin + bytes(16) + fatbin, real[at : at + 4096]],
        "elf": [elf, pack_elf({".data": fatbin}), asset("libplain.so"), asset("libcompressed.so")],
        "pe": [pack_pe({".nv_fatb": fatbin * 2, ".nvFatBi": bytes(48)}), asset("pascal.dll")],
        "stream": [elf, pack_elf({".rodata": fatbin, ".nv_fatbin": fatbin}), asset("libcompressed.so")],
        "symbols": [asset("libplain.so"), (DAMAGED / "symbols-sound.so").read_bytes()],
        "zip": wheels,
        "wheel": [*wheels, pack_wheel({"x/_C.so": elf, "x/_D.pyd": elf}, stored=["x/_C.so"])],
        "ar": [asset("libkernels.a"), pack_archive({"a.o": elf, "b.o": elf[:70], "c.txt": b"text"})],
    }[name]


def symbols_told(content: bytes) -> str:
    """Word what a dynamic library wants and whether it defines `answer`."""
    found = DynamicLibrary(StrictSource(content))
    undefined = " ".join(f"{symbol.name}@{symbol.version}" for symbol in found.undefined())
    answer = "yes" if found.defines("answer", "V_2") else "no"
    return f"undefined: {undefined}; needed: {' '.join(found.needed)}; answer: {answer}"
