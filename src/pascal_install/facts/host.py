"""The machine's GPUs and driver: given, or from whichever way of looking has an answer."""

from __future__ import annotations

import os
import sys

from pascal_install.errors import UsageError
from pascal_install.facts.gpu_name import find_gpu
from pascal_install.model.cuda import DriverVersion
from pascal_install.model.gpu import DetectionStep, Driver, GpuDevice, HostFacts
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pascal_install.facts.gpu_name import Names
    from pascal_install.facts.reading import LookupPci, Reading
    from pascal_install.model.cuda import ComputeCapability


def detect_host(  # noqa: PLR0913  everything that a machine is looked at with
    *,
    gpus: Sequence[str] = (),
    driver: str = "",
    environ: Mapping[str, str],
    os_name: str,
    machine: str,
    lookup_pci: LookupPci,
    names: Names,
    root: str = "/",
) -> HostFacts:
    """Find GPUs and driver; what is given is not looked for. Never raises for what is missing: see `require_gpus`.

    `names` are pairs of a card's name and its compute capability, as text. Raises UsageError where `gpus` or `driver`
    cannot be read.
    """
    steps: list[DetectionStep] = []
    devices = tuple(_given_gpu(ordinal, text, names) for ordinal, text in enumerate(gpus))
    steps += [DetectionStep("--gpu", "found", f"{gpu.name} ({gpu.capability})") for gpu in devices]
    found_driver = _given_driver(driver) if driver else None
    if found_driver:
        steps.append(DetectionStep("--driver", "found", driver))
    if not is_this_machine(os_name, machine):
        steps.append(DetectionStep("detection", "another-machine", f"{os_name} {machine} was asked for"))
    elif not (devices and found_driver):
        readings = _look(environ, os_name, lookup_pci, names, root, gpus_given=bool(devices))
        steps += [reading.step for reading in readings]
        found_driver = found_driver or next((reading.driver for reading in readings if reading.driver), None)
        if not devices:
            from pascal_install.facts.visibility import apply_visibility

            seen = next((reading for reading in readings if reading.gpus), None)
            if seen:
                devices, more = apply_visibility(seen.gpus, seen.partitions, environ)
                steps += more
    return HostFacts(os_name, machine, devices, found_driver, tuple(steps))


def is_this_machine(os_name: str, machine: str) -> bool:
    """Tell whether a kind of machine is the one that this runs on, so that looking around says anything about it."""
    if os.name == "nt":
        here = {"AMD64": "x86_64", "ARM64": "aarch64"}.get(os.environ.get("PROCESSOR_ARCHITECTURE", ""), "x86_64")
        return (os_name, machine) == ("windows", here)
    return (os_name, machine) == (sys.platform, os.uname().machine)


def _given_gpu(ordinal: int, text: str, names: Names) -> GpuDevice:
    name, capability = find_gpu(text, names)
    return GpuDevice(ordinal, name, capability, source="--gpu")


def _given_driver(text: str) -> Driver:
    try:
        return Driver(DriverVersion.parse(text.strip()), None, "--driver")
    except ValueError as error:
        raise UsageError(
            f"cannot read the driver version {text!r}",
            code="bad-driver",
            hints=("write it as nvidia-smi shows it: --driver 580.95.05",),
        ) from error


def _look(
    environ: Mapping[str, str], os_name: str, lookup_pci: LookupPci, names: Names, root: str, *, gpus_given: bool
) -> list[Reading]:
    """Ask one way after the other until there is an answer."""
    from pascal_install.facts.nvml import read_nvml

    def identify(pci_id: str, name: str) -> ComputeCapability | None:
        known = lookup_pci(pci_id) if pci_id else None
        try:
            return known[1] if known else find_gpu(name, names)[1]
        except UsageError:
            return None

    readings = [read_nvml(identify, root)]
    if readings[0].step.outcome in ("library-missing", "failed"):
        from pascal_install.facts.smi import read_smi

        readings.append(read_smi(environ, os_name, identify, root))
    if os_name == "linux" and not any(reading.gpus for reading in readings):
        from pascal_install.facts.kernel import read_module, read_pci

        readings.append(read_module(root))
        if not gpus_given:
            readings.append(read_pci(lookup_pci, root))
    return readings


def require_gpus(host: HostFacts) -> None:
    """Raise HostError where no GPU is known that a plan may be made for, with the reason and what to do about it.

    A card that only the PCI bus shows does not count: in an image build it is the builder's.
    """
    if not any(gpu.source != "pci" for gpu in host.visible_gpus):
        from pascal_install.facts.gpu_errors import no_gpu

        raise no_gpu(host)
