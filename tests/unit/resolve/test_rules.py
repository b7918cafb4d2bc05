from __future__ import annotations

import pytest

from pascal_install.errors import UsageError
from pascal_install.model.build import Release
from pascal_install.model.cuda import CudaVersion
from pascal_install.model.gpu import HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Rejection
from pascal_install.model.request import Request
from pascal_install.resolve.context import Context, make_context
from pascal_install.resolve.rules import (
    architectures_are_known,
    choose_wheel,
    comes_from_wanted_publisher,
    driver_drives_gpu,
    driver_is_new_enough,
    fits_torch,
    has_kernels,
    meets_requirement,
)
from support import facts


def context(
    *releases: Release,
    host: HostFacts | None = None,
    target: Target | None = None,
    request: Request | None = None,
) -> Context:
    return make_context(
        request or facts.request("torch"),
        host or facts.host("6.1"),
        target or facts.target(),
        facts.catalogue(*releases),
    )


def test_kernels_must_serve_every_gpu() -> None:
    old = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS)
    new = facts.release("torch", "2.8.0+cu128", facts.TURING_ARCHS)
    assert has_kernels(old, context(old)) is None
    both = context(old, new, host=facts.host("6.1", "12.0"))
    for release, left_out in ((old, "sm_120"), (new, "sm_61")):
        rejection = has_kernels(release, both)
        assert rejection is not None
        assert rejection.rule == "kernel-coverage"
        assert left_out in rejection.needed
        assert "sm_86" in rejection.found


def test_hidden_gpus_and_unknown_ones_do_not_count() -> None:
    new = facts.release("torch", "2.8.0+cu128", facts.TURING_ARCHS)
    machine = facts.host("7.5", "6.1", "6.0")
    hidden = machine.gpus[1]._replace(visible=False)
    lost = machine.gpus[2]._replace(capability=None, problem="GPU is lost")
    assert has_kernels(new, context(new, host=machine._replace(gpus=(machine.gpus[0], hidden, lost)))) is None


def test_ptx_needs_a_driver_that_knows_its_toolkit() -> None:
    release = facts.release("torch", "2.6.0+cu124", "sm_50 compute_50")
    assert has_kernels(release, context(release, host=facts.host("6.1", cuda="12.4"))) is None
    assert has_kernels(release, context(release, host=facts.host("6.1", cuda="12.2"))) is not None
    assert has_kernels(release, context(release, host=facts.host("6.1", driver=""))) is None
    read = release._replace(variant="any", ptx_cuda=CudaVersion(12, 9))
    rejected = has_kernels(read, context(read, host=facts.host("6.1", cuda="12.8")))
    assert rejected is not None
    assert "its PTX needs a driver for CUDA 12.9" in rejected.found
    assert has_kernels(read, context(read, host=facts.host("6.1", cuda="12.9"))) is None


@pytest.mark.parametrize(
    ("driver", "version", "refused"),
    [
        ("525.60.13", "2.6.0+cu124", False),  # minor-version compatibility: 12.0's driver runs 12.4
        ("525.60.12", "2.6.0+cu124", True),
        ("470.256.02", "2.6.0+cu118", False),
        ("440", "2.6.0+cu118", True),
        ("570.26", "2.9.0+cu130", True),
        ("580", "2.9.0+cu130", False),
    ],
)
def test_driver_minimum(driver: str, version: str, refused: bool) -> None:
    release = facts.release("torch", version, facts.PASCAL_ARCHS)
    rejection = driver_is_new_enough(release, context(release, host=facts.host("6.1", driver=driver)))
    assert (rejection is not None) is refused
    if rejection:
        assert driver in rejection.found


def test_windows_has_its_own_driver_minimum() -> None:
    release = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS)
    machine = facts.host("6.1", driver="527.0", os="windows")
    rejection = driver_is_new_enough(release, context(release, host=machine))
    assert rejection is not None
    assert "528.33" in rejection.needed


