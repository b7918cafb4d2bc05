"""What an inspection found, as values."""

from __future__ import annotations

from pascal_install.binary.coverage import Binary, Decision, decide, is_nvidia
from pascal_install.binary.source import DamagedError
from pascal_install.model.cuda import ComputeCapability
from pascal_install.value import NamedTuple


class Skipped(NamedTuple):
    """Something with the name of a library that was not read, and why."""

    member: str
    why: str


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
    for a GPU are missing, so only what uses them can tell whether it runs.
    """
    own = [part for part in report.parts if not part.is_nvidia] or list(report.parts)
    decisions = [decide(part.binaries, device, report.cuda_label) for part in own]
    found = [decision for decision in decisions if decision is not None]
    return min(found, key=lambda decision: decision.verdict.strength, default=None)
