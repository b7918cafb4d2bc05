"""How fast `inspect` is, as ratios against NVIDIA's cuobjdump, unzip and pyelftools on the same files in one run.

    python benchmarks/inspect_speed.py --download DIR    fetch torch 2.6.0, the newest and cuobjdump first (7 GB)
    python benchmarks/inspect_speed.py --cuobjdump PATH --site-packages DIR --wheel TORCH.whl... --extension FILE.so

Runs go A B A B; the ratio of the medians is printed. Each row names the goal that it is held against. Times of children
include the start of Python, from compiled modules as pip installs them. What is compared with whom by content stands in
inspect_agreement.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pascal_install.fetch import Fetcher
from pascal_install.fetch.fetcher import RemoteFile
from pascal_install.inspection.local import inspect_environment, inspect_library
from pascal_install.inspection.remote import inspect_url, list_url
from pascal_install.inspection.subject import wheel_architectures
from pascal_install.inspection.verify import verify_environment
from pascal_install.model.cuda import ComputeCapability
from pascal_install.value import NamedTuple

PASCAL = ComputeCapability(6, 1)
INSPECT = (sys.executable, "-m", "pascal_install", "inspect", "--gpu", "6.1", "--format", "json")
WITHOUT_ISAL = (
    sys.executable,
    "-c",
    "import sys; sys.modules['isal'] = None; from pascal_install.cli.main import run; sys.exit(run())",
    *INSPECT[3:],
)


class Cost(NamedTuple):
    """What one child took."""

    wall_s: float
    cpu_s: float
    memory_mb: float
    written_mb: float


# A child starts with the peak memory of the process that it was forked from. So a small one starts it.
_LAUNCHER = """
import os, sys, time
start = time.perf_counter()
null = os.open(os.devnull, os.O_WRONLY)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, usage.ru_oublock / 2048)
sys.exit(os.waitstatus_to_exitcode(status))
"""


_COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_COMPILED["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir(), "inspect-speed-compiled"))


def run(*command: str | Path) -> Cost:
    """Run a child to its end."""
    launched = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *map(str, command)]
    done = subprocess.run(launched, stdout=subprocess.PIPE, text=True, check=True, env=_COMPILED)
    return Cost(*map(float, done.stdout.split()))


def side_by_side(rounds: int, *sides: Callable[[], Cost]) -> list[Cost]:
    """Run the sides in turn, and give the medians of each."""
    results: list[list[Cost]] = [[] for _ in sides]
    for _ in range(rounds):
        for costs, side in zip(results, sides, strict=True):
            costs.append(side())
    return [Cost(*map(statistics.median, zip(*costs, strict=True))) for costs in results]


def here(work: Callable[[], object]) -> Callable[[], Cost]:
    """Time a function in this process."""

    def timed() -> Cost:
        start, cpu = time.perf_counter(), time.process_time()
        work()
        return Cost(time.perf_counter() - start, time.process_time() - cpu, 0, 0)

    return timed


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def row(work: str, found: str, goal: str) -> None:
    """Print one line of the table."""
    print(f"{work:<46} {found:<58} goal: {goal}", flush=True)


def one_library(cuobjdump: Path, library: Path, rounds: int) -> None:
    """The largest library, warm and cold."""
    run(*INSPECT, library)
    ours, scan, theirs = side_by_side(
        rounds,
        lambda: run(*INSPECT, library),
        here(lambda: inspect_library(str(library))),
        lambda: run(cuobjdump, "--list-elf", library),
    )
    row(
        f"{library.name}, {library.stat().st_size >> 20} MB, warm",
        f"{theirs.wall_s / ours.wall_s:.0f} x ({ours.wall_s:.3f} s, {ours.memory_mb:.0f} MB; {theirs.wall_s:.2f} s, "
        f"{theirs.memory_mb:.0f} MB)",
        "40 x, 30 MB",
    )
    row("  the scan alone", f"{theirs.wall_s / scan.wall_s:.0f} x ({scan.wall_s * 1000:.1f} ms)", "300 x")

    def cold(*command: str | Path) -> Cost:
        forget(library)
        return run(*command)

    ours, theirs = side_by_side(
        max(3, rounds // 3), lambda: cold(*INSPECT, library), lambda: cold(cuobjdump, "--list-elf", library)
    )
    row("  cold cache", f"{theirs.wall_s / ours.wall_s:.0f} x ({ours.wall_s:.3f} s; {theirs.wall_s:.2f} s)", "15 x")


def environment(site_packages: Path, rounds: int) -> None:
    """A whole environment, and what is checked after an install."""
    whole, verified = side_by_side(
        rounds,
        here(lambda: inspect_environment([str(site_packages)])),
        here(lambda: verify_environment([str(site_packages)], ["torch", "torchvision"], [PASCAL])),
    )
    row("an environment with torch 2.6.0, warm", f"{whole.cpu_s:.3f} s of CPU", "0.5 s of CPU")
    row("  verification after an install", f"{verified.cpu_s:.3f} s of CPU", "a fraction of a second")


def wheel_on_disk(cuobjdump: Path, wheel: Path, rounds: int) -> None:
    """A wheel, against unpacking it and asking cuobjdump."""

    def unpacked() -> Cost:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            subprocess.run(["unzip", "-q", str(wheel), "-d", folder], check=True)
            for library in sorted(Path(folder).rglob("*.so")):
                if "cuda" in library.name:
                    subprocess.run([str(cuobjdump), "--list-elf", str(library)], capture_output=True, check=False)
            return Cost(time.perf_counter() - start, 0, 0, 0)

    run(*WITHOUT_ISAL, wheel)
    plain, fast, theirs = side_by_side(
        max(3, rounds // 3), lambda: run(*WITHOUT_ISAL, wheel), lambda: run(*INSPECT, wheel), unpacked
    )
    row(
        f"{'-'.join(wheel.name.split('-')[:2])} on disk, zlib",
        f"{theirs.wall_s / plain.wall_s:.1f} x ({plain.wall_s:.2f} s, {plain.memory_mb:.0f} MB; {theirs.wall_s:.2f} s)",
        "2.2 x, 64 MB",
    )
    row(
        "  with isal",
        f"{theirs.wall_s / fast.wall_s:.1f} x ({fast.wall_s:.2f} s, {fast.memory_mb:.0f} MB, "
        f"{fast.written_mb + plain.written_mb:.0f} MB written)",
        "3.5 x, 64 MB, nothing written",
    )


class _Ranges(BaseHTTPRequestHandler):
    """Serves one file by ranges."""

    protocol_version = "HTTP/1.1"
    file: Path

    def do_GET(self) -> None:
        """Give a range."""
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        whole = self.file.stat().st_size
        start, end = (int(first), int(last)) if first else (whole - int(last), whole - 1)
        size = end - start + 1
        self.send_response(206)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Range", f"bytes {start}-{end}/{whole}")
        self.end_headers()
        with self.file.open("rb") as file:
            file.seek(start)
            self.wfile.write(file.read(size))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface is the library's
        """Keep quiet."""


def remote_wheel(wheel: Path) -> None:
    """The same wheel on a server; the quick question is asked for a GPU that it serves."""
    gpu = next(target.capability for target in wheel_architectures(str(wheel)) if not target.suffix)
    _Ranges.file = wheel
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Ranges)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{wheel.name}"
    fetcher = Fetcher()
    size = wheel.stat().st_size
    listing = list_url(url, fetcher)
    row(
        "list + METADATA of a remote torch wheel",
        f"{listing.requests} requests, {listing.fetched_bytes / size:.3%}",
        "3 requests, 0.2%",
    )
    fetched = [0]

    class Counting:
        @staticmethod
        def get_end(url: str, length: int) -> tuple[RemoteFile, bytes]:
            found, content = fetcher.get_end(url, length)
            fetched[0] += len(content)
            return found, content

        @staticmethod
        def get_range(url: str, start: int, end: int) -> bytes:
            fetched[0] += end - start
            return fetcher.get_range(url, start, end)

    report = inspect_url(url, Counting, [gpu], quick=True)
    row(
        f"  --quick, a yes for {gpu.sm}",
        f"{fetched[0] / size:.2%}{'' if not report.complete else ' (not quick!)'}",
        "2%",
    )
    server.shutdown()


def symbols(site_packages: Path, extension: Path, rounds: int) -> None:
    """An extension's symbols, against full symbol tables with pyelftools."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    from pascal_install.inspection.loader import Loader

    def ours() -> None:
        with Loader([str(site_packages)]) as loader:
            loader.resolve(str(extension))

    def theirs() -> None:
        defined: set[str] = set()
        names = ("libc10.so", "libc10_cuda.so", "libtorch_cpu.so", "libtorch_cuda.so", "libtorch_python.so")
        for path in (extension, *(site_packages / "torch" / "lib" / name for name in names)):
            with path.open("rb") as stream:
                table = ELFFile(stream).get_section_by_name(".dynsym")
                assert isinstance(table, SymbolTableSection)
                defined.update(symbol.name for symbol in table.iter_symbols())

    fast, full = side_by_side(max(3, rounds // 3), here(ours), here(theirs))
    row(
        f"symbols of {extension.parent.name}/{extension.name}",
        f"{full.wall_s / fast.wall_s:.0f} x ({fast.wall_s * 1000:.0f} ms; {full.wall_s:.2f} s)",
        "50 x",
    )


def download(folder: Path) -> None:
    """Fetch what is measured from PyPI."""
    pip = [sys.executable, "-m", "pip"]
    wheels, newest = folder / "wheels", folder / "newest"
    subprocess.run([*pip, "download", "-q", "--no-deps", "-d", str(wheels), "torch==2.6.0"], check=True)
    subprocess.run([*pip, "download", "-q", "--no-deps", "-d", str(newest), "torch"], check=True)
    library = [str(next(newest.glob("torch-*.whl"))), "torch/lib/libtorch_cuda.so"]
    subprocess.run(["unzip", "-q", "-o", *library, "-d", str(newest)], check=True)
    options = ["--target", str(folder / "site-packages"), "--find-links", str(wheels)]
    subprocess.run([*pip, "install", "-q", *options, "torch==2.6.0", "torchvision==0.21.0"], check=True)
    tools = folder / "tools"
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", str(tools), "nvidia-cuda-cuobjdump"], check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--download", type=Path, metavar="DIR")
    parser.add_argument("--cuobjdump", type=Path)
    parser.add_argument("--site-packages", type=Path)
    parser.add_argument("--wheel", type=Path, action="append", default=[])
    parser.add_argument("--library", type=Path, action="append", default=[])
    parser.add_argument("--extension", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args(arguments)
    if given.download:
        download(given.download)
        given.cuobjdump = next(given.download.rglob("cuobjdump"))
        given.cuobjdump.chmod(0o755)
        given.site_packages = given.download / "site-packages"
        given.wheel = sorted(given.download.glob("*/torch-*.whl"))
        given.library = [given.download / "newest" / "torch" / "lib" / "libtorch_cuda.so"]
        given.extension = given.site_packages / "torchvision" / "_C.so"
    if given.site_packages:
        environment(given.site_packages, given.rounds)
        if given.extension:
            symbols(given.site_packages, given.extension, given.rounds)
    if given.site_packages:
        given.library.insert(0, given.site_packages / "torch" / "lib" / "libtorch_cuda.so")
    if given.cuobjdump:
        for library in given.library:
            one_library(given.cuobjdump, library, given.rounds)
    for wheel in given.wheel:
        remote_wheel(wheel)
        if given.cuobjdump and shutil.which("unzip"):
            wheel_on_disk(given.cuobjdump, wheel, given.rounds)


if __name__ == "__main__":
    main()
