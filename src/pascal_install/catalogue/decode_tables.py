"""cuda.toml, gpus.toml and advice.toml to values."""

from __future__ import annotations

from pascal_install.catalogue.fields import Fields, Sources
from pascal_install.model.build import Advice, Generation, VariantFacts
from pascal_install.model.cuda import ComputeCapability, CudaVersion, DriverVersion, variant_cuda
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_CUDA = CudaVersion(0, 0)
_NO_DRIVER = DriverVersion((0,), "0")
_CAPABILITY = "a compute capability like 6.1"
_DRIVER = "a driver version like 525.60.13"


class KnownGpu(NamedTuple):
    """One card. Without a name it serves the look-up by PCI id only; without an id, the look-up by name."""

    name: str
    capability: ComputeCapability
    pci: str
    """The PCI device id, four lower-case hex digits, or empty."""


Branches = tuple[tuple[int, CudaVersion], ...]


def decode_cuda(file: Fields | None) -> tuple[tuple[VariantFacts, ...], Branches, tuple[Generation, ...]]:
    """Read CUDA variants, branches of the driver (oldest first) and GPU generations."""
    if file is None:
        return (), (), ()
    sources = Sources(file.mapping("sources"))
    seen: set[object] = set()
    variants = tuple(_variant(row, sources, seen) for row in file.tables("variant"))
    branches = tuple(sorted(_branch(row, sources, seen) for row in file.tables("driver_branch")))
    generations = tuple(_generation(row, sources, seen) for row in file.tables("generation"))
    return variants, branches, generations


def _once(row: Fields, key: str, expected: str, value: object, seen: set[object]) -> None:
    """Note a value that stood in a row before."""
    if value and (key, value) in seen:
        row.reject(key, expected, value)
    seen.add((key, value))


def _variant(row: Fields, sources: Sources, seen: set[object]) -> VariantFacts:
    label = row.text("label")
    _once(row, "label", "each variant once", label, seen)
    facts = VariantFacts(
        label=label,
        cuda=row.parsed("label", cuda_of, "a CUDA variant like cu124", _NO_CUDA),
        min_driver_linux=row.parsed("min_driver_linux", DriverVersion.parse, _DRIVER, _NO_DRIVER),
        min_driver_windows=row.parsed("min_driver_windows", DriverVersion.parse, _DRIVER, _NO_DRIVER),
        source=sources.expand(row),
    )
    row.close()
    return facts


def cuda_of(label: str) -> CudaVersion:
    """Give the CUDA version of a variant that has one. Raises ValueError for `cpu` and for what is no variant."""
    cuda = variant_cuda(label)
    if cuda is None:
        raise ValueError(f"no CUDA variant: {label!r}")
    return cuda


def _branch(row: Fields, sources: Sources, seen: set[object]) -> tuple[int, CudaVersion]:
    branch = row.integer("branch", required=True) or 0
    _once(row, "branch", "each branch once", branch, seen)
    cuda = row.parsed("cuda", CudaVersion.parse, "a CUDA version like 12.4", _NO_CUDA)
    sources.expand(row)
    row.close()
    return branch, cuda


def _generation(row: Fields, sources: Sources, seen: set[object]) -> Generation:
    found = Generation(
        name=row.text("name"),
        capabilities=capabilities(row),
        last_driver_branch=row.integer("last_driver_branch") or 0,
        last_cuda=_release(row, "last_cuda"),
        last_cudnn=_release(row, "last_cudnn"),
        source=sources.expand(row),
    )
    for capability in found.capabilities:
        _once(row, "capabilities", "each capability in one generation", capability, seen)
    row.close()
    return found


def _release(row: Fields, key: str) -> str:
    """Read the release of a toolkit, in the form of a CUDA version; empty where there is none."""
    text = row.text(key, "")
    try:
        return text and str(CudaVersion.parse(text))
    except ValueError:
        row.reject(key, "a version like 12.9")
        return ""


def capabilities(row: Fields) -> tuple[str, ...]:
    """Read a list of compute capabilities, as text."""
    found = row.texts("capabilities")
    for text in found:
        try:
            good = str(ComputeCapability.parse(text)) == text
        except ValueError:
            good = False
        if not good:
            row.reject("capabilities", f"{_CAPABILITY} each", text)
    return found


def decode_gpus(file: Fields | None) -> tuple[KnownGpu, ...]:
    """Read the cards, in the order of the file."""
    if file is None:
        return ()
    sources = Sources(file.mapping("sources"))
    seen: set[KnownGpu] = set()
    for row in file.tables("gpus"):
        row.text("chip", "")
        sources.expand(row)
        gpu = KnownGpu(
            name=row.text("name", ""),
            capability=row.parsed("capability", ComputeCapability.parse, _CAPABILITY, ComputeCapability(0, 0)),
            pci=row.text("pci", ""),
        )
        if gpu.pci and not (len(gpu.pci) == 4 and set(gpu.pci) <= set("0123456789abcdef")):
            row.reject("pci", "four lower-case hex digits")
        if not (gpu.name or gpu.pci):
            row.reject("name", "a name or a PCI id")
        if gpu in seen:
            row.reject("name", "each card once")
        seen.add(gpu)
        row.close()
    return tuple(sorted(seen))


def decode_advice(file: Fields | None, known: Iterable[Advice] = (), package: str = "") -> tuple[Advice, ...]:
    """Read the advice, in the order of the file: it is shown in that order.

    In the file of a package it is about that package where it names none. `known` has the ids that are taken.
    """
    if file is None:
        return ()
    sources = Sources(file.mapping("sources"))
    found: list[Advice] = []
    for row in file.tables("advice"):
        one = Advice(
            id=row.text("id"),
            text=row.text("text"),
            source=sources.expand(row),
            capabilities=capabilities(row),
            packages=row.texts("packages") or ((package,) if package else ()),
            when=row.choice("when", ("plan", "no-plan"), "plan"),
        )
        if any(other.id == one.id for other in (*known, *found)):
            row.reject("id", "each id once")
        found.append(one)
        row.close()
    return tuple(found)
