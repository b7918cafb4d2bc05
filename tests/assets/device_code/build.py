"""Build the fixtures beside this file from kernel.ptx, with NVIDIA's own tools, and write their checksums.

    python build.py --ptxas PATH --fatbinary PATH [--out DIR]

ptxas must be 12.9 (the last that knows Pascal, and the first that knows family targets; PyPI:
nvidia-cuda-nvcc-cu12), fatbinary 13.0 (PyPI: nvidia-cuda-nvcc). gcc and ar make the libraries. Tests use what is
committed: no tool is needed to run them.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
WRAPPER_MAGIC = 0x466243B1

#: One fatbin each: the images in it, and further options for fatbinary. "ptx" is portable code.
FATBINS = {
    "pascal": (("sm_60", "sm_61", "compute_61"), ("--compress=false",)),
    "pascal_only": (("sm_60", "sm_61"), ("--compress=false",)),
    "volta": (("sm_70", "sm_75"), ("--compress=false",)),
    "stray": (("sm_52", "compute_52"), ("--compress=false",)),
    "hopper": (("sm_90a",), ("--compress=false",)),
    "blackwell": (("sm_120f",), ("--compress=false",)),
    "ptx": (("compute_60",), ("--compress=false",)),
    "lz4": (("sm_60", "sm_61", "compute_61"), ("--compress-all", "--compress-mode=speed")),
    "zstd": (("sm_61", "compute_61", "sm_120f"), ("--compress-all", "--compress-mode=size")),
    "relocatable": (("sm_60", "sm_61", "compute_61"), ("--compress=false", "--device-c")),
}

#: Libraries: the fatbins in `.nv_fatbin`, and those in `__nv_relfatbin`.
LIBRARIES = {
    "libpascal.so": (("pascal", "pascal"), ()),
    "libstray.so": (("volta",) * 8 + ("stray",), ()),
    "libmixed.so": (("pascal", "volta", "hopper", "blackwell", "ptx"), ()),
    "libcompressed.so": (("lz4", "zstd"), ()),
    "librelocatable.so": (("pascal_only",), ("relocatable", "relocatable")),
    "libfastpath.so": (("hopper", "hopper"), ()),
    "libplain.so": ((), ()),
}


class Tools:
    """The programs, each run with its failure shown."""

    def __init__(self, ptxas: str, fatbinary: str) -> None:
        self.ptxas = ptxas
        self.fatbinary = fatbinary

    def run(self, *command: str | Path) -> None:
        subprocess.run([str(part) for part in command], check=True)


def build_fatbin(tools: Tools, work: Path, name: str) -> Path:
    """Assemble the images of one fatbin and pack them."""
    targets, options = FATBINS[name]
    images = []
    for target in targets:
        kind, _, number = target.partition("_")
        # PTX 6.0 knows nothing newer than sm_70; ptxas takes it for any device all the same.
        ptx = (HERE / "kernel.ptx").read_text()
        source = work / f"{name}-{target}.ptx"
        if kind == "compute":
            source.write_text(ptx.replace("sm_60", f"sm_{number}"))
            images.append(f"--image3=kind=ptx,sm={number},file={source}")
            continue
        source.write_text(ptx.replace("sm_60", "sm_52") if number == "52" else ptx)
        cubin = work / f"{name}-{target}.cubin"
        relocatable = ("-c",) if "--device-c" in options else ()
        tools.run(tools.ptxas, f"-arch={target}", *relocatable, source, "-o", cubin)
        images.append(f"--image3=kind=elf,sm={number},file={cubin}")
    made = work / f"{name}.fatbin"
    tools.run(tools.fatbinary, f"--create={made}", "-64", *options, *images)
    return made


def assembly(executable: list[Path], relocatable: list[Path]) -> str:
    """Write what nvcc writes for the host compiler: the fatbins back to back, and a wrapper for each."""
    lines = []
    wrappers = ['.section .nvFatBinSegment,"aw"', ".p2align 3"]
    for section, version, fatbins in ((".nv_fatbin", 1, executable), ("__nv_relfatbin", 2, relocatable)):
        for number, fatbin in enumerate(fatbins):
            label = f"fatbin_{version}_{number}"
            lines += [f'.section {section},"a"', ".p2align 3", f"{label}:", f'.incbin "{fatbin}"']
            wrappers += [f".long {WRAPPER_MAGIC:#x}, {version}", f".quad {label}, 0"]
    return "\n".join([*lines, *(wrappers if executable or relocatable else []), ""])


def build_library(tools: Tools, work: Path, out: Path, name: str, fatbins: dict[str, Path]) -> None:
    """Link one library."""
    executable, relocatable = LIBRARIES[name]
    source = work / f"{name}.s"
    source.write_text(assembly([fatbins[part] for part in executable], [fatbins[part] for part in relocatable]))
    tools.run("gcc", "-shared", "-nostdlib", "-s", "-Wl,-z,noseparate-code,--build-id=none", source, "-o", out / name)


def build_archive(tools: Tools, work: Path, out: Path, fatbins: dict[str, Path]) -> None:
    """Make a static archive of two objects, one of them with a long name and without device code."""
    (work / "plain.c").write_text("int answer(void) { return 42; }\n")
    (work / "device.s").write_text(assembly([fatbins["pascal"]], [fatbins["relocatable"]]))
    plain = work / "an_object_with_a_long_name_and_no_device_code.o"
    tools.run("gcc", "-c", work / "plain.c", "-o", plain)
    tools.run("gcc", "-c", work / "device.s", "-o", out / "kernels.o")
    tools.run("ar", "rcsD", out / "libkernels.a", plain, out / "kernels.o")


def build_dll(out: Path, fatbins: dict[str, Path]) -> None:
    """Lay out a Windows library by hand: no linker for Windows is at hand, and only its section table matters.

    The gap of 8 zero bytes between two fatbins and the padding at the end are what Windows linkers leave.
    """
    code = fatbins["pascal"].read_bytes()
    content = code + bytes(8) + fatbins["volta"].read_bytes()
    wrappers = struct.pack("<IIQQ", WRAPPER_MAGIC, 1, 0, 0) * 2
    sections = [(b".text", b"\xc3"), (b".nv_fatb", content), (b".nvFatBi", wrappers)]
    optional = struct.pack("<H", 0x20B) + bytes(238)
    header = b"MZ" + bytes(58) + struct.pack("<I", 64)
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, len(optional), 0x2022) + optional
    table, body = b"", b""
    start = 1024
    for number, (name, data) in enumerate(sections):
        raw = data + bytes(-len(data) % 512)
        offset = start + len(body)
        table += struct.pack(
            "<8sIIIIIIHHI", name, len(data), 4096 * (number + 1), len(raw), offset, 0, 0, 0, 0, 0x40000040
        )
        body += raw
    image = header + table
    (out / "pascal.dll").write_bytes(image + bytes(start - len(image)) + body)


def main() -> int:
    """Build everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptxas", required=True)
    parser.add_argument("--fatbinary", required=True)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    tools = Tools(options.ptxas, options.fatbinary)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        fatbins = {name: build_fatbin(tools, work, name) for name in FATBINS}
        for name in LIBRARIES:
            build_library(tools, work, options.out, name, fatbins)
        build_archive(tools, work, options.out, fatbins)
        build_dll(options.out, fatbins)
    made = sorted([*LIBRARIES, "kernels.o", "libkernels.a", "pascal.dll"])
    sums = [f"{hashlib.sha256((options.out / name).read_bytes()).hexdigest()}  {name}\n" for name in made]
    (options.out / "SHA256SUMS").write_text("".join(sums))
    return 0


if __name__ == "__main__":
    sys.exit(main())
