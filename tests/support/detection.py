"""Detection in a child Python, since the loader's path and the driver's library belong to a whole process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pascal_install

PCI = {"1b06": ("GeForce GTX 1080 Ti", "6.1"), "1e07": ("GeForce RTX 2080 Ti", "7.5"), "15f8": ("Tesla P100", "6.0")}
NAMES = tuple(PCI.values())

_CODE = """
import json, os, sys
from pascal_install.errors import HostError
from pascal_install.facts.host import detect_host, require_gpus
from pascal_install.model.cuda import ComputeCapability

asked = json.loads(sys.argv[1])
pci = {key: (name, ComputeCapability.parse(text)) for key, (name, text) in asked.pop("pci").items()}
asked = {"os_name": "linux", "machine": os.uname().machine, **asked}
host = detect_host(environ=os.environ, lookup_pci=pci.get, **asked)
answer = {
    "gpus": [gpu._asdict() for gpu in host.gpus],
    "driver": str(host.driver.version) if host.driver else None,
    "driver_source": host.driver.source if host.driver else None,
    "cuda": str(host.driver.cuda) if host.driver and host.driver.cuda else None,
    "steps": {step.method: step.outcome for step in host.steps},
    "details": {step.method: step.detail for step in host.steps},
    "modules": sorted(sys.modules),
}
try:
    require_gpus(host)
except HostError as error:
    answer.update(code=error.code, cause=error.cause, hints=" | ".join(error.hints))
print(json.dumps(answer))
"""


class Detected(NamedTuple):
    """What the child found; `code`, `cause` and `hints` are those of the error that forbids a plan."""

    gpus: list[dict[str, Any]]
    driver: str | None
    driver_source: str | None
    cuda: str | None
    steps: dict[str, str]
    details: dict[str, str]
    modules: list[str]
    code: str = ""
    cause: str = ""
    hints: str = ""

    @property
    def visible(self) -> list[int]:
        """The ordinals of the GPUs that count."""
        return [gpu["ordinal"] for gpu in self.gpus if gpu["visible"] and gpu["capability"]]


def detect(
    env: Mapping[str, str], *, root: Path, gpus: Sequence[str] = (), driver: str = "", **machine: str
) -> Detected:
    """Detect in a child that has this environment and no other, and this root for /proc, /sys and /dev.

    `machine` may name another `os_name` and `machine`.
    """
    asked = json.dumps({"root": str(root), "gpus": gpus, "driver": driver, "pci": PCI, "names": NAMES, **machine})
    source = str(Path(pascal_install.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", _CODE, asked],
        env={"PATH": "/nonexistent", "PYTHONPATH": source, **env},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return Detected(**json.loads(done.stdout))


def fake_root(folder: Path, *, cards: Sequence[str] = (), module: str = "", control_device: bool = False) -> Path:
    """Lay out /proc, /sys and /dev of a machine: NVIDIA cards by PCI device id, and the loaded kernel module."""
    bus = folder / "sys/bus/pci/devices"
    bus.mkdir(parents=True)
    others = [("8086", "0x030000", "0x3e92"), ("10de", "0x040300", "0x10ef")]  # Intel's display, NVIDIA's sound
    devices = [*others, *(("10de", "0x030000", f"0x{card}") for card in cards)]
    for number, (vendor, kind, device) in enumerate(devices):
        place = bus / f"0000:{number:02x}:00.0"
        place.mkdir()
        for name, value in (("vendor", f"0x{vendor}"), ("class", kind), ("device", device)):
            (place / name).write_text(value + "\n")
    if module:
        (folder / "proc/driver/nvidia").mkdir(parents=True)
        (folder / "proc/driver/nvidia/version").write_text(
            f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {module}  Tue Sep 23 10:11:12 UTC 2025\n"
            "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
        )
    if control_device:
        (folder / "dev").mkdir()
        (folder / "dev/nvidiactl").touch()
    return folder
