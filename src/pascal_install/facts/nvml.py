"""GPUs and driver through NVML, the library that comes with the driver."""

from __future__ import annotations

import os

from pascal_install.facts.reading import Reading, parse_driver
from pascal_install.model.cuda import ComputeCapability, CudaVersion
from pascal_install.model.gpu import DetectionStep, Driver, GpuDevice
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from pascal_install.facts.reading import Identify

#: Waking a GPU takes a second or two; a wedged one never answers.
DEADLINE_S = 10.0

#: NVML's return codes (nvml.h, nvmlReturn_t) that have an outcome of their own; nvidia-smi exits with the same numbers.
OUTCOMES = {
    4: "no-permission",
    6: "no-device",
    9: "driver-not-loaded",
    12: "library-missing",
    18: "version-mismatch",
}

#: Where WSL keeps the driver's libraries; most distributions there do not have it on the loader's path.
_WSL_LIBRARY = "usr/lib/wsl/lib/libnvidia-ml.so.1"


def read_nvml(identify: Identify, root: str = "/", deadline_s: float = DEADLINE_S) -> Reading:
    """Ask NVML; never raises, never takes longer than the deadline.

    A call that hangs cannot be ended, so it is left behind in a daemon thread.
    """
    import threading

    answer: list[Reading] = []
    thread = threading.Thread(target=lambda: answer.append(_read(identify, root)), daemon=True)
    thread.start()
    thread.join(deadline_s)
    if thread.is_alive():
        return _failed("timeout", f"NVML did not answer within {deadline_s:g} s")
    return answer[0] if answer else _failed("failed", "NVML's answer cannot be read")


def _failed(outcome: str, detail: str) -> Reading:
    return Reading(DetectionStep("nvml", outcome, detail))


def _read(identify: Identify, root: str) -> Reading:
    import pynvml

    try:
        _initialise(pynvml, root)
    except pynvml.NVMLError as error:
        return _failed(OUTCOMES.get(error.value, "failed"), str(error))
    try:
        driver = _read_driver(pynvml)
        count = pynvml.nvmlDeviceGetCount()
        gpus, partitions = [], []
        for ordinal in range(count):
            gpu, parts = _read_device(pynvml, ordinal, identify)
            gpus.append(gpu)
            partitions += [(uuid, ordinal) for uuid in parts]
    except pynvml.NVMLError as error:
        return _failed(OUTCOMES.get(error.value, "failed"), str(error))
    finally:
        _ask(pynvml, pynvml.nvmlShutdown)
    detail = f"{count} GPU{'' if count == 1 else 's'}"
    return Reading(
        DetectionStep("nvml", "found" if gpus else "no-device", detail), tuple(gpus), driver, tuple(partitions)
    )


def _initialise(pynvml: Any, root: str) -> None:
    """Load the library and initialise it."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            # A driver before R390 lacks nvmlInitWithFlags, all that pynvml calls.
            code = pynvml.nvmlLib.nvmlInit_v2()
            if code:
                raise pynvml.NVMLError(code) from error
            return
        path = os.path.join(root, _WSL_LIBRARY)
        if error.value != pynvml.NVML_ERROR_LIBRARY_NOT_FOUND or not os.path.isfile(path):
            raise
        import ctypes

        # A library that is loaded is found by its name, so pynvml's own search succeeds from here on.
        try:
            ctypes.CDLL(path)
        except OSError:
            raise error from None
        pynvml.nvmlInit()


def _read_driver(pynvml: Any) -> Driver:
    text = _ask(pynvml, pynvml.nvmlSystemGetDriverVersion) or ""
    number = _ask(pynvml, pynvml.nvmlSystemGetCudaDriverVersion_v2) or _ask(
        pynvml, pynvml.nvmlSystemGetCudaDriverVersion
    )
    return Driver(parse_driver(text), CudaVersion.from_driver_api(number) if number else None, "nvml")


def _ask(pynvml: Any, function: Any, *arguments: Any) -> Any:
    """Call what an old driver may lack, or a GPU may refuse: None where there is no answer."""
    try:
        return function(*arguments)
    except pynvml.NVMLError:
        return None
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "replace")


def _read_device(pynvml: Any, ordinal: int, identify: Identify) -> tuple[GpuDevice, list[str]]:
    """Read one GPU and its MIG devices; one that does not answer says so, and does not hide the others."""
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(ordinal)
    except pynvml.NVMLError as error:
        return GpuDevice(ordinal, "unknown GPU", None, problem=str(error), source="nvml"), []
    pci = _ask(pynvml, pynvml.nvmlDeviceGetPciInfo, handle)
    name = _ask(pynvml, pynvml.nvmlDeviceGetName, handle) or "unknown GPU"
    problem = ""
    try:
        capability = ComputeCapability(*pynvml.nvmlDeviceGetCudaComputeCapability(handle))
    except pynvml.NVMLError as error:
        capability = None
        if error.value == pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            capability = identify(f"{pci.pciDeviceId >> 16:04x}" if pci else "", name)
        problem = "" if capability else str(error)
    memory = _ask(pynvml, pynvml.nvmlDeviceGetMemoryInfo, handle)
    gpu = GpuDevice(
        ordinal,
        name,
        capability,
        memory_total_bytes=memory.total if memory else None,
        uuid=_ask(pynvml, pynvml.nvmlDeviceGetUUID, handle) or "",
        pci_bus_id=pci.busId if pci else "",
        problem=problem,
        source="nvml",
    )
    return gpu, _read_partitions(pynvml, handle)


def _read_partitions(pynvml: Any, handle: Any) -> list[str]:
    """List the UUIDs of a GPU's MIG devices; none where it has no MIG, or has it off."""
    mode = _ask(pynvml, pynvml.nvmlDeviceGetMigMode, handle)
    if not mode or not mode[0]:
        return []
    uuids = []
    for number in range(_ask(pynvml, pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = _ask(pynvml, pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        uuid = _ask(pynvml, pynvml.nvmlDeviceGetUUID, part) if part else None
        if uuid:
            uuids.append(uuid)
    return uuids
