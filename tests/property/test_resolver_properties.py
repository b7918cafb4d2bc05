"""The resolver against brute force, written without its code."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pascal_install.model.build import Catalogue, Release
from pascal_install.model.cuda import CudaVersion, DriverVersion, variant_cuda
from pascal_install.model.gpu import HostFacts
from pascal_install.model.plan import Plan
from pascal_install.resolve.search import resolve
from support import facts

VARIANTS = ("cu118", "cu124", "cu126", "cu128", "cu130")
ARCHS = ("sm_50 sm_60 sm_70", "sm_60 sm_61 sm_75", "sm_75 sm_86 sm_120", "sm_50 compute_60", "sm_86 compute_86")
PYTHONS = ("3.11", "3.12", "3.13")


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    torches = [
        facts.release(
            "torch", f"2.{minor}.0+{variant}", draw(st.sampled_from(ARCHS)), rank=minor, pythons=draw(pythons())
        )
        for minor, variant in draw(st.sets(st.tuples(st.integers(5, 8), st.sampled_from(VARIANTS)), max_size=6))
    ]
    keys = st.tuples(st.integers(1, 3), st.integers(5, 8), st.sampled_from(VARIANTS))
    extensions = [
        facts.release(
            "exllamav2",
            f"0.{own}.0+{variant}.torch2.{minor}.0",
            draw(st.sampled_from(ARCHS)),
            torch=f"2.{minor}.0",
            rank=own,
            pythons=draw(pythons()),
            existence=draw(st.sampled_from(("proven", "tag-workflow", "matrix"))),
        )
        for own, minor, variant in draw(st.sets(keys, max_size=8))
    ]
    return facts.catalogue(*torches, *extensions)


def pythons() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(PYTHONS), unique=True, max_size=3).map(tuple)


def hosts() -> st.SearchStrategy[HostFacts]:
    drivers = st.sampled_from(("440.0", "470.256.02", "525.60.13", "550.54.14", "580.95.05"))
    cards = st.lists(st.sampled_from(("5.2", "6.0", "6.1", "7.5", "8.9", "12.0")), min_size=1, max_size=2)
    return st.builds(lambda driver, given: facts.host(*given, driver=driver, cuda="12.4"), drivers, cards)


def brute_force(catalogue: Catalogue, host: HostFacts, names: tuple[str, ...]) -> tuple[object, ...] | None:
    """Try every combination, with the rules written down a second time; give the best one's versions."""
    everything: dict[str, list[Release]] = {"torch": [], "exllamav2": []} | {
        name: [one for one in package.releases if admissible(one, host)] for name, package in catalogue.packages.items()
    }
    best: tuple[object, ...] | None = None
    pools = [everything[name] for name in names] + ([] if "torch" in names else [everything["torch"]])
    for combination in itertools.product(*pools):
        by_name = {one.name: one for one in combination}
        torch = by_name["torch"]
        coupled = all(one.name == "torch" or (f"{one.torch}+{one.variant}" == torch.version) for one in combination)
        if coupled:
            native = variant_cuda(torch.variant) <= host.driver.cuda  # type: ignore[operator, union-attr]
            key = (
                tuple(by_name[name].rank for name in names),
                torch.rank,
                native,
                int(torch.variant[2:]),
                tuple(sorted(one.version for one in combination)),
            )
            best = key if best is None or key > best else best
    return best


def admissible(one: Release, host: HostFacts) -> bool:
    minimum = {"cu118": (450, 80, 2), "cu130": (580,)}.get(one.variant, (525, 60, 13))
    driver = host.driver
    assert driver is not None
    assert driver.version is not None
    assert driver.cuda is not None
    if driver.version.parts < minimum or one.wheels == () or one.wheels[0].existence == "matrix":
        return False
    if not any("-cp312-" in wheel.tag for wheel in one.wheels):
        return False
    for gpu in host.gpus:
        assert gpu.capability is not None
        number = gpu.capability.major * 10 + gpu.capability.minor
        cubin = any(
            not code.ptx
            and code.capability.major == gpu.capability.major
            and code.capability.minor <= gpu.capability.minor
            for code in one.architectures
        )
        toolkit = variant_cuda(one.variant)
        ptx = any(
            code.ptx and code.capability.major * 10 + code.capability.minor <= number for code in one.architectures
        )
        if not cubin and not (ptx and toolkit is not None and driver.cuda >= toolkit):
            return False
    return True


