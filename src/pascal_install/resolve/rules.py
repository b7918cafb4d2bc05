"""The rules: each looks at one candidate and returns nothing, or why it is passed over."""

from __future__ import annotations

from pascal_install.model.build import CONFIRMED, UNREAD, Release, Wheel
from pascal_install.model.coupling import torch_matches, variant_matches
from pascal_install.model.cuda import ANY, Coverage, CudaVersion, variant_cuda
from pascal_install.model.plan import Rejection
from pascal_install.resolve.context import Context
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    ReleaseRule = Callable[[Release, Context], Rejection | None]


def reject(
    release: Release, rule: str, needed: str, found: str, source: str = "", because: Rejection | None = None
) -> Rejection:
    """Make a rejection of a release; `because` is what stands behind it."""
    return Rejection(
        name=release.name,
        version=release.version,
        rule=rule,
        needed=needed,
        found=found,
        source=source,
        publisher=release.publisher,
        because=because,
    )


def meets_requirement(release: Release, context: Context) -> Rejection | None:
    """`requirement`: the version that the person asked for (PEP 440, as packaging reads it)."""
    specifier = context.specifiers.get(release.name)
    if specifier is None or specifier.contains(release.version, prereleases=True):
        return None
    return reject(release, "requirement", f"{release.name}{specifier}", release.version, "the request")


def comes_from_wanted_publisher(release: Release, context: Context) -> Rejection | None:
    """`publisher`: where both PyTorch's index and PyPI publish a name, --torch-source decides.

    What PyPI alone publishes is taken from there; who asks for PyPI may reach nothing else, so there is no way back.
    """
    wanted = "pypi" if context.request.torch_source == "pypi" else "pytorch"
    other = "pytorch" if wanted == "pypi" else "pypi"
    if release.publisher != other or (other == "pypi" and not context.publishes(wanted, release.name)):
        return None
    return reject(release, "publisher", f"a build from {wanted}", f"a build from {other}", "--torch-source")


def architectures_are_known(release: Release, context: Context) -> Rejection | None:
    """`disputed`: sources contradict each other about the device code, and nobody has read the binary."""
    if release.confidence != "disputed" or context.request.allow_unconfirmed:
        return None
    return reject(release, "disputed", "sources that agree on its device code", release.note, release.source)


def has_kernels(release: Release, context: Context) -> Rejection | None:
    """`kernel-coverage`: device code for every visible GPU (`CodeTarget.runs_on` names the source of the rule).

    `unread` where a release was found by `catalogue refresh`, and its device code could not be read.
    Of a person's own wheel that was read and has none, none is asked: it is the person's choice, and torch brings it.
    """
    if release.publisher == "own" and not release.architectures and release.variant != "cpu":
        return None
    left_out = [
        gpu
        for capability, found in zip(context.capabilities, context.coverage_of(release.architectures), strict=True)
        if not _runs(found, release, context)
        for gpu in context.gpus
        if gpu.capability == capability
    ]
    if not left_out:
        return None
    needed = ", ".join(dict.fromkeys(f"{gpu.capability.sm} ({gpu.name})" for gpu in left_out if gpu.capability))
    if release.confidence == UNREAD:
        return reject(release, "unread", "known device code", "a wheel that nobody has read yet", release.source)
    carried = " ".join(str(target) for target in release.architectures) or "no device code"
    coverages = context.coverage_of(release.architectures)
    if any(found.kind == "ptx" and not _runs(found, release, context) for found in coverages):
        carried += f" (its PTX needs a driver for CUDA {_ptx_needs(release)})"
    return reject(release, "kernel-coverage", f"code for {needed}", carried, release.source)


def _runs(found: Coverage, release: Release, context: Context) -> bool:
    """PTX needs a driver that knows the toolkit which wrote it.

    CUDA Compatibility guide, "Minor Version Compatibility", names this as the limit of running newer minor versions.
    """
    if found.kind != "ptx":
        return found.kind != "none"
    driver = context.host.driver
    needs = _ptx_needs(release)
    return driver is None or driver.cuda is None or needs is None or driver.cuda >= needs


def _ptx_needs(release: Release) -> CudaVersion | None:
    """What the PTX itself tells, where somebody read it; else its toolkit, which a foreign lock does not tell."""
    return release.ptx_cuda or (variant_cuda(release.variant) if release.variant else None)


def driver_is_new_enough(release: Release, context: Context) -> Rejection | None:
    """`driver`: at least the variant's minimum (CUDA Compatibility guide, "Minor Version Compatibility")."""
    facts, driver = context.variants.get(release.variant), context.host.driver
    if facts is None or driver is None:
        return None
    minimum = facts.min_driver_windows if context.host.os == "windows" else facts.min_driver_linux
    if driver.version is not None:
        new_enough = driver.version.parts >= minimum.parts
    else:
        new_enough = driver.cuda is None or driver.cuda.major >= facts.cuda.major
    if new_enough:
        return None
    found = f"driver {driver.version}" if driver.version else f"a driver for CUDA {driver.cuda}"
    return reject(release, "driver", f"driver {minimum} or newer for {release.variant}", found, facts.source)


