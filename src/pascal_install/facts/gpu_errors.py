"""Why there is no GPU to plan for, told apart, each with its own advice."""

from __future__ import annotations

from pascal_install.errors import HostError
from pascal_install.facts.kernel import MODULE
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.model.gpu import DetectionStep, HostFacts

_IN_CONTAINER = "in a container: start it with --gpus all (NVIDIA Container Toolkit)"

#: What NVML's or nvidia-smi's own answer means: the error's code, its summary, what to do.
_ANSWERS = {
    "driver-not-loaded": (
        "driver-not-loaded",
        "the NVIDIA driver is installed, but its kernel module is not loaded",
        ("load it: sudo modprobe nvidia; after a kernel update, reboot or rebuild the module with dkms", _IN_CONTAINER),
    ),
    "version-mismatch": (
        "driver-library-mismatch",
        "the NVIDIA kernel module and the driver's libraries have different versions",
        ("the driver was updated while in use: reboot, or unload and load the nvidia modules",),
    ),
    "no-permission": (
        "no-permission",
        "the NVIDIA driver does not let this user see the GPU",
        ("look at ls -l /dev/nvidia*, and join the groups video and render", _IN_CONTAINER),
    ),
    "timeout": (
        "nvml-timeout",
        "the NVIDIA driver does not answer",
        ("a GPU may hang: look for Xid in dmesg, and reboot",),
    ),
    "no-device": ("no-device", "the NVIDIA driver is there, but it finds no GPU", (_IN_CONTAINER,)),
    "failed": ("nvml-failed", "the NVIDIA driver answers with an error", ("see whether nvidia-smi works",)),
}


def no_gpu(host: HostFacts) -> HostError:
    """Say why no plan can be made for a machine, and what to do about it."""
    if any(gpu.source != "pci" for gpu in host.gpus):
        return _unusable(host)
    steps = {step.method: step for step in host.steps}
    if "detection" in steps:
        return HostError(
            "the plan is for another machine, and its GPU is not known",
            code="gpu-not-given",
            cause=steps["detection"].detail,
            hints=("give its GPU with --gpu, and its driver with --driver",),
        )
    answer = steps["nvml"]
    if "nvidia-smi" in steps and steps["nvidia-smi"].outcome != "not-found":
        answer = steps["nvidia-smi"]
    module = steps.get(MODULE)
    if answer.outcome in _ANSWERS:
        return _refused(host, answer, module)
    return _no_library(host, module, steps.get("pci"))


def _on_bus(host: HostFacts) -> str:
    return ", ".join(gpu.name for gpu in host.gpus)


def _refused(host: HostFacts, answer: DetectionStep, module: DetectionStep | None) -> HostError:
    """The driver's own library or program answered, and not with a GPU."""
    code, summary, hints = _ANSWERS[answer.outcome]
    on_bus = _on_bus(host)
    cause = f"{answer.method}: {answer.detail}" + (f"; on the PCI bus: {on_bus}" if on_bus else "")
    if module and module.outcome == "found":
        cause += f"; kernel module: {module.detail}"
    outdated = (_driver_hint(host),) if answer.outcome == "no-device" and on_bus else ()
    return HostError(summary, code=code, cause=cause, hints=(*outdated, *hints, _give_gpu(host)))


def _no_library(host: HostFacts, module: DetectionStep | None, pci: DetectionStep | None) -> HostError:
    """There is neither library nor program: what the kernel tells decides what that means."""
    on_bus = _on_bus(host)
    if module and module.outcome == "found":
        return HostError(
            "the NVIDIA driver's libraries are missing",
            code="nvidia-library-missing",
            cause=f"the kernel module {module.detail} is loaded, but there is no libnvidia-ml.so.1",
            hints=(f"install the libraries of driver {module.detail}", _IN_CONTAINER, _give_gpu(host)),
        )
    if on_bus:
        below = f"; driver: {module.detail}" if module and module.outcome == "not-confirmed" else ""
        return HostError(
            "there is an NVIDIA card, but no driver that confirms it",
            code="gpu-not-confirmed",
            cause=f"on the PCI bus: {on_bus}{below}",
            hints=(
                f"in an image build that card is the builder's: name the GPU to build for {_naming(host)}",
                f"on the machine itself: {_driver_hint(host)}, or give --gpu",
                _IN_CONTAINER,
            ),
        )
    if pci and pci.outcome == "no-device":
        return HostError(
            "this machine has no NVIDIA GPU",
            code="no-nvidia-gpu",
            cause="no NVIDIA library, no nvidia-smi, no card on the PCI bus",
            hints=(_give_gpu(host), "in WSL: install the NVIDIA driver on Windows"),
        )
    return HostError(
        "there is no NVIDIA library on this machine",
        code="nvidia-library-missing",
        cause="no libnvidia-ml.so.1, or nvml.dll on Windows, and no nvidia-smi",
        hints=(_driver_hint(host), _give_gpu(host)),
    )


def _unusable(host: HostFacts) -> HostError:
    """A driver answered, but every GPU is hidden or broken."""
    broken = [f"GPU {gpu.ordinal}, {gpu.name}: {gpu.problem}" for gpu in host.gpus if gpu.visible and gpu.problem]
    if broken:
        return HostError(
            "no GPU tells its compute capability",
            code="gpu-not-answering",
            cause="; ".join(broken),
            hints=("look for Xid in dmesg, and reboot", _give_gpu(host)),
        )
    hiding = [f"{step.method}={step.detail}" for step in host.steps if step.method.endswith("_VISIBLE_DEVICES")]
    return HostError(
        "all GPUs are hidden",
        code="all-hidden",
        cause="; ".join(hiding),
        hints=("unset the variable, or let it name a GPU of nvidia-smi -L", _give_gpu(host)),
    )


def _give_gpu(host: HostFacts) -> str:
    return f"for another machine, or in an image build, name the GPU {_naming(host)}"


def _naming(host: HostFacts) -> str:
    name = next((gpu.name for gpu in host.gpus if gpu.capability), "GTX 1080 Ti")
    short = name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    return f'with --gpu "{short}", and its driver with --driver'


def _driver_hint(host: HostFacts) -> str:
    """Name the driver to install: the last branch for cards that newer ones dropped (NVIDIA's legacy driver notes)."""
    oldest = min((gpu.capability for gpu in host.gpus if gpu.capability), default=None)
    if oldest and oldest < (5, 0):
        return "install the NVIDIA driver of branch 470, the last one for this card"
    if oldest and oldest < (7, 5):
        return "install the NVIDIA driver of branch 580, the last one for Maxwell, Pascal and Volta"
    return "install the NVIDIA driver (for Maxwell, Pascal and Volta: branch 580, their last)"
