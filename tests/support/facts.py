"""Small catalogues, hosts and targets, made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pascal_install.model.build import (
    Catalogue,
    CudaTables,
    Generation,
    Package,
    Release,
    VariantFacts,
    Wheel,
)
from pascal_install.model.cuda import CodeTarget, ComputeCapability, CudaVersion, DriverVersion
from pascal_install.model.gpu import Driver, GpuDevice, HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.request import Request, Wanted

PASCAL_ARCHS = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"
TURING_ARCHS = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"


def codes(text: str) -> tuple[CodeTarget, ...]:
    return tuple(CodeTarget.parse(word) for word in text.split())


def host(*capabilities: str, driver: str = "580.95.05", cuda: str = "13.0", os: str = "linux") -> HostFacts:
    gpus = tuple(
        GpuDevice(place, f"GPU {capability}", ComputeCapability.parse(capability), source="test")
        for place, capability in enumerate(capabilities)
    )
    known = Driver(DriverVersion.parse(driver), CudaVersion.parse(cuda), "test") if driver else None
    return HostFacts(os, "x86_64", gpus, known)


def target(python: str = "3.12", platforms: Sequence[str] = ("manylinux_2_28_x86_64", "linux_x86_64")) -> Target:
    tag = "cp" + python.replace(".", "")
    tags = [f"{tag}-{tag}-{platform}" for platform in platforms]
    tags += [f"py3-none-{platform}" for platform in platforms] + ["py3-none-any"]
    major, minor = python.split(".")
    return Target(
        "/env/bin/python", "cpython", (int(major), int(minor), 1), tag, "linux", "x86_64", tuple(tags), "glibc 2.36"
    )


def wheel(name: str, version: str, tag: str, existence: str = "proven", sha256: str = "") -> Wheel:
    filename = f"{name}-{version}-{tag}.whl"
    return Wheel(tag, filename, f"https://host.example/{filename}", sha256, None, existence, "seen")


def release(
    name: str,
    version: str,
    archs: str,
    *,
    pythons: Iterable[str] = ("3.12",),
    rank: int = 0,
    torch: str = "",
    publisher: str = "pytorch",
    variant: str = "",
    existence: str = "proven",
    confidence: str = "script",
    torch_variants: tuple[str, ...] = (),
    cudnn: str = "",
) -> Release:
    tags = ["cp" + python.replace(".", "") for python in pythons]
    wheels = tuple(wheel(name, version, f"{tag}-{tag}-manylinux_2_28_x86_64", existence) for tag in tags)
    return Release(
        name=name,
        version=version,
        variant=variant or version.partition("+")[2].partition(".")[0] or "cu124",
        os="linux",
        machine="x86_64",
        publisher=publisher,
        index_url="" if publisher == "pypi" else "https://index.example/",
        architectures=codes(archs),
        confidence=confidence,
        source="a table",
        wheels=wheels,
        torch=torch,
        torch_variants=torch_variants,
        cudnn=cudnn,
        rank=rank,
    )


TABLES = CudaTables(
    variants=tuple(
        VariantFacts(
            label,
            CudaVersion.parse(cuda),
            DriverVersion.parse(linux),
            DriverVersion.parse(windows),
            "CUDA Compatibility guide",
        )
        for label, cuda, linux, windows in (
            ("cu118", "11.8", "450.80.02", "452.39"),
            ("cu124", "12.4", "525.60.13", "528.33"),
            ("cu126", "12.6", "525.60.13", "528.33"),
            ("cu128", "12.8", "525.60.13", "528.33"),
            ("cu130", "13.0", "580", "580"),
        )
    ),
    driver_branches=((525, CudaVersion(12, 0)), (580, CudaVersion(13, 0))),
    generations=(
        Generation("Maxwell", ("5.0", "5.2"), 580, "12.9", "9.10", "NVIDIA"),
        Generation("Pascal", ("6.0", "6.1"), 580, "12.9", "9.10", "NVIDIA"),
        Generation("Turing", ("7.5",), 0, "", "", "NVIDIA"),
    ),
    advice=(),
)


def catalogue(*releases: Release, roles: dict[str, str] | None = None) -> Catalogue:
    roles = roles or {}
    names = dict.fromkeys(one.name for one in releases)
    packages = {
        name: Package(
            name,
            roles.get(name, "torch" if name == "torch" else "torch-extension"),
            name,
            tuple(one for one in releases if one.name == name),
        )
        for name in names
    }
    return Catalogue(packages, TABLES, "2026-11-23")


def request(*texts: str, torch_source: str = "pytorch", allow_unconfirmed: bool = False) -> Request:
    wanted = []
    for text in texts:
        name = text.split("=")[0].split("<")[0].split(">")[0]
        wanted.append(Wanted(name, text[len(name) :], text))
    return Request(tuple(wanted), torch_source, allow_unconfirmed)