def driver_drives_gpu(release: Release, context: Context) -> Rejection | None:
    """`driver-branch`: NVIDIA's branches leave old GPUs behind; then no wheel helps (NVIDIA's driver support pages)."""
    if not context.dropped or context.host.driver is None:
        return None
    gpu = context.dropped[0]
    generation = context.generation(gpu.capability)
    last = generation.last_driver_branch if generation else 0
    needed = f"a driver of branch {last} or older for {gpu.name}"
    source = generation.source if generation else ""
    return reject(release, "driver-branch", needed, f"driver {context.host.driver.version}", source)


RELEASE_RULES: tuple[ReleaseRule, ...] = (
    meets_requirement,
    comes_from_wanted_publisher,
    architectures_are_known,
    has_kernels,
    driver_drives_gpu,
    driver_is_new_enough,
)


def choose_wheel(release: Release, context: Context) -> Wheel | Rejection:
    """Pick the wheel that the target wants most, or tell why none of them will do.

    `wheel-tag`: one of its tags is among the target's. `unconfirmed`: somebody has seen it, or the release workflow of
    its own tag builds it. `not-published`: its host does not say that it is missing.
    """
    fitting = [wheel for wheel in release.wheels if wheel_place(wheel, context) >= 0]
    if len(fitting) > 1:
        fitting.sort(key=_wheel_order(context))
    if not fitting:
        pythons = " ".join(dict.fromkeys("-".join(wheel.tag.split("-")[:2]) for wheel in release.wheels))
        platforms = " ".join(dict.fromkeys(wheel.tag.split("-")[2] for wheel in release.wheels))
        found = f"{pythons} for {platforms}" if release.wheels else "no wheel"
        return reject(release, "wheel-tag", f"a wheel for {context.target.best_tag}", found, release.source)
    confirmed = [wheel for wheel in fitting if wheel.existence in CONFIRMED or context.request.allow_unconfirmed]
    if not confirmed:
        wheel = fitting[0]
        listed = f"{wheel.filename} is only listed ({wheel.existence})"
        return reject(release, "unconfirmed", "a wheel that somebody has seen", listed, wheel.source or release.source)
    published = [wheel for wheel in confirmed if wheel.url not in context.request.unpublished]
    if not published:
        return reject(release, "not-published", confirmed[0].filename, "its host says that it does not exist", "HEAD")
    return published[0]


def wheel_place(wheel: Wheel, context: Context) -> int:
    """Place of a wheel in the target's order of tags, lower is more wanted; -1 where none of its tags fits.

    A file name may carry compressed sets of tags (PEP 425): `py2.py3-none-any` stands for two.
    """
    places = context.tag_places
    if "." not in wheel.tag:
        return places.get(wheel.tag, -1)
    pythons, abis, platforms = (part.split(".") for part in wheel.tag.split("-"))
    spread = (f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)
    return min((places[tag] for tag in spread if tag in places), default=-1)


def _wheel_order(context: Context) -> Callable[[Wheel], tuple[int, int, str]]:
    def key(wheel: Wheel) -> tuple[int, int, str]:
        # Of several files with one tag, a later build tag replaces an earlier one: it sorts after it.
        return (wheel_place(wheel, context), -len(wheel.filename), wheel.filename)

    return key


def fits_torch(release: Release, torch: Release) -> bool:
    """`coupling`: an extension runs with exactly the torch build that it was compiled against.

    The C++ ABI of torch changes with every version. Another torch version, or another CUDA build of one, counts only
    where the catalogue holds evidence for it. So does the C++ ABI that both were compiled with, where both are known.
    """
    if not release.torch:
        return True
    if release.cxx11_abi is not None and torch.cxx11_abi is not None and release.cxx11_abi is not torch.cxx11_abi:
        return False
    return _takes_variant(release, torch.variant) and _takes_version(release, torch.public_version)


def runs_with(release: Release, torch_version: str, torch_variant: str) -> bool:
    """Tell the same for a torch given by its version, without local version, and its CUDA variant."""
    return not release.torch or (_takes_variant(release, torch_variant) and _takes_version(release, torch_version))


def _takes_variant(release: Release, variant: str) -> bool:
    if release.variant == variant:
        return True
    # Most releases stop here: this is asked for every release and every torch.
    if not release.torch_variants and release.variant != ANY:
        return False
    return any(variant_matches(wanted, variant) for wanted in (release.variant, *release.torch_variants))


def _takes_version(release: Release, version: str) -> bool:
    return release.torch == version or any(
        torch_matches(wanted, version) for wanted in (release.torch, *release.torch_also)
    )
