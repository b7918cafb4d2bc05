"""What the world publishes: packages, their releases, and the wheels of each."""

from __future__ import annotations

from pascal_install.model.cuda import JIT, CodeTarget, CudaVersion, DriverVersion
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pascal_install.model.request import Wanted

#: Existence of a wheel, strongest first. `proven`: its address was seen in use or its host listed it.
#: `tag-workflow`: the release workflow at the release's own tag builds it; picked, but asked for before an install.
#: The others are picked only with --allow-unconfirmed: `matrix` (a build matrix that also lists files that never
#: appeared), `posttag-workflow` (listed only after the tag), `dropped` (listed, then taken out again).
EXISTENCE = ("proven", "tag-workflow", "matrix", "posttag-workflow", "dropped")
CONFIRMED = frozenset({"proven", "tag-workflow"})

#: Confidence of a release's list of architectures, strongest first.
CONFIDENCE = ("binary", "script", "release-notes", "user-report", "matrix", "disputed", "unread")

#: Nobody has read the device code: a row that a refresh could not read, which no plan picks; or a build that a foreign
#: lock names, whose wheel is read once it is here.
UNREAD = "unread"


class Wheel(NamedTuple):
    """One published file."""

    tag: str
    """`cp312-cp312-linux_x86_64`; compressed sets such as `py2.py3-none-any` are allowed."""
    filename: str
    url: str
    """Empty for PyPI: its address comes from pip's settings."""
    sha256: str = ""
    """Lower-case hex, or empty where nobody published it."""
    size_bytes: int | None = None
    existence: str = "proven"
    source: str = ""
    mirrors: tuple[str, ...] = ()
    """Other addresses of the same bytes."""


class Release(NamedTuple):
    """All wheels of one version, CUDA variant, operating system and machine: they share their device code."""

    name: str
    version: str
    """With its local version where the file has one: `2.6.0+cu124`, `0.3.2+cu124.torch2.6.0`."""
    variant: str
    """`cu124`, `cpu`, or `any`."""
    os: str
    machine: str
    publisher: str
    """Who publishes it: `pytorch`, `pypi`, `github`, or an overlay's own word."""
    index_url: str
    """The index to search for what belongs to it (torch's NVIDIA libraries); empty for PyPI."""
    architectures: tuple[CodeTarget, ...]
    confidence: str
    source: str
    wheels: Sequence[Wheel]
    """Immutable."""
    torch: str = ""
    """For an extension: the torch versions that it runs with, without local version; see `model.coupling`."""
    torch_variants: tuple[str, ...] = ()
    """For an extension: further CUDA variants of that torch with which evidence says it works; see `model.coupling`."""
    cxx11_abi: bool | None = None
    """The C++ ABI of a torch, or the one that an extension needs of its torch; None where that is not known."""
    cudnn: str = ""
    """For torch: the cuDNN version that it requires."""
    rank: int = 0
    """Place in the order of versions within its package: higher is newer. Builds of one version share it."""
    note: str = ""
    torch_also: tuple[str, ...] = ()
    """For an extension: further torch versions that its files do not pin against and that it works with."""
    ptx_cuda: CudaVersion | None = None
    """The CUDA version that a driver must know to compile the PTX, where it was read; else the variant tells it."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one release from another."""
        return (self.name, self.version, self.variant, self.os, self.machine, self.publisher)

    @property
    def public_version(self) -> str:
        """The version without its local part."""
        return self.version.partition("+")[0]


class Build(NamedTuple):
    """One wheel with the facts that it shares with its release."""

    release: Release
    wheel: Wheel


class Package(NamedTuple):
    """One name, with the releases for one platform (or all), newest first."""

    name: str
    role: str
    """What it is coupled to, and whether it has builds at all.

    `torch` is the pivot, `torch-extension` is coupled to a torch build, `cuda` to a CUDA variant only. `python` has no
    device code: it `uses` others. `choice` is a name that people type for one of several distributions, `one_of`.
    """
    import_name: str
    releases: tuple[Release, ...]
    never_from_pypi: str = ""
    """Why PyPI's own files of this name must not be taken; empty where they may."""
    uses: tuple[Wanted, ...] = ()
    """For `python`: the packages that bring its device code."""
    one_of: tuple[str, ...] = ()
    """For `choice`: the distributions, most wanted first; the last one reaches furthest back."""
    checked: str = ""
    """ISO date when all its upstreams were last asked; empty where that is not known."""


def compiles_itself(package: Package) -> bool:
    """Tell a package whose device code is made on the machine (triton): torch brings it, and chooses its version."""
    return bool(package.releases) and all(
        target.suffix == JIT for release in package.releases for target in release.architectures
    )


class VariantFacts(NamedTuple):
    """The drivers that a CUDA variant needs, minor-version compatibility counted."""

    label: str
    cuda: CudaVersion
    min_driver_linux: DriverVersion
    min_driver_windows: DriverVersion
    source: str


class Generation(NamedTuple):
    """A GPU architecture by name, and how far its support goes. Empty or zero: still supported."""

    name: str
    capabilities: tuple[str, ...]
    """As text: `6.0`, `6.1`, `6.2`."""
    last_driver_branch: int
    last_cuda: str
    last_cudnn: str
    source: str


class Advice(NamedTuple):
    """One line that belongs to an answer, with its source."""

    id: str
    text: str
    source: str
    capabilities: tuple[str, ...] = ()
    """Empty: any GPU."""
    packages: tuple[str, ...] = ()
    """Shown when one of them is asked for; empty: always."""
    when: str = "plan"
    """`plan`: with a plan and in `info`; `no-plan`: what people with that GPU do instead."""


class CudaTables(NamedTuple):
    """The small tables beside the packages."""

    variants: tuple[VariantFacts, ...]
    driver_branches: tuple[tuple[int, CudaVersion], ...]
    """(branch, the CUDA version that it reports), oldest first."""
    generations: tuple[Generation, ...]
    advice: tuple[Advice, ...]


class Catalogue(NamedTuple):
    """What one resolution needs to know of the world."""

    packages: dict[str, Package]
    tables: CudaTables
    data_date: str
    """ISO date of the newest fact."""
    unknown: tuple[str, ...] = ()
    """Requested names that the catalogue does not hold."""
