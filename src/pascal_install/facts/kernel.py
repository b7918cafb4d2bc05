"""What the kernel tells of NVIDIA hardware and driver without NVIDIA's libraries: /proc and /sys.

Inside an image build both show the builder's machine, which is why neither is ever enough to install for.
"""

from __future__ import annotations

import os

from pascal_install.facts.reading import Reading, parse_driver
from pascal_install.model.gpu import DetectionStep, Driver, GpuDevice
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.facts.reading import LookupPci

#: The method of this reading, and the file.
MODULE = "/proc/driver/nvidia/version"


def _text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path.lstrip("/")), encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def read_module(root: str = "/") -> Reading:
    """Read the version of the loaded kernel module.

    It counts as this machine's only where the driver's control device is there too: an image build, or a container
    without GPU, sees the module of the machine below and none of its devices.
    """
    text = _text(root, MODULE)
    # NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 ...   (or "Open Kernel Module for x86_64")
    words = text.partition("\n")[0].partition("Kernel Module")[2].split()
    version = next((found for word in words if "." in word and (found := parse_driver(word))), None)
    if version is None:
        outcome, detail = ("failed", "its version cannot be read") if text else ("not-found", "")
        return Reading(DetectionStep(MODULE, outcome, detail))
    if not os.path.exists(os.path.join(root, "dev/nvidiactl")):
        detail = f"{version}, but there is no /dev/nvidiactl: this is the driver of the machine below"
        return Reading(DetectionStep(MODULE, "not-confirmed", detail))
    return Reading(DetectionStep(MODULE, "found", str(version)), driver=Driver(version, None, MODULE))


def read_pci(lookup_pci: LookupPci, root: str = "/") -> Reading:
    """Look for NVIDIA display controllers on the PCI bus: vendor 10de, class 03 (VGA, 3D, display)."""
    folder = os.path.join(root, "sys/bus/pci/devices")
    try:
        addresses = sorted(os.listdir(folder))
    except OSError:
        return Reading(DetectionStep("pci", "not-found", "there is no /sys/bus/pci/devices"))
    gpus: list[GpuDevice] = []
    for address in addresses:
        vendor, kind, device = (_text(folder, f"{address}/{name}").strip() for name in ("vendor", "class", "device"))
        if vendor == "0x10de" and kind.startswith("0x03"):
            known = lookup_pci(device.removeprefix("0x"))
            gpus.append(
                GpuDevice(
                    len(gpus),
                    (known and known[0]) or f"unknown NVIDIA card (PCI id 10de:{device.removeprefix('0x')})",
                    known[1] if known else None,
                    pci_bus_id=address,
                    problem="" if known else "the table of GPUs does not hold this card",
                    source="pci",
                )
            )
    if not gpus:
        return Reading(DetectionStep("pci", "no-device", "no NVIDIA card on the PCI bus"))
    return Reading(DetectionStep("pci", "found", ", ".join(gpu.name for gpu in gpus)), tuple(gpus))
