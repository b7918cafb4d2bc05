"""Symbols: what our reader says against pyelftools and against the system's own loader."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from pascal_install.binary.linking import Resolution, readable
from pascal_install.binary.source import BytesSource, DamagedError, UnsupportedError
from pascal_install.binary.symbols import DynamicLibrary, Symbol
from pascal_install.inspection.files import FileSource
from pascal_install.inspection.loader import Loader
from support.device_code import asset
from support.shared_libraries import compile_library, loads, needs_compiler

TORCH = """
#include <string>
namespace c10 {
struct Error { Error(std::string what); std::string kept; };
Error::Error(std::string what) : kept(what) {}
int check(int value) { return value; }
__attribute__((weak)) int maybe() { return 1; }
}
extern "C" int plain(void) { return 1; }
"""
EXTENSION = """
#include <string>
namespace c10 {
struct Error { Error(std::string what); std::string kept; };
int check(int value);
}
extern "C" int plain(void);
extern "C" int optional(void) __attribute__((weak));
extern "C" void *PyLong_FromLong(long);
extern "C" int cuInit(unsigned);
extern "C" int entry(void) {
    c10::Error error("text");
    if (error.kept.size() > 100) { PyLong_FromLong(1); cuInit(0); if (optional) optional(); }
    return c10::check(1) + plain();
}
"""
LIGHT_EXTENSION = EXTENSION.replace("PyLong_FromLong(1); cuInit(0); ", "")
OLD_ABI = ("-D_GLIBCXX_USE_CXX11_ABI=0",)


def real_libraries() -> list[Path]:
    """Some libraries that are surely here: what this interpreter itself runs on."""
    folders = [Path(folder) for folder in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib64", "/lib64")]
    names = ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libcrypto.so.3", "libssl.so.3")
    paths = {(folder / name).resolve() for folder in folders for name in names if (folder / name).is_file()}
    return sorted(paths)


def by_pyelftools(path: Path) -> tuple[set[Symbol], list[str], set[str]]:
    """Read undefined symbols, needed libraries and defined symbols with full tables."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        table = next(section for section in elf.iter_sections() if section.name == ".dynsym")
        assert isinstance(table, SymbolTableSection)
        marks = elf.get_section_by_name(".gnu.version")
        needs = elf.get_section_by_name(".gnu.version_r")
        versions = {}
        if isinstance(needs, GNUVerNeedSection):
            for _, parts in needs.iter_versions():
                versions.update({part.entry["vna_other"]: part.name for part in parts})
        wanted, defined = set(), set()
        for number, symbol in enumerate(table.iter_symbols()):
            binding = symbol.entry["st_info"]["bind"]
            if symbol.entry["st_shndx"] != "SHN_UNDEF":
                if binding != "STB_LOCAL":
                    defined.add(symbol.name)
            elif number and binding in ("STB_GLOBAL", "STB_WEAK", "STB_LOOS"):
                version = ""
                if isinstance(marks, GNUVerSymSection):
                    mark = marks.get_symbol(number)["ndx"]
                    version = versions.get(mark & 0x7FFF, "") if isinstance(mark, int) else ""
                wanted.add(Symbol(symbol.name, version, binding == "STB_WEAK"))
        dynamic = elf.get_section_by_name(".dynamic")
        assert isinstance(dynamic, DynamicSection)
        needed = [str(vars(tag)["needed"]) for tag in dynamic.iter_tags("DT_NEEDED")]
    return wanted, needed, defined


@pytest.mark.skipif(not real_libraries(), reason="no system libraries where they are expected")
@pytest.mark.parametrize("path", real_libraries(), ids=lambda path: path.name)
def test_system_libraries_read_as_pyelftools_reads_them(path: Path) -> None:
    wanted, needed, defined = by_pyelftools(path)
    with FileSource(str(path)) as source:
        library = DynamicLibrary(source)
        assert set(library.undefined()) == wanted
        assert list(library.needed) == needed
        assert all(library.defines(name) for name in defined)
        assert not any(library.defines(f"{name}_no_such") for name in defined)
        assert not any(library.defines(symbol.name) for symbol in wanted if symbol.name not in defined)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def resolve(path: Path, *search: Path) -> Resolution:
    with Loader([], search_path=":".join(map(str, search))) as loader:
        found = loader.resolve(str(path))
        assert found is not None
        return found


@needs_compiler
def test_a_matching_pair(folder: Path) -> None:
    torch = compile_library(folder, "libtorch.so", TORCH)
    extension = compile_library(folder, "_C.so", EXTENSION, torch)
    found = resolve(extension)
    assert found.loads
    assert found.missing == ()
    assert (found.python, found.driver) == (1, 1)
    assert found.weak >= 1
    light = compile_library(folder, "_light.so", LIGHT_EXTENSION, torch)
    assert resolve(light).loads
    assert loads(light)


