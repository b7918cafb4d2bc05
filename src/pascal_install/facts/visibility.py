"""Which of the detected GPUs a CUDA program will see.

CUDA_VISIBLE_DEVICES, as the CUDA C++ Programming Guide has it ("Environment Variables"): indexes, or UUIDs of which the
beginning is enough; the first entry that is neither ends the list; an empty list or -1 hides all. CUDA itself counts
the fastest GPU first, and leaves the order of the others open; nvidia-smi and NVML count by PCI address, and so does
whoever writes an index: it is taken so, and among unlike GPUs the plan says what makes CUDA count so too.
NVIDIA_VISIBLE_DEVICES is read by the container toolkit: a container was given those GPUs, numbered anew, so the list
counts only where more GPUs are seen than it names.
"""

from __future__ import annotations

from pascal_install.model.gpu import ASSUMED, DetectionStep, GpuDevice
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CUDA, _TOOLKIT = "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"

Partitions = tuple[tuple[str, int], ...]


def apply_visibility(
    gpus: tuple[GpuDevice, ...], partitions: Partitions, environ: Mapping[str, str]
) -> tuple[tuple[GpuDevice, ...], tuple[DetectionStep, ...]]:
    """Mark the GPUs that the environment hides, and say by which variable.

    `partitions` are UUIDs of MIG devices, each with the ordinal of its GPU.
    """
    steps = []
    visible = {gpu.ordinal for gpu in gpus}
    for variable, read in ((_TOOLKIT, _seen_by_toolkit), (_CUDA, _seen_by_cuda)):
        text = environ.get(variable)
        if text is None or not gpus:
            continue
        seen, why, outcome = read(text, gpus, partitions, environ)
        visible &= seen
        left = ", ".join(str(gpu.ordinal) for gpu in gpus if gpu.ordinal in seen) or "none"
        steps.append(DetectionStep(variable, outcome, f"{text!r}: visible: {left}{why}"))
    return tuple(gpu._replace(visible=gpu.ordinal in visible) for gpu in gpus), tuple(steps)


def _seen_by_cuda(
    text: str, gpus: tuple[GpuDevice, ...], partitions: Partitions, environ: Mapping[str, str]
) -> tuple[set[int], str, str]:
    everything = {gpu.ordinal for gpu in gpus}
    seen: set[int] = set()
    by_index = False
    for entry in (part.strip() for part in text.split(",")):
        if entry.isascii() and entry.isdigit():
            if int(entry) not in everything:
                break
            seen.add(int(entry))
            by_index = True
        else:
            ordinal = _by_uuid(entry, gpus, partitions)
            if ordinal is None:
                break
            seen.add(ordinal)
    unlike = len({(gpu.name, gpu.capability) for gpu in gpus}) > 1
    if by_index and unlike and seen != everything and environ.get("CUDA_DEVICE_ORDER", "").upper() != "PCI_BUS_ID":
        why = ", counted as nvidia-smi does; CUDA counts unlike GPUs so only with CUDA_DEVICE_ORDER=PCI_BUS_ID: set it"
        return seen, why, ASSUMED
    return seen, "", "read"


def _seen_by_toolkit(
    text: str,
    gpus: tuple[GpuDevice, ...],
    partitions: Partitions,
    environ: Mapping[str, str],  # noqa: ARG001
) -> tuple[set[int], str, str]:
    everything = {gpu.ordinal for gpu in gpus}
    entries = [part.strip() for part in text.split(",")]
    if entries in ([""], ["none"], ["void"]):
        return set(), "", "read"
    if "all" in entries or len(entries) >= len(gpus):
        return everything, "", "read"
    seen: set[int] = set()
    for entry in entries:
        ordinal = int(entry) if entry.isascii() and entry.isdigit() else _by_uuid(entry, gpus, partitions)
        if ordinal not in everything:
            return everything, " (its numbers are the host's)", "read"
        seen.add(ordinal)
    return seen, "", "read"


def _by_uuid(entry: str, gpus: tuple[GpuDevice, ...], partitions: Partitions) -> int | None:
    """Find the one GPU whose UUID, or a MIG device's, begins so."""
    wanted = entry.lower()
    if wanted.startswith("mig-gpu-"):  # the form before R470: MIG-GPU-<uuid of the GPU>/<instance>/<instance>
        wanted = wanted.removeprefix("mig-").partition("/")[0]
    if not wanted.startswith(("gpu-", "mig-")):
        return None
    known = [(gpu.uuid, gpu.ordinal) for gpu in gpus if gpu.uuid] + list(partitions)
    found = {uuid: ordinal for uuid, ordinal in known if uuid.lower().startswith(wanted)}
    return next(iter(found.values())) if len(found) == 1 else None