def versions(plan: Plan) -> dict[str, str]:
    return {pin.build.release.name: pin.build.release.version for pin in plan.pins}


@pytest.mark.parametrize("names", [("torch",), ("exllamav2",), ("exllamav2", "torch")])
@settings(max_examples=300, deadline=None)
@given(catalogue=catalogues(), host=hosts())
def test_agrees_with_brute_force(names: tuple[str, ...], catalogue: Catalogue, host: HostFacts) -> None:
    if any(name not in catalogue.packages for name in (*names, "torch")):
        return
    plan = resolve(facts.request(*names), host, facts.target(), catalogue)
    expected = brute_force(catalogue, host, names)
    assert bool(plan.pins) == (expected is not None)
    assert (plan.problem is None) == bool(plan.pins)
    if expected is not None:
        assert tuple(sorted(versions(plan).values())) == expected[-1]


RANGES = ("2.5.0", "2.6.0", "2.6.*", ">=2.6", ">=2.5,<2.7", "<2.8")


@st.composite
def coupled_catalogues(draw: st.DrawFn) -> Catalogue:
    """Every kind of coupling: ranges of torch, whole CUDA majors, any CUDA, the C++ ABI, and no torch at all."""
    abis = st.sampled_from((True, False, None))
    torches = [
        facts.release("torch", f"2.{minor}.0+{variant}", draw(st.sampled_from(ARCHS)), rank=minor)._replace(
            cxx11_abi=draw(abis)
        )
        for minor, variant in draw(st.sets(st.tuples(st.integers(5, 8), st.sampled_from(VARIANTS)), max_size=6))
    ]
    extensions = [
        facts.release(
            "splat",
            f"0.{own}.0+{variant}",
            draw(st.sampled_from((*ARCHS, "jit_70"))),
            torch=wanted,
            rank=own,
            variant=draw(st.sampled_from((variant, "any"))),
            torch_variants=draw(st.sampled_from(((), ("cu12x",), ("cu118", "cu130")))),
        )._replace(cxx11_abi=draw(abis))
        for own, wanted, variant in draw(
            st.sets(st.tuples(st.integers(1, 3), st.sampled_from(RANGES), st.sampled_from(VARIANTS)), max_size=5)
        )
    ]
    alone = [
        facts.release("cupy", f"14.{minor}.0", draw(st.sampled_from(ARCHS)), rank=minor, variant=variant)
        for minor, variant in draw(st.sets(st.tuples(st.integers(0, 2), st.sampled_from(VARIANTS)), max_size=4))
    ]
    return facts.catalogue(*torches, *extensions, *alone, roles={"cupy": "cuda"})


def runs_together(extension: Release, torch: Release) -> bool:
    """The coupling, written down a second time."""
    minor = int(torch.version.split(".")[1])
    versions = {
        "2.5.0": {5},
        "2.6.0": {6},
        "2.6.*": {6},
        ">=2.6": {6, 7, 8},
        ">=2.5,<2.7": {5, 6},
        "<2.8": {5, 6, 7},
    }[extension.torch]
    variants = {"any": set(VARIANTS)}.get(extension.variant, {extension.variant})
    for label in extension.torch_variants:
        variants |= {one for one in VARIANTS if one == label or (label == "cu12x" and one.startswith("cu12"))}
    opposed = {extension.cxx11_abi, torch.cxx11_abi} == {True, False}
    return minor in versions and torch.variant in variants and not opposed


def coupled_best(catalogue: Catalogue, host: HostFacts, names: tuple[str, ...]) -> tuple[int, ...] | None:
    """Try every combination; give the highest ranks of what was asked for, then of torch where it is needed."""
    pools = {
        name: [one for one in catalogue.packages[name].releases if serves(one, host)]
        for name in dict.fromkeys((*names, *(("torch",) if "splat" in names else ())))
    }
    best: tuple[int, ...] | None = None
    for combination in itertools.product(*pools.values()):
        by_name = dict(zip(pools, combination, strict=True))
        if "splat" not in by_name or runs_together(by_name["splat"], by_name["torch"]):
            ranks = tuple(by_name[name].rank for name in (*names, *(("torch",) if "torch" in by_name else ())))
            best = ranks if best is None else max(best, ranks)
    return best