def test_requirement_is_read_as_packaging_reads_it() -> None:
    release = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS)
    for text, fits in (
        ("torch==2.6.0", True),
        ("torch==2.6.0+cu124", True),
        ("torch<2.6", False),
        ("torch==2.6.0+cu118", False),
    ):
        assert (meets_requirement(release, context(release, request=facts.request(text))) is None) is fits


def test_unreadable_requirement_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"torch=2\.6"):
        context(request=facts.request("torch=2.6"))


def test_what_is_asked_of_pypi_never_comes_from_elsewhere() -> None:
    only = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS)  # as on Windows, where PyPI has no CUDA build
    rejection = comes_from_wanted_publisher(only, context(only, request=facts.request("torch", torch_source="pypi")))
    assert rejection is not None
    assert rejection.rule == "publisher"
    assert comes_from_wanted_publisher(only, context(only)) is None


def test_publisher_decides_only_where_both_publish() -> None:
    index = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS)
    pypi = facts.release("torch", "2.6.0", facts.PASCAL_ARCHS, publisher="pypi", variant="cu124")
    only = facts.release("xformers", "0.0.29", facts.PASCAL_ARCHS, publisher="pypi", torch="2.6.0")
    default = context(index, pypi, only)
    assert comes_from_wanted_publisher(index, default) is None
    assert comes_from_wanted_publisher(pypi, default) is not None
    assert comes_from_wanted_publisher(only, default) is None
    from_pypi = context(index, pypi, only, request=facts.request("torch", torch_source="pypi"))
    assert comes_from_wanted_publisher(index, from_pypi) is not None
    assert comes_from_wanted_publisher(pypi, from_pypi) is None


def test_disputed_architectures_need_permission() -> None:
    release = facts.release("torch", "2.8.0+cu128", facts.PASCAL_ARCHS, confidence="disputed")
    assert architectures_are_known(release, context(release)) is not None
    assert (
        architectures_are_known(release, context(release, request=facts.request("torch", allow_unconfirmed=True)))
        is None
    )


def test_wheel_of_another_python_or_platform_is_no_choice() -> None:
    release = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS, pythons=("3.10", "3.11"))
    rejection = choose_wheel(release, context(release))
    assert isinstance(rejection, Rejection)
    assert rejection.rule == "wheel-tag"
    assert "cp310-cp310" in rejection.found
    old_glibc = facts.target("3.10", platforms=("manylinux_2_17_x86_64", "linux_x86_64"))
    assert isinstance(choose_wheel(release, context(release, target=old_glibc)), Rejection)


def test_the_most_wanted_tag_wins_and_compressed_tags_are_read() -> None:
    release = facts.release("torch", "2.6.0", facts.PASCAL_ARCHS)
    generic = facts.wheel("torch", "2.6.0", "py2.py3-none-any")
    several = release._replace(wheels=(generic, *release.wheels))
    chosen = choose_wheel(several, context(several))
    assert not isinstance(chosen, Rejection)
    assert chosen.tag.startswith("cp312")
    alone = release._replace(wheels=(generic,))
    assert choose_wheel(alone, context(alone)) == generic


@pytest.mark.parametrize("existence", ["matrix", "posttag-workflow", "dropped"])
def test_listed_wheels_are_taken_only_when_allowed(existence: str) -> None:
    release = facts.release("exllamav2", "0.3.2+cu124", facts.PASCAL_ARCHS, existence=existence)
    rejection = choose_wheel(release, context(release))
    assert isinstance(rejection, Rejection)
    assert rejection.rule == "unconfirmed"
    allowed = context(release, request=facts.request("exllamav2", allow_unconfirmed=True))
    assert not isinstance(choose_wheel(release, allowed), Rejection)


