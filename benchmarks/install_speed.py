"""A real install of torch 2.6.0 from PyPI into a fresh environment: ours against the plain tool, pair by pair.

usage: python benchmarks/install_speed.py [--tools pip,uv] [--pairs 2] [--folder DIR]

For each tool and pair: cold (empty caches), warm (the caches of the cold run, a fresh environment), and 15 times in
place (the same command again, once all that was installed is on the disk). Ours imports the torch that it installed,
which no plain tool does; so the first two are printed a second time, with the person's first `import torch` added to
the plain tool's figures. Both see PyPI alone, whatever pip's own settings say, since uv does not read them, and both
install torch with NumPy. Wall time, CPU time of all children (user and system), and the peak of used disk in the file
system of DIR: give one that nothing else writes to. The goals: with each tool at most 1.05 times its wall time, 3 %
more CPU, faster than plain pip when cold, and in place at most a tenth of `pip install` finding the same.
Downloads 3 GB from PyPI for each cold run. Run it with the Python of an environment that has pascal-install and uv.
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
from collections.abc import Mapping, Sequence
from pathlib import Path

from pascal_install.value import NamedTuple

TORCH = "torch==2.6.0"
SCRIPTS = Path(sys.executable).parent
#: How often all is found in place: a tenth of a second is soon disturbed.
TIMES_IN_PLACE = 15


class Figures(NamedTuple):
    """What one run cost."""

    wall_s: float
    cpu_s: float
    disk_bytes: int


class Side(NamedTuple):
    """One of two installers that are compared: its command, its variables, and the environment that it fills."""

    name: str
    folder: Path
    command: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def venv(self) -> Path:
        """The environment that is filled."""
        return self.folder / "venv"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default="pip,uv")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where environments and caches lie for the time of the run")
    options = parser.parse_args()
    print(f"{'tool':<5} {'caches':<9} {'wall':>21} {'CPU':>21} {'peak disk':>21}")
    for tool in options.tools.split(","):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            compare(tool, Path(folder), options.pairs)
    return 0


def compare(tool: str, folder: Path, pairs: int) -> None:
    """Print the figures of one tool: cold, warm and in place."""
    rounds: dict[str, list[tuple[Figures, Figures]]] = {"cold": [], "warm": [], "in place": []}
    imported: dict[str, list[tuple[Figures, Figures]]] = {"cold": [], "warm": []}
    for number in range(pairs):
        ours, plain = make_side(tool, folder / "ours", is_ours=True), make_side(tool, folder / "plain", is_ours=False)
        for name in ("cold", "warm"):
            fresh(ours)
            fresh(plain)
            rounds[name].append(measure_both(ours, plain, number))
            of_ours, of_plain = rounds[name][-1]
            imported[name].append((of_ours, with_import(of_plain, plain)))
        # Else the first of them would wait for a processor that is still writing gigabytes, plain pip most of all.
        os.sync()
        rounds["in place"] += [measure_both(ours, plain, turn) for turn in range(TIMES_IN_PLACE)]
        for side in (ours, plain):
            shutil.rmtree(side.folder)
    for name, found in rounds.items():
        show(tool, name, found)
        if name in imported:
            show(tool, "+ import", imported[name])


def with_import(figures: Figures, side: Side) -> Figures:
    """Add what the first import of torch costs in a side's environment."""
    python = str(side.venv / "bin" / "python")
    found = measure(side._replace(command=(python, "-c", "import torch; torch._C._cuda_getArchFlags()")))
    return Figures(
        figures.wall_s + found.wall_s, figures.cpu_s + found.cpu_s, max(figures.disk_bytes, found.disk_bytes)
    )


def measure_both(ours: Side, plain: Side, number: int) -> tuple[Figures, Figures]:
    """Run both once. Who goes first finds a colder host, so they take turns."""
    first, second = (ours, plain) if number % 2 else (plain, ours)
    figures = {side.name: measure(side) for side in (first, second)}
    return figures["ours"], figures["plain"]


def make_side(tool: str, folder: Path, *, is_ours: bool) -> Side:
    """Give a side with empty caches."""
    folder.mkdir(parents=True)
    names = {"TMPDIR": "tmp", "PIP_CACHE_DIR": "pip", "UV_CACHE_DIR": "uv", "PASCAL_INSTALL_CACHE_DIR": "own"}
    for name in names.values():
        (folder / name).mkdir()
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PIP_") or name == "PIP_CERT"}
    environ |= {variable: str(folder / name) for variable, name in names.items()}
    environ["PIP_CONFIG_FILE"] = os.devnull
    python = str(folder / "venv" / "bin" / "python")
    if is_ours:
        asked = ("--torch-source", "pypi", "--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--installer", tool)
        command = (str(SCRIPTS / "pascal-install"), TORCH, "--python", python, "--quiet", *asked)
    elif tool == "uv":
        command = (str(SCRIPTS / "uv"), "pip", "install", "--quiet", "--python", python, TORCH, "numpy")
    else:
        command = (python, "-m", "pip", "install", "--quiet", TORCH, "numpy")
    return Side("ours" if is_ours else "plain", folder, command, environ)


def fresh(side: Side) -> None:
    """Make the environment anew, with the pip of the Python that runs us."""
    if side.venv.exists():
        shutil.rmtree(side.venv)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(side.venv)], check=True)
    if "pip" in side.command:
        pip = [sys.executable, "-m", "pip", "--python", str(side.venv), "install", "--quiet", "pip"]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)


def measure(side: Side) -> Figures:
    """Run a side's command once."""
    peak = Peak(side.folder)
    with peak:
        start = time.perf_counter()
        child = subprocess.Popen(side.command, env=side.environ, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(side.command)}: exit {child.returncode}")
    return Figures(wall_s, used.ru_utime + used.ru_stime, peak.used_bytes)


class Peak:
    """Watches how much of a file system is used, beyond what was used before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = shutil.disk_usage(folder).used
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.used_bytes = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.used_bytes = max(self.used_bytes, shutil.disk_usage(self._folder).used - self._before)


def show(tool: str, name: str, found: Sequence[tuple[Figures, Figures]]) -> None:
    """Print ours / plain and the median of the ratios, for each figure."""
    cells = []
    for index, unit, scale in ((0, "s", 1.0), (1, "s", 1.0), (2, "GB", 1e9)):
        pairs = [(one[index] / scale, other[index] / scale) for one, other in found]
        ours, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / other if other else 0.0 for one, other in pairs)
        cells.append(f"{ours:6.2f}/{plain:6.2f} {unit:<2} {ratio:5.3f}")
    print(f"{tool:<5} {name:<9} " + " ".join(f"{cell:>21}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
