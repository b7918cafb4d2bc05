"""Libraries, folders, environments and distributions on disk, and the document made of them."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from pascal_install.binary.source import DamagedError
from pascal_install.errors import TargetError, UsageError
from pascal_install.inspection.document import document
from pascal_install.inspection.files import FileSource
from pascal_install.inspection.local import inspect_distribution, inspect_environment, torch_cuda_label
from pascal_install.inspection.report import Report, verdict
from pascal_install.inspection.subject import inspect_path, site_packages_of
from pascal_install.inspection.wheel import library_members, read_wheel
from pascal_install.model.cuda import ComputeCapability
from support.device_code import ASSETS, CUBIN, asset, pack_elf, pack_entry, pack_fatbin, pack_wheel
from support.inspected import add_distribution, torch_version_file

PASCAL, VOLTA = ComputeCapability(6, 1), ComputeCapability(7, 0)


def damaged() -> bytes:
    content = bytearray(asset("libpascal.so"))
    content[content.index(b"\x50\xed\x55\xba") + 20] = 1
    return bytes(content)


def kind(report: Report, gpu: ComputeCapability) -> tuple[str, str]:
    decision = verdict(report, gpu)
    assert decision
    return decision.verdict.coverage.kind, decision.because.member


def test_a_library_as_a_document() -> None:
    made = document(inspect_path(str(ASSETS / "librelocatable.so")), [PASCAL, VOLTA])
    size = (ASSETS / "librelocatable.so").stat().st_size
    assert json.loads(json.dumps(made)) == {
        "schema": 1,
        "subject": str(ASSETS / "librelocatable.so"),
        "binaries": [
            {
                "member": "librelocatable.so",
                "format": "elf",
                "machine": "x86_64",
                "size_bytes": size,
                "nv_fatbin": {"fatbins": 1, "cubin": {"sm_60": 1, "sm_61": 1}, "ptx": {}},
                "nv_relfatbin": {"fatbins": 2, "cubin": {"sm_60": 2, "sm_61": 2}, "ptx": {"compute_61": 2}},
                "coverage": {
                    "6.1": {"kind": "cubin", "arch": "sm_61", "fatbins": 1},
                    "7.0": {"kind": "none", "arch": None, "fatbins": 0},
                },
            }
        ],
        "skipped": [],
        "coverage": {
            "6.1": {"kind": "cubin", "arch": "sm_61", "because": "librelocatable.so"},
            "7.0": {"kind": "none", "arch": None, "because": "librelocatable.so"},
        },
    }


def test_ptx_says_which_cuda_the_driver_must_know() -> None:
    made = document(inspect_path(str(ASSETS / "libpascal.so")), [VOLTA])
    assert made["coverage"] == {
        "7.0": {"kind": "ptx", "arch": "compute_61", "needs_cuda": "9.0", "because": "libpascal.so"}
    }


def test_a_damaged_library_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "libbad.so").write_bytes(damaged())
    with pytest.raises(DamagedError, match=r"^libbad\.so is damaged at offset \d+$") as caught:
        inspect_path(str(tmp_path / "libbad.so"))
    assert caught.value.exit_code == 6


def test_what_is_no_library_is_skipped_with_its_reason() -> None:
    report = inspect_path(str(ASSETS / "kernel.ptx"))
    assert report.binaries == ()
    assert [skipped.member for skipped in report.skipped] == ["kernel.ptx"]
    assert verdict(report, PASCAL) is None
    assert document(report, [PASCAL])["coverage"] == {"6.1": {"kind": "none", "arch": None, "because": None}}


def test_nothing_at_all_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        inspect_path(str(tmp_path / "absent.so"))


def test_a_folder_is_read_to_its_leaves(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    shutil.copy(ASSETS / "libpascal.so", tmp_path / "deep" / "er" / "libx.so.1.2")
    shutil.copy(ASSETS / "pascal.dll", tmp_path / "x.pyd")
    (tmp_path / "libscript.so").write_text("INPUT(libx.so)\n")
    (tmp_path / "libempty.so").touch()
    (tmp_path / "libbad.so").write_bytes(damaged())
    (tmp_path / "notes.txt").write_text("x")
    report = inspect_path(str(tmp_path))
    assert [binary.member for binary in report.binaries] == ["x.pyd", "deep/er/libx.so.1.2"]
    assert {skipped.member for skipped in report.skipped} == {"libscript.so", "libempty.so"}
    assert [error.subject for error in report.damaged] == ["libbad.so"]
    skipped = document(report, [])["skipped"]
    assert isinstance(skipped, list)
    assert any(item["member"] == "libbad.so" and item["why"].startswith("damaged at offset") for item in skipped)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
def test_links_pipes_and_doubles_do_no_harm(tmp_path: Path) -> None:
    shutil.copy(ASSETS / "libpascal.so", tmp_path / "liba.so")
    (tmp_path / "libb.so").symlink_to("liba.so")
    (tmp_path / "libloop.so").symlink_to("libloop.so")
    os.mkfifo(tmp_path / "libpipe.so")
    (tmp_path / "libfolder.so").mkdir()
    (tmp_path / "again").symlink_to(tmp_path)
    report = inspect_path(str(tmp_path))
    assert [binary.member for binary in report.binaries] == ["liba.so"]
    why = {skipped.member: skipped.why for skipped in report.skipped}
    assert why.keys() == {"libb.so", "libloop.so", "libpipe.so"}
    assert "same file as liba.so" in why["libb.so"]
    assert why["libpipe.so"] == "not a regular file"


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    torch: dict[str, bytes | Path] = {
        "torch/lib/libtorch_cuda.so": ASSETS / "libmixed.so",
        "torch/version.py": torch_version_file("12.4"),
    }
    add_distribution(folder, "torch", "2.6.0", torch)
    libraries = {"nvidia/cublas/lib/libcublasLt.so.12": ASSETS / "libfastpath.so"}
    add_distribution(folder, "nvidia-cublas-cu12", "12.4", libraries)
    return folder


def test_in_an_environment_the_weakest_distribution_decides(site_dir: Path) -> None:
    torch = {"torch/lib/libtorch_cuda.so": ASSETS / "libpascal.so", "torch/lib/libside.so": ASSETS / "libstray.so"}
    add_distribution(site_dir, "torch", "2.6.0", torch)
    assert kind(inspect_environment([str(site_dir)]), PASCAL) == ("cubin", "torch/lib/libtorch_cuda.so")
    add_distribution(site_dir, "extension", "1", {"extension_C.so": ASSETS / "libstray.so"})
    report = inspect_environment([str(site_dir), str(site_dir)])
    assert kind(report, PASCAL) == ("none", "extension_C.so")
    assert report.cuda_label == "cu124"


@pytest.mark.parametrize(
    "member",
    ["nvidia/cudnn/lib/libcudnn_ops.so.9", "nvidia/cublas/lib/libcublas.so.12", "nvidia/nccl/lib/libnccl.so.2"],
)
def test_what_torch_needs_decides_where_it_serves_a_gpu_worse(site_dir: Path, member: str) -> None:
    torch: dict[str, bytes | Path] = {
        "torch/lib/libtorch_cuda.so": ASSETS / "libpascal.so",
        "torch/version.py": torch_version_file("12.4"),
    }
    add_distribution(site_dir, "torch", "2.6.0", torch)
    add_distribution(site_dir, "nvidia-needed", "1", {member: ASSETS / "libfastpath.so"})
    others: dict[str, bytes | Path] = {
        "x.libs/libcublas.so.12": ASSETS / "libfastpath.so",
        "nvidia/cu13/lib/libcublas.so.13": ASSETS / "libfastpath.so",
    }
    add_distribution(site_dir, "other", "1", others)
    assert kind(inspect_environment([str(site_dir)]), PASCAL) == ("none", member)
    add_distribution(site_dir, "nvidia-needed", "2", {member: ASSETS / "libpascal.so"})
    assert kind(inspect_environment([str(site_dir)]), PASCAL) == ("cubin", "torch/lib/libtorch_cuda.so")


def test_an_environment_is_known_by_its_root_or_by_its_packages(site_dir: Path, tmp_path: Path) -> None:
    root = tmp_path / "env"
    assert site_packages_of(str(root)) == (str(site_dir),)
    assert inspect_path(str(root)).parts == inspect_path(str(site_dir)).parts
    assert site_packages_of(str(tmp_path)) == ()


def test_a_library_made_for_each_cuda_is_judged_by_the_torch_beside_it(site_dir: Path) -> None:
    files = {
        "bits/lib_cuda124.so": ASSETS / "libstray.so",
        "bits/lib_cuda128.so": ASSETS / "libpascal.so",
    }
    add_distribution(site_dir, "bits", "1", files)
    assert kind(inspect_distribution("Bits", [str(site_dir)]), PASCAL) == ("none", "bits/lib_cuda124.so")


def test_a_distribution_is_found_by_any_spelling_of_its_name(site_dir: Path) -> None:
    report = inspect_distribution("NVIDIA_cublas.cu12", [str(site_dir)])
    assert [binary.member for binary in report.binaries] == ["nvidia/cublas/lib/libcublasLt.so.12"]
    with pytest.raises(TargetError, match="not installed"):
        inspect_distribution("absent", [str(site_dir)])


def test_a_distribution_without_record_is_half_installed(site_dir: Path) -> None:
    (site_dir / "torch-2.6.0.dist-info" / "RECORD").unlink()
    with pytest.raises(TargetError, match="half installed"):
        inspect_distribution("torch", [str(site_dir)])


@pytest.mark.parametrize(("cuda", "label"), [("12.4", "cu124"), ("11.8", "cu118"), (None, "cpu")])
def test_the_cuda_of_torch_is_read_from_its_version_file(tmp_path: Path, cuda: str | None, label: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_bytes(torch_version_file(cuda))
    assert torch_cuda_label([str(tmp_path)]) == label


def test_without_torch_its_cuda_is_not_known(tmp_path: Path) -> None:
    assert torch_cuda_label([str(tmp_path)]) == ""


def test_a_wheel_by_its_path(tmp_path: Path) -> None:
    fatbin = pack_fatbin(pack_entry(CUBIN, 61))
    members = {"x/_C.so": pack_elf({".nv_fatbin": fatbin}), "x/__init__.py": b"", "x.libs/libbad.so": damaged()}
    (tmp_path / "x-1-py3-none-any.whl").write_bytes(pack_wheel(members))
    report = inspect_path(str(tmp_path / "x-1-py3-none-any.whl"), [PASCAL])
    assert kind(report, PASCAL) == ("cubin", "x/_C.so")
    assert [error.subject for error in report.damaged] == ["x.libs/libbad.so"]
    (tmp_path / "y-1-py3-none-any.whl").write_bytes(b"PK no wheel")
    with pytest.raises(DamagedError, match=r"^y-1-py3-none-any\.whl is damaged at offset"):
        inspect_path(str(tmp_path / "y-1-py3-none-any.whl"))


def test_threads_tell_what_one_reader_tells(tmp_path: Path) -> None:
    fatbins = [pack_fatbin(pack_entry(CUBIN, number)) * 3 for number in (60, 61, 70)]
    members = {f"x/{number}.so": pack_elf({".nv_fatbin": fatbins[number % 3]}) for number in range(12)}
    members |= {"x/big.so": pack_elf({".rodata": bytes(5_000_000), ".nv_fatbin": fatbins[0]})}
    members |= {"x/bad.so": damaged(), "x/text.so": b"text", "x/worse.so": damaged()[:500]}
    path = tmp_path / "x-1-py3-none-any.whl"
    path.write_bytes(pack_wheel(members, stored=["x/3.so"]))
    with FileSource(str(path)) as source:
        found = library_members(source)
        alone, together = (read_wheel("x", source, found, [PASCAL], workers=workers) for workers in (1, 4))
    # Errors are equal by what they say.
    assert [str(error) for error in alone.damaged] == [str(error) for error in together.damaged]
    assert len(alone.damaged) == 2
    assert alone._replace(damaged=()) == together._replace(damaged=())
    assert [binary.member for binary in together.binaries][-1] == "x/big.so"
    assert inspect_path(str(path)).parts == together.parts


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux tells what it has in memory")
def test_a_cold_file_is_told_from_a_warm_one(tmp_path: Path) -> None:
    path = tmp_path / "libx.so"
    path.write_bytes(bytes(1 << 20))
    with FileSource(str(path)) as source:
        source.read_at(0, 1 << 20)
        assert not source.is_slow(1 << 19)
        # What is far behind the end is not there to wait for.
        assert not source.is_slow(1 << 40)
        source.fetch_ahead([0, 1 << 19, 1 << 40], 48)
        assert source.read_at(1 << 40, 48) == b""


def test_a_wheel_beyond_4_gb_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    library = pack_elf({".nv_fatbin": pack_fatbin(pack_entry(CUBIN, 61))})
    with path.open("w+b") as file:
        # A hole, which takes no room on the disk; what follows can only be told in 64 bits.
        file.seek(5 << 30)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x/_C.so", library)
            archive.writestr("x/_D.so", library, zipfile.ZIP_STORED)
    assert path.stat().st_size > 5 << 30
    tracemalloc.start()
    report = inspect_path(str(path), [PASCAL])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [binary.member for binary in report.binaries] == ["x/_C.so", "x/_D.so"]
    assert kind(report, PASCAL) == ("cubin", "x/_C.so")
    assert peak < 4 << 20


def test_a_wheel_of_very_many_libraries_takes_memory_in_proportion(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    path.write_bytes(pack_wheel({f"x/{number}.so": b"" for number in range(10_000)}))
    tracemalloc.start()
    report = inspect_path(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(report.skipped) == 10_000
    assert peak < 1500 * 10_000
