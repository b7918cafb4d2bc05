"""What a machine is: its GPUs, its driver, and how each fact was found."""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pascal_install.model.cuda import ComputeCapability, CudaVersion, DriverVersion

#: The outcome of a step that settled what can mean several things; its detail belongs to the plan's notes.
ASSUMED = "assumed"


class GpuDevice(NamedTuple):
    """One GPU, detected or given. `capability` is None where it could not be found out, and `problem` says why."""

    ordinal: int
    """Its index as nvidia-smi counts."""
    name: str
    capability: ComputeCapability | None
    memory_total_bytes: int | None = None
    uuid: str = ""
    pci_bus_id: str = ""
    visible: bool = True
    """False where CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES hides it: it is shown, and counts for nothing."""
    problem: str = ""
    source: str = ""
    """How it was found: `nvml`, `nvidia-smi`, `pci`, `--gpu`."""


class Driver(NamedTuple):
    """The NVIDIA driver; each part may be unknown."""

    version: DriverVersion | None
    cuda: CudaVersion | None
    """The newest CUDA version that this driver implements."""
    source: str


class DetectionStep(NamedTuple):
    """One attempt at finding something out, for `info`."""

    method: str
    """`nvml`, `nvidia-smi`, `/proc/driver/nvidia/version`, `pci`, `--gpu`, `--driver`."""
    outcome: str
    """`found`, `read`, `assumed`, or a code such as `library-missing`, `driver-not-loaded`, `version-mismatch`,
    `no-device`, `no-permission`, `timeout`, `not-found`."""
    detail: str = ""


class HostFacts(NamedTuple):
    """The machine that the plan is for."""

    os: str
    """`linux` or `windows`."""
    machine: str
    """`x86_64` or `aarch64`."""
    gpus: tuple[GpuDevice, ...]
    driver: Driver | None
    steps: tuple[DetectionStep, ...] = ()

    @property
    def visible_gpus(self) -> tuple[GpuDevice, ...]:
        """The GPUs that count: not hidden, and with a known compute capability."""
        return tuple(gpu for gpu in self.gpus if gpu.visible and gpu.capability is not None)
