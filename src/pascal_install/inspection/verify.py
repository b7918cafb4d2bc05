"""After an install: whether what arrived is what this machine's GPUs need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from pascal_install.binary.coverage import Binary, decide, judge_needed, needed_by_torch, partly_served
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.errors import TargetError
from pascal_install.inspection.links import absent, symbol_findings
from pascal_install.inspection.loader import Loader
from pascal_install.inspection.local import (
    Distribution,
    Found,
    distributions,
    read_files,
    recorded_files,
    torch_cuda_label,
)
from pascal_install.inspection.report import Report
from pascal_install.model.cuda import ComputeCapability, CudaVersion, coverage
from pascal_install.model.finding import Finding
from pascal_install.model.names import normalise

_NVIDIA_DISTRIBUTIONS = ("nvidia-cudnn", "nvidia-cublas", "nvidia-nccl")


def verify_environment(
    site_dirs: Sequence[str],
    packages: Iterable[str],
    capabilities: Sequence[ComputeCapability],
    *,
    driver_cuda: CudaVersion | None = None,
    search_path: str | None = None,
) -> tuple[Finding, ...]:
    """Check the installed packages for every GPU; an `error` is proven, a `warning` is worth knowing.

    torch is judged with the NVIDIA libraries that it needs, every other package with its symbols. `driver_cuda` is the
    newest CUDA version that the driver knows, which decides whether it compiles the PTX; `search_path` stands in for
    LD_LIBRARY_PATH.
    """
    installed = {distribution.name: distribution for distribution in distributions(site_dirs)}
    label = torch_cuda_label(site_dirs)
    findings: list[Finding] = []
    if search_path is None:
        search_path = os.environ.get("LD_LIBRARY_PATH", "")
    with Loader(site_dirs, search_path=search_path) as loader:
        for name in dict.fromkeys(map(normalise, packages)):
            distribution = installed.get(name)
            if distribution is None:
                findings.append(Finding("not-installed", "error", f"{name} is not installed"))
                continue
            try:
                files = recorded_files(distribution)
            except TargetError as error:
                findings.append(Finding(error.code, "error", error.summary, error.cause))
                continue
            report = read_files(name, files)._replace(cuda_label=label)
            findings += _damage(report)
            findings += _kernels(report, capabilities, driver_cuda)
            if name == "torch":
                if label == "cpu" and capabilities:
                    findings.append(Finding("cpu-build", "error", "the installed torch is a build for CPUs only"))
                libraries = [*report.binaries, *_nvidia_libraries(installed.values())]
                findings += _nvidia_kernels(libraries, capabilities, label)
                findings += _torch_libraries(loader, files)
            else:
                findings += symbol_findings(loader, report, files)
    return tuple(findings)


def _damage(report: Report) -> Iterator[Finding]:
    for error in report.damaged:
        yield Finding("damaged-library", "error", error.summary, error.cause, f"install {report.subject} again")


def _kernels(
    report: Report, capabilities: Sequence[ComputeCapability], driver_cuda: CudaVersion | None
) -> Iterator[Finding]:
    for device in capabilities:
        decision = decide(report.binaries, device, report.cuda_label)
        if decision is None:
            continue
        verdict, because = decision
        evidence = f"{because.member}: {verdict.fatbins} of {verdict.of} fatbins have code for {device}"
        if verdict.coverage.target is None and not _is_served_in_part(report, device):
            yield Finding("no-kernels", "error", f"{report.subject} has no kernels for {device}", evidence)
        elif verdict.needs and driver_cuda and driver_cuda < verdict.needs:
            yield Finding(
                "ptx-too-new",
                "error",
                f"the driver cannot compile {report.subject}'s PTX for {device}",
                f"{because.member}: {verdict.coverage.target} needs CUDA {verdict.needs}, not {driver_cuda}",
                "install a newer driver",
            )
        elif verdict.fatbins < verdict.of or verdict.coverage.target is None:
            yield Finding("some-kernels", "warning", f"{report.subject} lacks some kernels for {device}", evidence)


def _is_served_in_part(report: Report, device: ComputeCapability) -> bool:
    """Tell whether an extension has code for a device in a good part of it (`partly_served`): it works, with limits.

    torch keeps everything in one library, and must have it throughout.
    """
    if report.subject == "torch":
        return False
    return coverage(tuple(partly_served(report.binaries, report.cuda_label)), device).target is not None


def _nvidia_libraries(installed: Iterable[Distribution]) -> Iterator[Binary]:
    for distribution in installed:
        if distribution.name.startswith(_NVIDIA_DISTRIBUTIONS):
            try:
                files = recorded_files(distribution)
            except TargetError:
                continue
            yield from read_files(distribution.name, files).binaries


def _nvidia_kernels(
    binaries: Sequence[Binary], capabilities: Sequence[ComputeCapability], cuda_label: str
) -> Iterator[Finding]:
    products: dict[str, list[Binary]] = {}
    for binary in binaries:
        product = needed_by_torch(binary.name, cuda_label)
        if product and binary.library.has_code:
            products.setdefault(product, []).append(binary)
    for product, judged in products.items():
        for device in capabilities:
            lacking = next((one for one in judged if judge_needed(one, device).coverage.target is None), None)
            if lacking:
                # Without NCCL's kernels one GPU still works.
                yield Finding(
                    "no-library-kernels",
                    "warning" if product == "NCCL" else "error",
                    f"{product}, which torch needs, has no kernels for {device}",
                    f"{lacking.member}: none of {lacking.library.nv_fatbin.fatbins} fatbins has code for it",
                )


def _torch_libraries(loader: Loader, files: Iterable[Found]) -> Iterator[Finding]:
    for member, path in files:
        if member.endswith("/libtorch_cuda.so"):
            try:
                missing = loader.missing_libraries(path)
            except (UnsupportedError, DamagedError, OSError):
                # Reading its sections has told already.
                return
            yield from (absent("torch", member, library) for library in missing)
