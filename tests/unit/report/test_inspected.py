"""An inspection as a person reads it."""

from __future__ import annotations

from pathlib import Path

from pascal_install.inspection.local import inspect_library
from pascal_install.model.cuda import ComputeCapability, CudaVersion
from pascal_install.report.inspected import Drivers, inspected
from support.device_code import ASSETS, PTX, pack_elf, pack_entry, pack_fatbin

VOLTA = ComputeCapability(7, 0)
BRANCHES = ((535, CudaVersion(12, 2)), (545, CudaVersion(12, 3)), (550, CudaVersion(12, 4)), (560, CudaVersion(12, 6)))


def text_of(path: Path, *gpus: ComputeCapability, here: CudaVersion | None = None) -> list[str]:
    report = inspect_library(str(path))
    return inspected(report, gpus, Drivers(BRANCHES, here), verbose=False, color=False).splitlines()


def test_each_architecture_is_told_with_its_share_of_all_fatbins(tmp_path: Path) -> None:
    assert "    runs        sm_52 1/9  sm_70 8/9  sm_75 8/9  compute_52 1/9" in text_of(ASSETS / "libstray.so")
    # Fatbins, not entries: there are two of one kind in each of these.
    path = tmp_path / "libtwice.so"
    path.write_bytes(pack_elf({".nv_fatbin": pack_fatbin(pack_entry(PTX, 61), pack_entry(PTX, 61)) * 3}))
    assert "    runs        compute_61 3/3" in text_of(path)


def test_the_first_driver_branch_that_knows_the_ptx_is_named(tmp_path: Path) -> None:
    path = tmp_path / "libptx.so"
    path.write_bytes(pack_elf({".nv_fatbin": pack_fatbin(pack_entry(PTX, 61, version=(8, 4)))}))
    verdict = (
        "sm_70: yes, PTX compute_61 in libptx.so (1 of 1 fatbins), with a driver for CUDA 12.4 or newer (branch 550)"
    )
    assert f"  {verdict}" in text_of(path, VOLTA)
    assert f"  {verdict}" in text_of(path, VOLTA, here=CudaVersion(12, 4))
    (refused,) = (line for line in text_of(path, VOLTA, here=CudaVersion(12, 3)) if "sm_70:" in line)
    assert refused.startswith("  sm_70: no, PTX compute_61 in libptx.so (1 of 1 fatbins) needs a driver for CUDA 12.4")
    assert refused.endswith("here is one for 12.3")
    path.write_bytes(pack_elf({".nv_fatbin": pack_fatbin(pack_entry(PTX, 61, version=(8, 2)))}))
    assert any(line.endswith("with a driver for CUDA 12.2 or newer") for line in text_of(path, VOLTA))


def test_of_a_single_file_the_reason_is_told_why_it_was_not_read(tmp_path: Path) -> None:
    path = tmp_path / "libc.so"
    path.write_text("GROUP ( /lib/libc.so.6 )")
    assert "  skipped  libc.so: neither an ELF file, nor a PE file, nor an archive" in text_of(path)
