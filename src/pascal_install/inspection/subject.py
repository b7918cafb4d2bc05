"""Whatever a person names: a library, a wheel, a folder, an environment."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from pascal_install.binary.coverage import architectures, ptx_need
from pascal_install.errors import DataError, UsageError
from pascal_install.inspection.local import inspect_environment, inspect_folder, inspect_library
from pascal_install.inspection.remote import RangeFetcher, inspect_url
from pascal_install.inspection.report import Report
from pascal_install.inspection.wheel import inspect_wheel
from pascal_install.model.cuda import CodeTarget, ComputeCapability, CudaVersion
from pascal_install.value import NamedTuple


def inspect_path(
    path: str, gpus: Sequence[ComputeCapability] = (), *, quick: bool = False, deep: bool = False
) -> Report:
    """Inspect a file or folder. `gpus` and `quick` matter for wheels: see `wheel.read_wheel`.

    Raises UsageError when there is nothing, DamagedError when a single file is broken.
    """
    if os.path.isdir(path):
        site_dirs = site_packages_of(path)
        if site_dirs:
            return inspect_environment(site_dirs, subject=path, deep=deep)
        return inspect_folder(path, deep=deep)
    if not os.path.exists(path):
        raise UsageError(f"{path} does not exist", code="not-found")
    if path.endswith(".whl"):
        return inspect_wheel(path, gpus, quick=quick, deep=deep)
    return inspect_library(path, deep=deep)


def site_packages_of(folder: str) -> tuple[str, ...]:
    """Find the site-packages folders of an environment, given its root or one of them; none: it is no environment."""
    escaped = glob.escape(folder)
    if glob.glob(os.path.join(escaped, "*.dist-info")):
        return (folder,)
    for pattern in ("lib*/python*/site-packages", "Lib/site-packages"):
        found = [path for path in sorted(glob.glob(os.path.join(escaped, *pattern.split("/")))) if os.path.isdir(path)]
        if found:
            return tuple({os.path.realpath(path): path for path in found}.values())
    return ()


class Carried(NamedTuple):
    """What a wheel really serves."""

    architectures: tuple[CodeTarget, ...]
    """Those that all libraries that matter have throughout."""
    ptx_cuda: CudaVersion | None
    """The CUDA version that a driver must know to compile the PTX among them."""


def wheel_code(wheel: str, fetcher: RangeFetcher | None = None) -> Carried:
    """Read what a wheel really serves.

    `wheel` is a path, or with a `fetcher` an address. Raises as `inspect_wheel` and `inspect_url`, and DamagedError
    where any library in it is broken: the rest of them is no proof.
    """
    report = inspect_url(wheel, fetcher) if fetcher else inspect_wheel(wheel)
    if report.damaged:
        raise report.damaged[0]
    opaque = next((one for one in report.skipped if one.is_opaque), None)
    if opaque:
        raise DataError(
            f"cannot read the device code of {os.path.basename(wheel)}",
            code="unread-member",
            cause=f"{opaque.member}: {opaque.why}",
            hints=("pack the wheel again, as installers take it: stored or deflated",),
        )
    targets = architectures(report.binaries)
    return Carried(targets, ptx_need(report.binaries, targets))
