"""Start-up time of `plan`, as ratios measured side by side.

usage: python benchmarks/start_up.py [--runs 25] [--uv]

Every figure is the median ratio of pairs (A B A B ...), since absolute times move with the machine. The goals: at most
3 times `python -c pass`, and a fifteenth of uv's dry run of torch==2.6.0 with a warm cache (--uv; asks PyPI).
Run it with the Python of an environment into which the wheel was installed, not from a checkout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

PASS = [sys.executable, "-c", "pass"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--uv", action="store_true", help="also compare with uv's dry run")
    options = parser.parse_args()
    program = str(Path(sys.executable).with_name("pascal-install"))
    known = ["--gpu", "GTX 1080 Ti", "--driver", "580.95.05"]
    plan = [program, "plan", "exllamav2", *known]
    show("plan exllamav2, GPU and driver given", plan, PASS, options.runs)
    show(
        "plan 'exllamav2==0.3.2' (a version to read)", [program, "plan", "exllamav2==0.3.2", *known], PASS, options.runs
    )
    show("info, with detection", [program, "info"], PASS, options.runs)
    show("--version", [program, "--version"], PASS, options.runs)
    uv = shutil.which("uv", path=os.path.dirname(sys.executable)) or shutil.which("uv")
    if options.uv and uv:
        dry = [uv, "pip", "install", "--dry-run", "--python", sys.executable, "torch==2.6.0"]
        show("plan exllamav2, against uv's warm dry run", plan, dry, min(options.runs, 11))
    return 0


def show(title: str, command: list[str], other: list[str], runs: int) -> None:
    """Print the medians of a command and of another one, and the median of the pairs' ratios."""
    times = [(seconds(command), seconds(other)) for _ in range(runs + 1)][1:]
    ours, theirs = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    ratio = statistics.median(one / two for one, two in times)
    print(f"{title:<46} {ours:7.1f} ms  against {theirs:7.1f} ms  ratio {ratio:.3f}")


def seconds(command: list[str]) -> float:
    """Run a command once and give its wall time."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
