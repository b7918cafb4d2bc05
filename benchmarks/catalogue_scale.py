"""Time and memory of `plan` with catalogues of 1,000, 10,000 and 100,000 builds, beside those of the real one.

usage: python benchmarks/catalogue_scale.py [--runs 11] [--builds 1000,10000,100000] [--package 1000]

A catalogue is made of packages of `--package` builds, as large as the largest real ones, laid over the real one; one of
them is planned. What one plan must read stays the same, so its time and memory should too: the goal is 1.5 times from
the smallest to the largest. With `--package 0` all builds are of one package, which a plan has to read whole.
Every ratio is the median of pairs (A B A B ...), since absolute times move with the machine. The first run of each
catalogue compiles it into the cache; its time is printed apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pascal_install.value import NamedTuple

PLAN = (str(Path(sys.executable).with_name("pascal-install")), "plan")
GIVEN = ("--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--platform", "linux_x86_64", "--python-version", "3.12")
PYTHONS = ("cp39", "cp310", "cp311", "cp312", "cp313")

HEAD = """\
schema = 1
name = "{name}"
import_name = "{module}"
role = "cuda"
data_date = "2026-11-24"
[sources]
made = "made for a benchmark"
[[index]]
id = "github"
file = "https://github.com/somebody/{name}/releases/download/v{{version}}/{{filename}}"
"""
RELEASE = """\
[[release]]
version = "{version}"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "github"
architectures = ["sm_60", "sm_61", "sm_70", "sm_86", "sm_90"]
confidence = "script"
source = "made"
wheels = [{wheels}]
"""


class Cost(NamedTuple):
    """One run."""

    wall_s: float
    peak_bytes: int


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--builds", default="1000,10000,100000")
    parser.add_argument("--package", type=int, default=1000)
    options = parser.parse_args()
    sizes = [int(text) for text in options.builds.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PASCAL_INSTALL_CACHE_DIR": str(Path(folder) / "cache")}
        real = (*PLAN, "torch", *GIVEN)
        commands: dict[str, tuple[str, ...]] = {"the real one": real}
        measure(real, environ)
        for size in sizes:
            overlay = Path(folder) / str(size)
            name = write(overlay, size, options.package or size)
            command = (*PLAN, name, *GIVEN, "--catalogue", str(overlay))
            commands[f"{size:,} builds"] = command
            print(f"{size:,} builds: compiled in {measure(command, environ).wall_s:.1f} s", flush=True)
        show(commands, f"{sizes[0]:,} builds", environ, options.runs)
    return 0


def write(folder: Path, builds: int, of_package: int) -> str:
    """Write a catalogue, and give the name of a package in it."""
    (folder / "packages").mkdir(parents=True)
    name = ""
    for number in range(max(builds // of_package, 1)):
        name = f"package-{number:05}"
        text = HEAD.format(name=name, module=name.replace("-", "_"))
        text += "".join(releases(of_package // len(PYTHONS)))
        (folder / "packages" / f"{name}.toml").write_text(text, encoding="utf-8")
    return name


def releases(count: int) -> Iterator[str]:
    """Write releases, newest first, with a wheel for each Python."""
    wheels = ", ".join(f'{{tag = "{python}-{python}-linux_x86_64"}}' for python in PYTHONS)
    for number in range(count, 0, -1):
        yield RELEASE.format(version=f"1.{number}", wheels=wheels)


def measure(command: tuple[str, ...], environ: Mapping[str, str]) -> Cost:
    """Run a command once."""
    start = time.perf_counter()
    child = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {child.returncode}")
    return Cost(wall_s, used.ru_maxrss * 1024)


def show(commands: Mapping[str, tuple[str, ...]], first: str, environ: Mapping[str, str], runs: int) -> None:
    """Print each catalogue's cost, and its ratio to the smallest one's."""
    rounds = [{name: measure(command, environ) for name, command in commands.items()} for _ in range(runs)]
    print(f"{'catalogue':<18} {'time':>9} {'ratio':>6} {'memory':>9} {'ratio':>6}")
    for name in commands:
        wall = statistics.median(one[name].wall_s for one in rounds) * 1000
        peak = statistics.median(one[name].peak_bytes for one in rounds) / 1e6
        slower = statistics.median(one[name].wall_s / one[first].wall_s for one in rounds)
        larger = statistics.median(one[name].peak_bytes / one[first].peak_bytes for one in rounds)
        print(f"{name:<18} {wall:6.1f} ms {slower:6.2f} {peak:6.1f} MB {larger:6.2f}")


if __name__ == "__main__":
    sys.exit(main())
