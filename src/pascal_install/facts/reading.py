"""What one way of looking at the machine found."""

from __future__ import annotations

from pascal_install.model.cuda import DriverVersion
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pascal_install.model.cuda import ComputeCapability
    from pascal_install.model.gpu import DetectionStep, Driver, GpuDevice

    LookupPci = Callable[[str], tuple[str, ComputeCapability] | None]
    """From a PCI device id, four lower-case hex digits, to the card's name and compute capability."""

    Identify = Callable[[str, str], ComputeCapability | None]
    """From a PCI device id (or empty) and a name to the compute capability, for drivers too old to tell it."""


class Reading(NamedTuple):
    """The answer of one way: what it found, and how that went."""

    step: DetectionStep
    gpus: tuple[GpuDevice, ...] = ()
    driver: Driver | None = None
    partitions: tuple[tuple[str, int], ...] = ()
    """UUIDs of MIG devices, each with the ordinal of the GPU that it is a part of."""


def parse_driver(text: str) -> DriverVersion | None:
    """Read a driver version as the driver writes it; None where it is in no known form."""
    try:
        return DriverVersion.parse(text.strip())
    except ValueError:
        return None
