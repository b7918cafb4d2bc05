"""What an inspection found, as values."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.binary.coverage import (
    Binary,
    Decision,
    decide,
    is_nvidia,
    is_torchs,
    judge_needed,
    needed_by_torch,
)
from pascal_install.binary.source import DamagedError
from pascal_install.model.cuda import ComputeCapability
from pascal_install.value import NamedTuple


class Skipped(NamedTuple):
    """Something with the name of a library that was not read, and why."""

    member: str
    why: str
    is_opaque: bool = False
    """Nobody can tell what it is: it is encrypted, or packed in a way that is not read."""


class Part(NamedTuple):
    """The binaries that belong together: those of one distribution, or of one file."""

    name: str
    """Empty where there is only one part."""
    binaries: tuple[Binary, ...]

    @property
    def is_nvidia(self) -> bool:
        """Whether everything with device code in it is NVIDIA's own."""
        return all(is_nvidia(binary.name) for binary in self.binaries if binary.library.has_code)


class Report(NamedTuple):
    """An inspected file, wheel, folder or environment."""

    subject: str
    parts: tuple[Part, ...]
    skipped: tuple[Skipped, ...] = ()
    damaged: tuple[DamagedError, ...] = ()
    """What was found broken among the rest; each names its member."""
    complete: bool = True
    """False where reading stopped at a proven yes: what was not seen is then not known to be missing."""
    cuda_label: str = ""
    """The CUDA variant of the torch in it, where that is known: it picks among libraries made once for each CUDA."""

    @property
    def binaries(self) -> tuple[Binary, ...]:
        """All binaries, in the order they were read."""
        return tuple(binary for part in self.parts for binary in part.binaries)


def verdict(report: Report, device: ComputeCapability) -> Decision | None:
    """Give the verdict on everything inspected: the weakest part decides; None where there is no device code.

    NVIDIA's own distributions decide only where there is nothing else: their libraries take another way when kernels
    for a GPU are missing, so only what uses them can tell whether it runs. But beside a torch, cuDNN, cuBLAS and NCCL
    decide where they serve the GPU worse than everything else does.
    """
    own = [part for part in report.parts if not part.is_nvidia] or list(report.parts)
    decisions = [decide(part.binaries, device, report.cuda_label) for part in own]
    found = [(*decision.verdict.strength, decision) for decision in decisions if decision is not None]
    # In how many fatbins the code is says nothing here: they hold kernels tuned for single GPUs beside the plain ones.
    found += [(needed.verdict.strength[0], 1.0, needed) for needed in _needed_by_torch(report, device)]
    return min(found, key=lambda one: one[:2], default=(0, 0.0, None))[2]


def _needed_by_torch(report: Report, device: ComputeCapability) -> Iterator[Decision]:
    if not any(map(is_torchs, report.binaries)):
        return
    for part in report.parts:
        # What others bring along, in `xformers.libs`, is none of torch's.
        if part.name in ("", "torch") or part.name.startswith("nvidia/"):
            for binary in part.binaries:
                if binary.library.has_code and needed_by_torch(binary.name, report.cuda_label):
                    yield Decision(judge_needed(binary, device), binary)
