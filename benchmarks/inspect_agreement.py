"""Whether `inspect` tells what NVIDIA's cuobjdump and the system's loader tell, on real wheels.

    python benchmarks/inspect_agreement.py --cuobjdump PATH [--cuobjdump OLDER] SUBJECT...
    python benchmarks/inspect_agreement.py --torch SITE_PACKAGES EXTENSION...

A SUBJECT is a folder or what pip downloads: `torch==2.6.0`. Its libraries are listed by the first cuobjdump that does
not refuse, and read by us as files and, from a wheel, as streams. An EXTENSION is the same; its missing symbols beside
the torch in SITE_PACKAGES are compared with those that the system loader's own tracing names. cuobjdump comes from PyPI
(nvidia-cuda-cuobjdump), an older one with triton.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.inspection.loader import Loader
from pascal_install.inspection.local import inspect_folder
from pascal_install.inspection.wheel import inspect_wheel

_LEFT_TO_OTHERS = re.compile("_?Py|(cu|nvml)[A-Z]")
_LOADER = "/lib64/ld-linux-x86-64.so.2"


@contextmanager
def unpacked(subject: str) -> Iterator[tuple[Path, Path | None]]:
    """Give the folder of a subject, and the wheel that it comes from."""
    if Path(subject).is_dir():
        yield Path(subject), None
        return
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "-d", folder, subject], check=True, stderr=subprocess.DEVNULL)
        wheel = next(Path(folder).glob("*.whl"))
        subprocess.run(["unzip", "-q", str(wheel), "-d", f"{folder}/unpacked"], check=True)
        yield Path(folder, "unpacked"), wheel


def listed(cuobjdump: str, library: Path) -> Counter[str] | None:
    """Let cuobjdump list the entries of a library by target; None where it refuses."""
    numbers: Counter[str] = Counter()
    for option, prefix in (("--list-elf", "sm_"), ("--list-ptx", "compute_")):
        done = subprocess.run([cuobjdump, option, str(library)], capture_output=True, text=True, check=False)
        if "fatal" in done.stderr or "error" in done.stderr:
            return None
        for line in done.stdout.splitlines():
            number = next((part[3:] for part in line.split(".") if part.startswith("sm_")), "")
            if number:
                numbers[prefix + number] += 1
    return numbers


def without(numbers: Mapping[str, int], suffixes: str) -> Counter[str]:
    """Drop the suffixes that a cuobjdump does not print."""
    found: Counter[str] = Counter()
    for target, number in numbers.items():
        found[target.rstrip(suffixes)] += number
    return found


def compare_lists(subject: str, cuobjdumps: Sequence[str]) -> Counter[str]:
    """Compare all libraries of a subject."""
    found: Counter[str] = Counter()
    with unpacked(subject) as (folder, wheel):
        report = inspect_folder(str(folder))
        streamed = {binary.member: binary.library for binary in inspect_wheel(str(wheel)).binaries} if wheel else {}
        for error in report.damaged:
            print(f"  damaged: {error.subject} at {error.offset}: {error.cause}")
            found["damaged"] += 1
        for binary in report.binaries:
            if wheel and streamed.get(binary.member) != binary.library:
                print(f"  read otherwise as a stream: {binary.member}")
                found["other as a stream"] += 1
            read = binary.library
            # Of an archive without executable code cuobjdump lists the relocatable.
            listing = read.nv_relfatbin if read.format == "ar" and not read.nv_fatbin.fatbins else read.nv_fatbin
            ours = {str(target): number for target, number in listing.entries}
            for number, cuobjdump in enumerate(cuobjdumps):
                theirs = listed(cuobjdump, folder / binary.member)
                if theirs is None:
                    continue
                # --list-elf of 13.x never prints the f of a family target, that of 12.x neither this nor all of the a.
                suffixes = "fa" if number else "f"
                if without(theirs, suffixes) == without(ours, suffixes):
                    found["same, with code" if ours else "same, without"] += 1
                else:
                    print(f"  differs: {binary.member}: {dict(theirs)} and {ours}")
                    found["differs"] += 1
                break
            else:
                found["refused by cuobjdump" if ours else "no code, refused"] += 1
    return found


def traced(library: Path, folders: Sequence[str]) -> set[str]:
    """Let the system's loader name a library's unresolved symbols, Python's and the driver's left out."""
    environ = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "yes"}
    environ["LD_LIBRARY_PATH"] = ":".join(folders)
    done = subprocess.run([_LOADER, str(library)], env=environ, capture_output=True, text=True, check=False)
    names = set()
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith("undefined symbol:") and line.rstrip().endswith(f"({library})"):
            # A symbol with a version is printed as `name, version V`.
            names.add(line.split()[2].rstrip(","))
    return {name for name in names if not _LEFT_TO_OTHERS.match(name)}


def compare_symbols(subject: str, torch: Path) -> Counter[str]:
    """Compare all libraries of an extension that link with torch."""
    found: Counter[str] = Counter()
    folders = [
        str(torch / "torch" / "lib"),
        *map(str, sorted(torch.glob("nvidia/*/lib"))),
        str(torch / "cusparselt/lib"),
    ]
    with unpacked(subject) as (folder, _), Loader([str(torch)]) as loader:
        for library in sorted(path.resolve() for path in folder.rglob("*.so")):
            try:
                resolution = loader.resolve(str(library), if_needs=("libtorch", "libc10"))
            except (UnsupportedError, DamagedError, OSError):
                continue
            if resolution is None:
                continue
            ours = {symbol.name for symbol in resolution.missing}
            theirs = traced(library, folders)
            if ours == theirs:
                found["loads, both say" if not ours else "does not load, both say"] += 1
            else:
                print(f"  differs: {library.name}: {sorted(theirs - ours)[:5]} and {sorted(ours - theirs)[:5]}")
                found["differs"] += 1
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and say how many were the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuobjdump", action="append", default=[])
    parser.add_argument("--torch", type=Path)
    parser.add_argument("subjects", nargs="+")
    given = parser.parse_args(arguments)
    total: Counter[str] = Counter()
    for subject in given.subjects:
        found = compare_symbols(subject, given.torch) if given.torch else compare_lists(subject, given.cuobjdump)
        print(f"{subject}: {', '.join(f'{name} {number}' for name, number in sorted(found.items()))}", flush=True)
        total += found
    print(f"all: {', '.join(f'{name} {number}' for name, number in sorted(total.items()))}")
    return 1 if total["differs"] or total["damaged"] or total["other as a stream"] else 0


if __name__ == "__main__":
    sys.exit(main())
