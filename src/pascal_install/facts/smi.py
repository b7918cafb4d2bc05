"""GPUs and driver through nvidia-smi, where NVML cannot be loaded into this process."""

from __future__ import annotations

import os

from pascal_install.facts.nvml import OUTCOMES
from pascal_install.facts.reading import Reading, parse_driver
from pascal_install.model.cuda import ComputeCapability
from pascal_install.model.gpu import DetectionStep, Driver, GpuDevice
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pascal_install.facts.reading import Identify

#: It wakes every GPU, one after the other.
_TIMEOUT_S = 20.0
_FIELDS = ("index", "driver_version", "pci.device_id", "pci.bus_id", "uuid", "memory.total", "name", "compute_cap")


def read_smi(
    environ: Mapping[str, str], os_name: str, identify: Identify, root: str = "/", timeout_s: float = _TIMEOUT_S
) -> Reading:
    """Ask nvidia-smi; never raises."""
    from pascal_install.process import ProcessTimeout, run

    program = _find(environ, os_name, root)
    if not program:
        return _failed("not-found", "no nvidia-smi on PATH")
    try:
        for fields in (_FIELDS, _FIELDS[:-1]):  # drivers before R470 do not know compute_cap
            query = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
            done = run(query, timeout_s=timeout_s, env=dict(environ))
            if "not a valid field" not in done.stdout + done.stderr:
                break
    except ProcessTimeout:
        return _failed("timeout", f"{program} did not answer within {timeout_s:g} s")
    except OSError as error:
        return _failed("failed", f"{program}: {error.strerror or error}")
    return _read(done.returncode, done.stdout, done.stderr, program, identify)


def _failed(outcome: str, detail: str) -> Reading:
    return Reading(DetectionStep("nvidia-smi", outcome, detail))


def _find(environ: Mapping[str, str], os_name: str, root: str) -> str:
    if os_name == "windows":
        places = [
            os.path.join(environ.get("SYSTEMROOT", "C:\\Windows"), "System32"),
            os.path.join(environ.get("PROGRAMFILES", "C:\\Program Files"), "NVIDIA Corporation", "NVSMI"),
        ]
        name = "nvidia-smi.exe"
    else:
        places = [os.path.join(root, "usr/lib/wsl/lib")]
        name = "nvidia-smi"
    for folder in [*environ.get("PATH", "").split(os.pathsep), *places]:
        path = os.path.join(folder, name)
        if folder and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def _read(returncode: int, stdout: str, stderr: str, program: str, identify: Identify) -> Reading:
    gpus, driver, complaints = [], None, []
    for line in stdout.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) < len(_FIELDS) - 1 or not values[0].isdecimal():
            complaints += [line.strip()] if line.strip() else []
            continue
        gpus.append(_device(values, identify))
        driver = driver or Driver(parse_driver(values[1]), None, "nvidia-smi")
    if gpus:
        detail = "; ".join([f"{program}: {len(gpus)} GPU{'' if len(gpus) == 1 else 's'}", *complaints])
        return Reading(DetectionStep("nvidia-smi", "found", detail), tuple(gpus), driver)
    said = " / ".join(complaints) or stderr.strip().replace("\n", " / ") or f"exit code {returncode}"
    if returncode == 0 and (not stdout.strip() or "no devices" in stdout.lower()):
        return _failed("no-device", said)
    return _failed(OUTCOMES.get(returncode, "failed"), said)


def _device(values: list[str], identify: Identify) -> GpuDevice:
    """Read one line; what a driver cannot tell stands there in brackets, such as `[N/A]` or `[GPU is lost]`."""
    told = values[7] if len(values) == len(_FIELDS) else "nothing"
    try:
        capability: ComputeCapability | None = ComputeCapability.parse(told)
    except ValueError:
        capability = identify(values[2].lower().removeprefix("0x")[:4], values[6])
    problem = "" if capability else f"nvidia-smi says {told} of its compute capability"
    memory = int(values[5]) * 1024 * 1024 if values[5].isdecimal() else None
    return GpuDevice(
        int(values[0]), values[6], capability, memory, values[4], values[3], problem=problem, source="nvidia-smi"
    )