def serves(one: Release, host: HostFacts) -> bool:
    if one.variant == "any":
        # No toolkit is known of it: no driver is too old for it, and any driver compiles its PTX.
        assert host.driver is not None
        newest = host.driver._replace(version=DriverVersion.parse("580.95.05"), cuda=CudaVersion(13, 4))
        one, host = one._replace(variant="cu118"), host._replace(driver=newest)
    if [str(code) for code in one.architectures] == ["jit_70"]:
        capable = all(gpu.capability is not None and gpu.capability.major >= 7 for gpu in host.gpus)
        return capable and admissible(one._replace(architectures=facts.codes("sm_50 sm_60 sm_75 sm_80 sm_120")), host)
    return admissible(one, host)


@pytest.mark.parametrize("names", [("splat",), ("cupy",), ("splat", "cupy"), ("cupy", "torch"), ("torch", "splat")])
@settings(max_examples=200, deadline=None)
@given(catalogue=coupled_catalogues(), host=hosts())
def test_every_coupling_agrees_with_brute_force(names: tuple[str, ...], catalogue: Catalogue, host: HostFacts) -> None:
    if any(name not in catalogue.packages for name in (*names, "torch")):
        return
    plan = resolve(facts.request(*names), host, facts.target(), catalogue)
    expected = coupled_best(catalogue, host, names)
    assert bool(plan.pins) == (expected is not None)
    picked = {pin.build.release.name: pin.build.release for pin in plan.pins}
    if expected is not None:
        assert tuple(picked[name].rank for name in names) == expected[: len(names)]
        assert ("torch" in picked) == ("splat" in names or "torch" in names)
        if "splat" in picked:
            assert runs_together(picked["splat"], picked["torch"])
            assert picked["torch"].rank == expected[-1]


@settings(max_examples=150, deadline=None)
@given(catalogue=catalogues(), host=hosts(), seed=st.integers(0, 1000))
def test_the_order_of_the_data_is_irrelevant(catalogue: Catalogue, host: HostFacts, seed: int) -> None:
    shuffler = random.Random(seed)
    packages = {
        name: package._replace(releases=tuple(shuffler.sample(package.releases, len(package.releases))))
        for name, package in sorted(catalogue.packages.items(), reverse=bool(seed % 2))
    }
    wanted = facts.request("exllamav2")
    plain = resolve(wanted, host, facts.target(), catalogue)
    mixed = resolve(wanted, host, facts.target(), catalogue._replace(packages=packages))
    assert plain == mixed


@settings(max_examples=150, deadline=None)
@given(catalogue=catalogues(), host=hosts())
def test_a_newer_driver_never_removes_a_pick(catalogue: Catalogue, host: HostFacts) -> None:
    """Branch 580 is the newest that still drives every GPU here; beyond it, dropping a GPU is the branch's doing."""
    assert host.driver is not None
    newest = host._replace(driver=host.driver._replace(version=DriverVersion.parse("580.95.05")))
    wanted = facts.request("exllamav2")
    if resolve(wanted, host, facts.target(), catalogue).pins:
        assert resolve(wanted, newest, facts.target(), catalogue).pins


@settings(max_examples=150, deadline=None)
@given(catalogue=catalogues(), host=hosts(), extra=st.sampled_from(ARCHS))
def test_one_more_candidate_never_makes_things_unsolvable(catalogue: Catalogue, host: HostFacts, extra: str) -> None:
    wanted = facts.request("exllamav2")
    if not resolve(wanted, host, facts.target(), catalogue).pins:
        return
    added = facts.release("torch", "2.9.0+cu126", extra, rank=9)
    torch = catalogue.packages["torch"]
    more = catalogue.packages | {"torch": torch._replace(releases=(*torch.releases, added))}
    assert resolve(wanted, host, facts.target(), catalogue._replace(packages=more)).pins