@needs_compiler
@pytest.mark.parametrize("style", ["gnu", "sysv"])
def test_a_function_that_is_gone(folder: Path, style: str) -> None:
    options = (f"-Wl,--hash-style={style}",)
    torch = compile_library(folder, "libtorch.so", TORCH.replace("int check(int", "int check2(int"), options=options)
    extension = compile_library(folder, "_C.so", LIGHT_EXTENSION, torch, options=options)
    found = resolve(extension)
    assert [symbol.name for symbol in found.missing] == ["_ZN3c105checkEi"]
    assert not found.other_cxx11_abi
    assert not loads(extension)


@needs_compiler
@pytest.mark.parametrize(("of_torch", "of_extension"), [(OLD_ABI, ()), ((), OLD_ABI)])
def test_the_other_cxx_abi(folder: Path, of_torch: tuple[str, ...], of_extension: tuple[str, ...]) -> None:
    torch = compile_library(folder, "libtorch.so", TORCH, options=of_torch)
    extension = compile_library(folder, "_C.so", LIGHT_EXTENSION, torch, options=of_extension)
    found = resolve(extension)
    assert found.other_cxx11_abi
    assert [readable(symbol.name) for symbol in found.missing] == ["c10::Error"]
    assert not loads(extension)


@needs_compiler
def test_a_library_that_is_nowhere(folder: Path) -> None:
    torch = compile_library(folder, "libcudart.so.11.0", TORCH)
    extension = compile_library(folder, "_C.so", LIGHT_EXTENSION, torch)
    torch.unlink()
    found = resolve(extension)
    assert found.missing_libraries == ("libcudart.so.11.0",)
    assert not found.loads
    assert not loads(extension)


@needs_compiler
def test_a_library_behind_a_library_is_searched(folder: Path) -> None:
    deep = compile_library(folder / "deep", "libtorch_cpu.so", TORCH)
    torch = compile_library(folder, "libtorch.so", "int nothing;", deep)
    extension = compile_library(folder, "_C.so", LIGHT_EXTENSION, torch)
    assert resolve(extension, folder / "deep").loads
    assert loads(extension, folder / "deep")
    assert resolve(extension).missing_libraries == ("libtorch_cpu.so",)
    assert not loads(extension)


def versioned(folder: Path, version: str) -> Path:
    script = folder / f"{version}.map"
    script.write_text(f"{version} {{ global: old_name; new_name; local: *; }};\n")
    source = "int old_name(void) { return 1; } int new_name(void) { return 2; }"
    return compile_library(
        folder, "libversioned.so.1", source, options=(f"-Wl,--version-script={script}",), language="c"
    )


@needs_compiler
def test_a_symbol_version_that_is_too_new(folder: Path) -> None:
    provider = versioned(folder, "API_2.0")
    source = "int new_name(void); int f(void) { return new_name(); }"
    extension = compile_library(folder, "_C.so", source, provider, language="c")
    assert resolve(extension).loads
    assert loads(extension)
    versioned(folder, "API_1.0")
    found = resolve(extension)
    assert [(need.library, need.version) for need in found.missing_versions] == [("libversioned.so.1", "API_2.0")]
    assert not loads(extension)


@needs_compiler
def test_libraries_are_only_opened_when_they_are_asked_for(folder: Path) -> None:
    torch = compile_library(folder, "libtorch.so", TORCH)
    other = compile_library(folder, "_other.so", LIGHT_EXTENSION)
    extension = compile_library(folder, "_C.so", LIGHT_EXTENSION, torch)
    with Loader([]) as loader:
        assert loader.resolve(str(other), if_needs=("libtorch",)) is None
        assert loader.resolve(str(extension), if_needs=("libtorch",)) is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_ZN3c106detail14torchCheckFailEPKcS2_jRKSs", "c10::detail::torchCheckFail"),
        ("_ZN5torch8autograd12VariableInfoC1ERKN2at6TensorE", "torch::autograd::VariableInfo"),
        ("_ZNK2at6Tensor4sizeEl", "at::Tensor::size"),
        ("_ZTVN10__cxxabiv117__class_type_infoE", "__cxxabiv1::__class_type_info"),
        ("cudaMalloc", "cudaMalloc"),
        ("_Znwm", "_Znwm"),
        ("_ZN999999999999x", "_ZN999999999999x"),
        ("_ZN", "_ZN"),
    ],
)
def test_names_are_made_readable(name: str, expected: str) -> None:
    assert readable(name) == expected


def test_what_has_no_dynamic_section_is_not_a_library() -> None:
    with pytest.raises(UnsupportedError):
        DynamicLibrary(BytesSource(asset("kernels.o")))


def broken(content: bytes) -> Iterator[bytes]:
    for size in range(0, len(content), 61):
        yield content[:size]
    for at in range(0, len(content), 3):
        yield content[:at] + b"\xff\xff\xff" + content[at + 3 :]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the fixture as a library of Linux")
def test_broken_libraries_end_in_one_of_two_errors() -> None:
    content = asset("libplain.so")
    for changed in broken(content):
        try:
            library = DynamicLibrary(BytesSource(changed))
            list(library.undefined())
            library.defines("answer")
            library.version_needs()
        except (DamagedError, UnsupportedError):
            continue
