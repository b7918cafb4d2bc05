"""What every rule may look at."""

from __future__ import annotations

from pascal_install.errors import UsageError
from pascal_install.model.cuda import CodeTarget, ComputeCapability, Coverage, coverage
from pascal_install.model.specifier import read_exact
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from pascal_install.model.build import Catalogue, CudaTables, Generation, VariantFacts
    from pascal_install.model.gpu import GpuDevice, HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.request import Request, Wanted
    from pascal_install.model.specifier import ExactVersion

    Specifier = SpecifierSet | ExactVersion


class Context(NamedTuple):
    """The facts of one resolution, indexed for the rules."""

    request: Request
    host: HostFacts
    target: Target
    catalogue: Catalogue
    gpus: tuple[GpuDevice, ...]
    capabilities: tuple[ComputeCapability, ...]
    tag_places: dict[str, int]
    """Place of each wheel tag in the target's order; lower is more wanted."""
    specifiers: dict[str, Specifier]
    variants: dict[str, VariantFacts]
    dropped: tuple[GpuDevice, ...]
    """GPUs that the driver's branch left behind."""
    coverages: dict[tuple[CodeTarget, ...], tuple[Coverage, ...]]
    """Filled as architectures are asked for: many releases share one list."""

    @property
    def tables(self) -> CudaTables:
        """The catalogue's small tables."""
        return self.catalogue.tables

    def publishes(self, publisher: str, name: str) -> bool:
        """Whether a publisher has builds of a package."""
        return any(release.publisher == publisher for release in self.catalogue.packages[name].releases)

    def coverage_of(self, architectures: tuple[CodeTarget, ...]) -> tuple[Coverage, ...]:
        """How a list of architectures serves each of `capabilities`, in their order."""
        found = self.coverages.get(architectures)
        if found is None:
            found = tuple(coverage(architectures, capability) for capability in self.capabilities)
            self.coverages[architectures] = found
        return found

    def generation(self, capability: ComputeCapability | None) -> Generation | None:
        """Find the GPU architecture, by name, that a compute capability belongs to."""
        return generation_of(capability, self.tables)


def generation_of(capability: ComputeCapability | None, tables: CudaTables) -> Generation | None:
    """Find the GPU architecture, by name, that a compute capability belongs to."""
    text = str(capability)
    return next((found for found in tables.generations if text in found.capabilities), None)


def complete(host: HostFacts, tables: CudaTables) -> HostFacts:
    """Add the CUDA version that the driver's branch implements, where only the driver's version is known."""
    driver = host.driver
    if driver is None or driver.version is None or driver.cuda is not None:
        return host
    branch = driver.version.branch
    cuda = next((cuda for first, cuda in reversed(tables.driver_branches) if first <= branch), None)
    return host._replace(driver=driver._replace(cuda=cuda))


def _dropped(host: HostFacts, tables: CudaTables) -> tuple[GpuDevice, ...]:
    if host.driver is None or host.driver.version is None:
        return ()
    # Windows counts on within a branch: of R535, 535.104.05 is 537.13 there (CUDA 12.2 release notes, driver tables).
    # WSL shows that number to Linux, which has no branch between the last one of a generation and the next ten.
    branch = host.driver.version.branch // 10 * 10
    found = ((gpu, generation_of(gpu.capability, tables)) for gpu in host.visible_gpus)
    return tuple(gpu for gpu, generation in found if generation and 0 < generation.last_driver_branch < branch)


def make_context(request: Request, host: HostFacts, target: Target, catalogue: Catalogue) -> Context:
    """Index the facts. Raises UsageError where a requirement's version part cannot be read."""
    host = complete(host, catalogue.tables)
    gpus = host.visible_gpus
    return Context(
        request=request,
        host=host,
        target=target,
        catalogue=catalogue,
        gpus=gpus,
        capabilities=tuple(sorted({gpu.capability for gpu in gpus if gpu.capability is not None})),
        tag_places={tag: place for place, tag in reversed(list(enumerate(target.tags)))},
        specifiers=_specifiers(request),
        variants={facts.label: facts for facts in catalogue.tables.variants},
        dropped=_dropped(host, catalogue.tables),
        coverages={},
    )


def _specifiers(request: Request) -> dict[str, Specifier]:
    asked: dict[str, list[Wanted]] = {}
    for wanted in request.wanted:
        if wanted.specifier:
            asked.setdefault(wanted.name, []).append(wanted)
    return {name: _specifier(of_name) for name, of_name in asked.items()}


def _specifier(asked: list[Wanted]) -> Specifier:
    """Read what was asked for of one package, which may be more than one thing."""
    exact = read_exact(asked[0].specifier) if len(asked) == 1 else None
    if exact:
        return exact
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    found = SpecifierSet()
    for wanted in asked:
        try:
            found &= SpecifierSet(wanted.specifier)
        except InvalidSpecifier as error:
            raise UsageError(
                f"cannot read the requirement {wanted.text!r}",
                code="bad-requirement",
                cause=str(error),
                hints=("write it as pip does: exllamav2==0.2.9, or torch<2.9",),
            ) from error
    return found