def test_a_wheel_that_its_host_denies_is_not_published() -> None:
    release = facts.release("exllamav2", "0.3.2+cu124", facts.PASCAL_ARCHS, existence="tag-workflow")
    gone = facts.request("exllamav2")._replace(unpublished=frozenset({release.wheels[0].url}))
    rejection = choose_wheel(release, context(release, request=gone))
    assert isinstance(rejection, Rejection)
    assert rejection.rule == "not-published"


def test_coupling() -> None:
    torch = facts.release("torch", "2.6.0+cu126", facts.PASCAL_ARCHS)
    exact = facts.release("exllamav2", "0.3.2+cu126.torch2.6.0", facts.PASCAL_ARCHS, torch="2.6.0")
    other_cuda = facts.release("exllamav2", "0.3.2+cu124.torch2.6.0", facts.PASCAL_ARCHS, torch="2.6.0")
    proven = other_cuda._replace(torch_variants=("cu126",))
    other_torch = exact._replace(torch="2.6.1")
    assert fits_torch(exact, torch)
    assert not fits_torch(other_cuda, torch)
    assert fits_torch(proven, torch)
    assert not fits_torch(other_torch, torch)
    assert fits_torch(other_torch._replace(torch_also=("2.6.0",)), torch)


@pytest.mark.parametrize(
    ("wanted", "variants", "torch", "fits"),
    [
        ("2.6.*", (), "2.6.1+cu124", True),
        ("2.6.*", (), "2.7.0+cu124", False),
        (">=2.4,<3", (), "2.14.0+cu124", True),
        (">=2.4,<3", (), "2.3.1+cu124", False),
        ("<2.6", (), "2.6.0+cu124", False),
        ("2.6.*", (), "2.6.0+cu126", False),
        ("2.6.*", ("cu12x",), "2.6.0+cu126", True),
        ("2.6.*", ("cu12x",), "2.6.0+cu118", False),
        ("2.6.*", ("any",), "2.6.0+cu118", True),
        ("2.6.*", ("any",), "2.6.0+cpu", False),
    ],
)
def test_coupling_to_ranges(wanted: str, variants: tuple[str, ...], torch: str, fits: bool) -> None:
    extension = facts.release(
        "bitsandbytes", "0.50.2", facts.PASCAL_ARCHS, torch=wanted, variant="cu124", torch_variants=variants
    )
    assert fits_torch(extension, facts.release("torch", torch, facts.PASCAL_ARCHS)) is fits


@pytest.mark.parametrize(
    ("extension", "torch", "fits"),
    [(True, True, True), (True, False, False), (False, True, False), (None, True, True), (True, None, True)],
)
def test_the_abi_of_both_is_one_where_both_are_known(extension: bool | None, torch: bool | None, fits: bool) -> None:
    release = facts.release("flash-attn", "2.8.3+cu124", "sm_80", torch="2.6.0")._replace(cxx11_abi=extension)
    assert fits_torch(release, facts.release("torch", "2.6.0+cu124", "sm_80")._replace(cxx11_abi=torch)) is fits


def test_what_is_compiled_on_the_machine_runs_on_everything_newer() -> None:
    triton = facts.release("triton", "3.2.0", "jit_70", variant="any")
    assert has_kernels(triton, context(triton, host=facts.host("7.0", "12.0"))) is None
    rejection = has_kernels(triton, context(triton, host=facts.host("6.1")))
    assert rejection is not None
    assert rejection.found == "jit_70"


def test_a_driver_of_windows_belongs_to_the_branch_of_its_ten_in_wsl_too() -> None:
    release = facts.release("torch", "2.6.0+cu124", facts.PASCAL_ARCHS)
    for driver, os, dropped in (
        ("581.80", "windows", False),
        ("591.44", "windows", True),
        ("581.80", "linux", False),
        ("590.44.01", "linux", True),
        ("595.45.04", "linux", True),
    ):
        rejection = driver_drives_gpu(release, context(release, host=facts.host("6.1", driver=driver, os=os)))
        assert (rejection is not None) is dropped
