"""How far the support of a GPU goes, from the catalogue."""

from __future__ import annotations

from pascal_install.model.build import CONFIRMED
from pascal_install.resolve.notes import advice
from pascal_install.resolve.rules import architectures_are_known
from pascal_install.resolve.weigh import PIVOT
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pascal_install.model.cuda import ComputeCapability
    from pascal_install.resolve.context import Context


class Support(NamedTuple):
    """The support of one compute capability. Empty or zero: no end is known."""

    capability: ComputeCapability
    generation: str
    last_driver_branch: int
    last_cuda: str
    newest_torch: str
    """The newest torch with device code for it on this platform; a wheel that is only listed counts here."""
    advice: tuple[str, ...]


def support_of(context: Context) -> tuple[Support, ...]:
    """Look up each visible compute capability."""
    return tuple(_support(capability, context) for capability in context.capabilities)


def _support(capability: ComputeCapability, context: Context) -> Support:
    generation = context.generation(capability)
    only = context._replace(
        capabilities=(capability,),
        gpus=tuple(gpu for gpu in context.gpus if gpu.capability == capability),
        coverages={},
    )
    torch = context.catalogue.packages.get(PIVOT)
    serving = [
        release
        for release in (torch.releases if torch else ())
        if only.coverage_of(release.architectures)[0].kind == "cubin"
        and architectures_are_known(release, only) is None
        and any(wheel.existence in (*CONFIRMED, "matrix") for wheel in release.wheels)
    ]
    newest = max(serving, key=lambda release: (release.rank, release.version), default=None)
    return Support(
        capability=capability,
        generation=generation.name if generation else "",
        last_driver_branch=generation.last_driver_branch if generation else 0,
        last_cuda=generation.last_cuda if generation else "",
        newest_torch=newest.version if newest else "",
        advice=advice({PIVOT}, "plan", only),
    )
