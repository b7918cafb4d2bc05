"""What a plan's reader should know beside the pins."""

from __future__ import annotations

from pascal_install.model.build import CONFIRMED
from pascal_install.model.cuda import CudaVersion
from pascal_install.model.gpu import ASSUMED
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.model.plan import Pin
    from pascal_install.model.request import Request
    from pascal_install.resolve.context import Context


def notes_for(pins: tuple[Pin, ...], context: Context, asked: Request) -> tuple[str, ...]:
    """Collect the notes of a plan: assumptions first, then what will not work or will be slow, from data."""
    names = {pin.build.release.name for pin in pins} | {wanted.name for wanted in asked.wanted}
    known = (*_assumptions(pins, context), *_bundled_libraries(pins, context), *advice(names, "plan", context))
    return (*_age(pins, context, asked), *known)


def _age(pins: tuple[Pin, ...], context: Context, asked: Request) -> list[str]:
    """Say when the plan rests on facts that nobody has checked for long: one line, for the oldest of them."""
    names = dict.fromkeys(pin.build.release.name for pin in pins)
    dates = {name: context.catalogue.packages[name].checked or context.catalogue.data_date for name in names}
    old = [name for name, date in dates.items() if date and date < asked.stale_before]
    if not old:
        return []
    when = min(dates[name] for name in old)
    return [f"{', '.join(old)}: last looked up on {when}; `pascal-install catalogue refresh` finds what is newer"]


def advice(names: set[str], when: str, context: Context) -> tuple[str, ...]:
    """Find the advice for these packages on these GPUs; among unlike ones it says which of them it is about."""
    capabilities = {str(capability) for capability in context.capabilities}
    return tuple(
        _addressed(found.text, concerned, context)
        for found in context.tables.advice
        if found.when == when
        and ((concerned := capabilities.intersection(found.capabilities)) or not found.capabilities)
        and (not found.packages or names.intersection(found.packages))
    )


def _addressed(text: str, concerned: set[str], context: Context) -> str:
    """Put the GPUs that a text is about before it, where there are others."""
    if not concerned or len(concerned) == len(context.capabilities):
        return text
    return f"{', '.join(dict.fromkeys(gpu.name for gpu in context.gpus if str(gpu.capability) in concerned))}: {text}"


def _assumptions(pins: tuple[Pin, ...], context: Context) -> list[str]:
    notes = [f"{step.method}={step.detail}" for step in context.host.steps if step.outcome == ASSUMED]
    driver = context.host.driver
    if driver is None or (driver.version is None and driver.cuda is None):
        for label in sorted({pin.build.release.variant for pin in pins} & set(context.variants)):
            facts = context.variants[label]
            minimum = facts.min_driver_windows if context.host.os == "windows" else facts.min_driver_linux
            notes.append(f"the driver is not known: {label} needs driver {minimum} or newer where this will run")
    for pin in pins:
        wheel = pin.build.wheel
        if wheel.existence not in CONFIRMED:
            notes.append(f"{wheel.filename} is unconfirmed ({wheel.existence}): picked because you allowed it")
        if pin.build.release.confidence == "disputed":
            notes.append(f"the device code of {pin.build.release.version} is disputed: {pin.build.release.note}")
        if not wheel.sha256:
            notes.append(f"nobody published a hash of {wheel.filename}: the first download is trusted, and recorded")
    return notes


def _bundled_libraries(pins: tuple[Pin, ...], context: Context) -> list[str]:
    """Compare torch's own cuDNN with the last one that serves each GPU."""
    notes = []
    for pin in pins:
        cudnn = _major_minor(pin.build.release.cudnn)
        for capability in context.capabilities:
            generation = context.generation(capability)
            last = _major_minor(generation.last_cudnn) if generation else None
            if generation and cudnn and last and cudnn > last:
                notes.append(
                    f"torch {pin.build.release.version} requires cuDNN {pin.build.release.cudnn}; the last one for "
                    f"{generation.name} is {generation.last_cudnn}: convolutions will not run"
                )
    return notes


def _major_minor(version: str) -> CudaVersion | None:
    parts = version.split(".")
    return CudaVersion(int(parts[0]), int(parts[1])) if len(parts) > 1 else None
