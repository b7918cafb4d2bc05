"""Choose wheels from a program: the same functions as the command line.

Run: python examples/use_api.py "GTX 1080 Ti" 580.95.05
"""

from __future__ import annotations

import sys

from pascal_install import plan
from pascal_install.errors import PascalInstallError


def main() -> int:
    """Print the address of each pinned wheel, or why there is none."""
    gpu, driver = sys.argv[1], sys.argv[2]
    try:
        answer = plan("exllamav2", gpus=(gpu,), driver=driver, platform="linux_x86_64", python_version="3.12")
    except PascalInstallError as error:
        print(error.summary, error.cause, *error.hints, sep="\n", file=sys.stderr)
        return error.exit_code
    if answer.problem is not None:
        print(answer.problem.why, *answer.problem.suggest, sep="\n", file=sys.stderr)
        return 3
    for pin in answer.pins:
        print(pin.build.release.name, pin.build.release.version, pin.build.wheel.url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
