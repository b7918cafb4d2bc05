"""GPU and driver: whether they answer, fit each other, and fit the installed torch."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.doctor.case import Case, Symptom
from pascal_install.errors import HostError
from pascal_install.facts.host import require_gpus
from pascal_install.model.cuda import variant_cuda
from pascal_install.model.finding import Finding


def check(case: Case) -> Iterator[Symptom]:
    """Report what `info` and an install would end with, a driver that left the GPU behind, one too old for torch."""
    try:
        require_gpus(case.context.host)
    except HostError as error:
        yield Symptom(Finding(error.code, "error", error.summary, error.cause, "; ".join(error.hints)))
    yield from _branch(case)
    yield from _driver_of_torch(case)


def _branch(case: Case) -> Iterator[Symptom]:
    driver = case.context.host.driver
    for gpu in case.context.dropped:
        generation = case.context.generation(gpu.capability)
        if generation is not None and driver is not None:
            yield Symptom(
                Finding(
                    "driver-branch",
                    "error",
                    f"the driver no longer drives {gpu.name}",
                    f"driver {driver.version}; {generation.name} ends with branch {generation.last_driver_branch}"
                    f" ({generation.source})",
                    f"install a driver of branch {generation.last_driver_branch}",
                )
            )


def _driver_of_torch(case: Case) -> Iterator[Symptom]:
    torch, driver = case.sound("torch"), case.context.host.driver
    cuda = variant_cuda(case.torch_label) if case.torch_label else None
    if torch is None or driver is None or cuda is None:
        return
    facts = case.context.variants.get(case.torch_label)
    if facts is not None and driver.version is not None:
        minimum = facts.min_driver_windows if case.target.os == "windows" else facts.min_driver_linux
        is_old, needed, source = driver.version.parts < minimum.parts, f"driver {minimum} or newer", facts.source
    elif driver.cuda is not None:
        is_old, needed = driver.cuda.major < cuda.major, f"a driver for CUDA {cuda.major}"
        source = "CUDA Compatibility guide, Minor Version Compatibility"
    else:
        return
    if is_old:
        found = f"driver {driver.version}" if driver.version else f"a driver for CUDA {driver.cuda}"
        yield Symptom(
            Finding(
                "driver-too-old",
                "error",
                f"the driver is too old for torch {torch.version}",
                f"{case.torch_label} needs {needed}, found {found} ({source})",
                "install a newer driver, or a torch for an older CUDA",
            ),
            replace=("torch",),
        )
