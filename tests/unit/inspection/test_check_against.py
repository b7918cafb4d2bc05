"""`inspect --against`: libraries, folders, wheels and environments against a torch, and the tell-tales."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.binary.source import DamagedError
from pascal_install.errors import UsageError
from pascal_install.inspection.pairs import check_pair
from support.device_code import pack_wheel
from support.extension_pairs import TORCH, USER, BuiltPair
from support.inspected import add_distribution
from support.shared_libraries import compile_library, needs_compiler

pytestmark = needs_compiler


class Pair(BuiltPair):
    """The same, checked as wheels."""

    def check(self, member: str = "ext/_C.so") -> list[str]:
        """Put both into wheels, and check these."""
        for name, members in (("torch", self.torch_members()), ("ext", {member: self.extension})):
            content = {key: value.read_bytes() for key, value in members.items() if isinstance(value, Path)}
            (self.folder / f"{name}.whl").write_bytes(pack_wheel(content))
        found = check_pair(str(self.folder / "ext.whl"), str(self.folder / "torch.whl")).findings
        return [finding.id for finding in found]


def test_a_matching_pair_of_wheels_without_nvidias(tmp_path: Path) -> None:
    assert Pair(tmp_path).check() == []


def test_a_gone_function_of_torch_is_certain_without_nvidias_libraries(tmp_path: Path) -> None:
    assert Pair(tmp_path, torch=TORCH.replace("check(int", "check(long")).check() == ["symbols-missing"]


def test_another_cuda_is_told_by_its_library(tmp_path: Path) -> None:
    assert Pair(tmp_path, cuda="11.0").check() == ["other-cuda"]


def test_another_python_is_told_by_the_files_name(tmp_path: Path) -> None:
    assert Pair(tmp_path).check("ext/_C.cpython-310-x86_64-linux-gnu.so") == ["other-python"]


def test_another_python_in_the_name_of_the_wheel_alone_is_a_warning(tmp_path: Path) -> None:
    built = Pair(tmp_path)
    built.check()
    for tag, expected in (("cp310-cp310", ["other-python"]), ("cp312-cp312", []), ("cp38-abi3", []), ("py3-none", [])):
        wheel = (tmp_path / "ext.whl").rename(tmp_path / f"ext-1-{tag}-linux_x86_64.whl")
        found = check_pair(str(wheel), str(tmp_path / "torch.whl"))
        assert ([finding.id for finding in found.findings], found.loads) == (expected, True), tag
        wheel.rename(tmp_path / "ext.whl")


def test_another_machine_is_one_finding(tmp_path: Path) -> None:
    built = Pair(tmp_path)
    built.check()
    foreign = bytearray(built.extension.read_bytes())
    foreign[18:20] = (183).to_bytes(2, "little")
    (tmp_path / "_C.so").write_bytes(foreign)
    (finding,) = check_pair(str(tmp_path / "_C.so"), str(tmp_path / "torch.whl")).findings
    assert (finding.id, finding.evidence) == ("other-machine", "_C.so is for aarch64, torch for x86_64")


def test_of_windows_libraries_nothing_is_said(tmp_path: Path) -> None:
    Pair(tmp_path).check()
    wheel = tmp_path / "ext-1-cp312-cp312-win_amd64.whl"
    wheel.write_bytes(pack_wheel({"ext/_C.pyd": b"MZ"}))
    (finding,) = check_pair(str(wheel), str(tmp_path / "torch.whl")).findings
    assert (finding.id, finding.severity) == ("unreadable-library", "warning")


def test_a_module_for_every_python_fits_by_the_one_for_torchs(tmp_path: Path) -> None:
    # vllm 0.25 to 0.31 carry DeepGEMM's module for Python 3.10 to 3.14.
    pair = Pair(tmp_path)
    pair.check()
    names = [f"ext/gemm/_C.cpython-3{minor}-x86_64-linux-gnu.so" for minor in (10, 11, 12)]
    (tmp_path / "ext.whl").write_bytes(pack_wheel(dict.fromkeys(names, pair.extension.read_bytes())))
    found = check_pair(str(tmp_path / "ext.whl"), str(tmp_path / "torch.whl"))
    assert [linked.member for linked in found.libraries] == [names[2]]
    assert found.loads
    (tmp_path / "ext.whl").write_bytes(pack_wheel(dict.fromkeys(names[:2], pair.extension.read_bytes())))
    (finding,) = check_pair(str(tmp_path / "ext.whl"), str(tmp_path / "torch.whl")).findings
    assert finding.id == "other-python"


def test_the_switch_of_the_cxx_abi_is_named(tmp_path: Path) -> None:
    torch = "#define _GLIBCXX_USE_CXX11_ABI 0\n" + TORCH
    user = (
        "#include <string>\nnamespace c10 { int named(std::string); } int use() { return c10::named(std::string()); }"
    )
    pair = Pair(tmp_path, torch=torch, user=user)
    assert pair.check() == ["symbols-missing"]
    found = check_pair(str(pair.extension), str(tmp_path / "torch.whl")).findings
    assert "C++ ABI" in found[0].evidence
    assert "c10::named" in found[0].evidence


def test_environments_folders_and_single_libraries(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "good")
    site_dir = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    add_distribution(site_dir, "torch", "2.6.0", pair.torch_members())
    add_distribution(
        site_dir, "nvidia-cuda-runtime-cu12", "12", {"nvidia/cuda_runtime/lib/libcudart.so.12": pair.runtime}
    )
    environment = str(tmp_path / "env")
    assert check_pair(str(pair.extension), environment).findings == ()
    broken = Pair(tmp_path / "bad", user=USER.replace("check(", "gone("))
    add_distribution(site_dir, "ext", "1", {"ext/_C.so": broken.extension})
    assert [finding.id for finding in check_pair(environment, environment).findings] == ["symbols-missing"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "_C.so").write_bytes(broken.extension.read_bytes())
    assert [finding.id for finding in check_pair(str(tmp_path / "folder"), str(site_dir)).findings] == [
        "symbols-missing"
    ]


def test_libraries_of_one_package_may_serve_each_other(tmp_path: Path) -> None:
    # fbgemm_gpu 1.1.0: the first one loaded offers its symbols to the next.
    pair = Pair(tmp_path, user=USER.replace("check(", "own("))
    assert pair.check() == ["symbols-missing"]
    sibling = compile_library(tmp_path, "libown.so", "namespace c10 { int own(int value) { return value; } }")
    content = {"ext/_C.so": pair.extension.read_bytes(), "ext/libown.so": sibling.read_bytes()}
    (tmp_path / "both.whl").write_bytes(pack_wheel(content))
    assert check_pair(str(tmp_path / "both.whl"), str(tmp_path / "torch.whl")).findings == ()


def test_what_is_no_torch_or_no_place_is_a_usage_error(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.check()
    with pytest.raises(UsageError, match="no torch in"):
        check_pair(str(pair.extension), str(tmp_path / "nvidia"))
    with pytest.raises(UsageError, match="no environment, folder or wheel"):
        check_pair(str(tmp_path / "absent.whl"), str(tmp_path / "torch.whl"))
    (tmp_path / "bad.whl").write_bytes(b"no wheel")
    with pytest.raises(DamagedError, match=r"^bad\.whl is damaged"):
        check_pair(str(tmp_path / "bad.whl"), str(tmp_path / "torch.whl"))
