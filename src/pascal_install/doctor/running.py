"""Whether the installed torch runs a kernel on each GPU here and now: what no reading of files can tell."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.doctor.case import Case, Symptom
from pascal_install.errors import VerificationError
from pascal_install.installation.verify import Proof, prove, usable_gpus
from pascal_install.model.finding import Finding

#: What torch or CUDA says, and what to do about it, the first that fits.
_REMEDIES = (
    (
        "Found no NVIDIA driver",
        "libcuda.so.1 is missing: in a container NVIDIA_DRIVER_CAPABILITIES must name compute; else install libcuda1",
    ),
    ("unknown error", "load the driver's module anew: sudo rmmod nvidia_uvm; sudo modprobe nvidia_uvm; else reboot"),
    ("out of memory", "close what fills its memory (nvidia-smi lists it), or raise the limit (ulimit -v), try again"),
    ("busy or unavailable", "another process holds it alone (nvidia-smi -q -d COMPUTE): wait for it, or end it"),
    ("ECC error", "its memory failed: reset it (nvidia-smi --gpu-reset) or reboot, and look for Xid in dmesg"),
    ("system not yet initialized", "start the fabric manager: sudo systemctl start nvidia-fabricmanager"),
)
_DAMAGED = "its files may be damaged: pip uninstall torch, then pascal-install torch"
_ELSE = "see whether another CUDA program works, look for Xid in dmesg, and reboot"


def check(case: Case) -> Iterator[Symptom]:
    """Import torch in the target and use the GPUs of this machine."""
    torch = case.sound("torch")
    gpus = usable_gpus(case.context.host)
    if torch is None or not gpus or not case.target.executable:
        return
    try:
        proof = prove(case.target, ("torch",), case.environ)
    except VerificationError as error:
        yield _torch_fails(error.summary, error.cause)
        return
    if why := proof.imports["torch"]:
        yield _torch_fails(f"torch {torch.version} does not import", why)
    elif proof.no_gpu:
        names = ", ".join(gpu.name for gpu in gpus)
        summary = f"torch {torch.version} does not see {names}"
        replace = ("torch",) if proof.is_wrong_torch else ()
        remedy = "pascal-install torch" if replace else _remedy(proof.no_gpu)
        yield Symptom(Finding("torch-sees-no-gpu", "error", summary, proof.no_gpu, remedy), replace=replace)
    yield from _kernels(proof)


def _torch_fails(summary: str, evidence: str) -> Symptom:
    return Symptom(Finding("torch-fails", "error", summary, evidence, _DAMAGED))


def _kernels(proof: Proof) -> Iterator[Symptom]:
    for kernel in proof.kernels:
        if kernel.is_untried:
            summary = f"{kernel.gpu} cannot be used now"
            yield Symptom(Finding("gpu-busy", "warning", summary, kernel.problem, _remedy(kernel.problem)))
        elif kernel.problem:
            summary = f"a kernel of torch does not run on {kernel.gpu}"
            yield Symptom(Finding("kernel-fails", "error", summary, kernel.problem, _DAMAGED))


def _remedy(said: str) -> str:
    return next((remedy for sign, remedy in _REMEDIES if sign in said), _ELSE)
