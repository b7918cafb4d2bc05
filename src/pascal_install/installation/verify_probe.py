"""Runs inside the target, with -I: imports what was asked for, reads torch's architectures, uses each GPU once.

Standard library only, and it must parse on Python 3.8.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

MARKER = "pascal-install-verify:"


def main(compiled: str, names: list[str]) -> None:
    """Collect everything as data, on one line behind the marker: what is imported may print.

    `compiled` is a folder for what is compiled on the way; nothing is written where it is empty.
    """
    if compiled:
        compile_into(compiled)
    else:
        sys.dont_write_bytecode = True
    answer: dict[str, Any] = {"imports": {name: imported(name) for name in names}}
    torch = sys.modules.get("torch") if answer["imports"].get("torch") == "" else None
    answer["torch"] = str(getattr(torch, "__version__", ""))
    answer["architectures"] = architectures(torch)
    answer["no_gpu"] = why_no_gpu(torch)
    answer["kernels"] = [] if answer["no_gpu"] else kernels(torch)
    sys.stdout.write("\n" + MARKER + json.dumps(answer) + "\n")
    sys.stdout.flush()


def compile_into(folder: str) -> None:
    """Let what is compiled already be used where it lies, and what Python would write be written below a folder.

    Python's own pycache_prefix does not look at what lies elsewhere: it compiles all that is imported once more, the
    standard library too, which takes a second.
    """
    loader: Any = importlib.import_module("importlib.machinery").SourceFileLoader
    write = loader.set_data

    def set_data(self: Any, path: str, data: bytes, **options: Any) -> None:
        cache, name = os.path.split(path)
        source = os.path.splitdrive(os.path.dirname(cache))[1].lstrip(os.sep)
        write(self, os.path.join(folder, source, name), data, **options)

    loader.set_data = set_data


def imported(name: str) -> str:
    """Import a module; give the error where it fails."""
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 - an extension may raise anything, and SystemExit is a failure too
        return last_line(error)
    return ""


def last_line(error: BaseException) -> str:
    """Give an error as a traceback's last line tells it."""
    return "".join(traceback.format_exception_only(type(error), error)).strip().split("\n")[0]


def architectures(torch: Any) -> list[str]:
    """Read the architectures that torch was built for: get_arch_list() is empty without a GPU, this is not."""
    flags = getattr(getattr(torch, "_C", None), "_cuda_getArchFlags", None)
    return (flags() or "").split() if flags else []


def why_no_gpu(torch: Any) -> str:
    """Tell why torch sees no GPU, in its own words; empty where it sees one."""
    if torch is None or torch.cuda.is_available():
        return ""
    try:
        torch.cuda.init()
    except Exception as error:  # noqa: BLE001 - whatever CUDA says is the answer
        return last_line(error)
    return "torch.cuda.is_available() is False"


def kernels(torch: Any) -> list[dict[str, str]]:
    """Use every GPU that torch sees."""
    if torch is None:
        return []
    found = []
    for ordinal in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(ordinal)
        name = torch.cuda.get_device_name(ordinal)
        found.append({"name": name, "capability": f"{major}.{minor}", "problem": kernel_problem(torch, ordinal)})
    return found


def kernel_problem(torch: Any, ordinal: int) -> str:
    """Run one small kernel and compare its result."""
    try:
        given = torch.arange(1024, device=f"cuda:{ordinal}", dtype=torch.float32)
        is_right = float((given * 2 + 1).sum().item()) == 1024.0 * 1024.0
    except Exception as error:  # noqa: BLE001 - whatever CUDA says is the answer
        return last_line(error)
    return "" if is_right else "a sum came out wrong"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
