"""Wheels on a server: what is fetched, and what is said when that cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.binary.source import DamagedError
from pascal_install.cli.main import main
from pascal_install.errors import NetworkError
from pascal_install.fetch import Fetcher
from pascal_install.fetch.fetcher import RemoteFile
from pascal_install.inspection.remote import inspect_url, list_url
from pascal_install.inspection.subject import wheel_code
from pascal_install.inspection.wheel import inspect_wheel
from pascal_install.model.cuda import ComputeCapability
from support.device_code import CUBIN, incompressible, pack_elf, pack_entry, pack_fatbin, pack_wheel
from support.mirror import Mirror

HOST, NAME = "download.pytorch.org", "whl/torch-2.6.0-cp312-cp312-linux_x86_64.whl"
METADATA = b"Metadata-Version: 2.1\nName: torch\nVersion: 2.6.0\n"
PASCAL = ComputeCapability(6, 1)


def library(number_of_fatbins: int, arch: int = 60) -> bytes:
    """Make a library of 8 MB and more whose payloads do not deflate, so that it takes that much to fetch."""
    head = pack_fatbin(pack_entry(CUBIN, arch, payload=64), pack_entry(CUBIN, 70, payload=1 << 20))[: -(1 << 20)]
    fatbins = b"".join(head + incompressible((1 << 20) + number)[: 1 << 20] for number in range(number_of_fatbins))
    return pack_elf({".nv_fatbin": fatbins})


@pytest.fixture(scope="module")
def wheel() -> bytes:
    members = {
        "torch-2.6.0.dist-info/METADATA": METADATA,
        "torch/data.bin": incompressible(3 << 20),
        "torch/lib/libtorch_cuda.so": library(20),
        "torch/lib/libother.so": library(10),
        **{f"torch/module_{number}.py": b"" for number in range(300)},
    }
    return pack_wheel(members)


class Counted:
    """The real fetcher, with what it fetches written down."""

    def __init__(self, mirror: Mirror) -> None:
        self.fetcher = Fetcher(mirrors=mirror.mirrors, pause_s=0.01, timeout_s=5)
        self.ranges: list[tuple[int, int]] = []

    def get_end(self, url: str, length: int) -> tuple[RemoteFile, bytes]:
        found, content = self.fetcher.get_end(url, length)
        self.ranges.append(((found.size_bytes or 0) - len(content), found.size_bytes or 0))
        return found, content

    def get_range(self, url: str, start: int, end: int) -> bytes:
        self.ranges.append((start, end))
        return self.fetcher.get_range(url, start, end)

    @property
    def fetched(self) -> int:
        return sum(end - start for start, end in self.ranges)


@pytest.fixture
def served(mirror: Mirror, wheel: bytes) -> tuple[str, Counted]:
    return mirror.add_file(HOST, NAME, wheel), Counted(mirror)


def test_list_and_metadata_take_three_requests(served: tuple[str, Counted]) -> None:
    url, fetcher = served
    listing = list_url(url, fetcher)
    assert listing.metadata == METADATA
    assert listing.subject == "torch-2.6.0-cp312-cp312-linux_x86_64.whl"
    assert len(listing.members) == 304
    assert listing.requests == len(fetcher.ranges) == 2
    assert listing.fetched_bytes == fetcher.fetched < 100_000


def test_the_full_answer_fetches_the_libraries_and_nothing_else(served: tuple[str, Counted], wheel: bytes) -> None:
    url, fetcher = served
    steps: list[tuple[int, int]] = []
    report = inspect_url(url, fetcher, progress=lambda done, total: steps.append((done, total)))
    assert report.complete
    assert {binary.member: binary.library.nv_fatbin.fatbins for binary in report.binaries} == {
        "torch/lib/libtorch_cuda.so": 20,
        "torch/lib/libother.so": 10,
    }
    data_at = wheel.index(b"torch/data.bin")
    assert not any(start < data_at + (2 << 20) < end for start, end in fetcher.ranges)
    assert fetcher.fetched < len(wheel) - (2 << 20)
    assert steps[0][0] == 0
    assert steps[-1][1] >= steps[-1][0] >= 30 << 20
    assert steps == sorted(steps)


def test_quick_fetches_little_and_says_that_it_is_not_all(served: tuple[str, Counted], wheel: bytes) -> None:
    url, fetcher = served
    report = inspect_url(url, fetcher, [PASCAL], quick=True)
    assert not report.complete
    assert [binary.member for binary in report.binaries] == ["torch/lib/libtorch_cuda.so"]
    assert fetcher.fetched < len(wheel) / 10


def test_a_quick_no_needs_the_whole(served: tuple[str, Counted]) -> None:
    url, fetcher = served
    report = inspect_url(url, fetcher, [ComputeCapability(5, 0)], quick=True)
    assert report.complete
    assert fetcher.fetched > 30 << 20


def test_afar_and_on_disk_it_is_the_same(served: tuple[str, Counted], wheel: bytes, tmp_path: Path) -> None:
    url, fetcher = served
    path = str(tmp_path / "torch-2.6.0-cp312-cp312-linux_x86_64.whl")
    Path(path).write_bytes(wheel)
    assert wheel_code(url, fetcher) == wheel_code(path)
    assert [str(target) for target in wheel_code(path).architectures] == ["sm_60", "sm_70"]
    assert inspect_url(url, fetcher).parts == inspect_wheel(path).parts


def test_a_server_without_ranges_is_said_so(mirror: Mirror, served: tuple[str, Counted]) -> None:
    url, fetcher = served
    mirror.fault("no-ranges", times=None)
    with pytest.raises(NetworkError) as caught:
        inspect_url(url, fetcher)
    assert caught.value.code == "no-ranges"
    assert fetcher.fetched == 0


def test_a_server_without_ends_takes_more_requests(mirror: Mirror, served: tuple[str, Counted]) -> None:
    url, fetcher = served
    mirror.fault("no-ends", times=None)
    listing = list_url(url, fetcher)
    assert (listing.metadata, listing.requests) == (METADATA, 4)


def test_a_wheel_with_a_large_directory(mirror: Mirror) -> None:
    members = {f"x/some/where/deep/module_number_{number}.py": b"" for number in range(2000)}
    url = mirror.add_file(HOST, NAME, pack_wheel({"x-1.dist-info/METADATA": METADATA, **members}))
    listing = list_url(url, Counted(mirror))
    assert (listing.requests, len(listing.members), listing.metadata) == (3, 2001, METADATA)


def test_no_wheel_is_damage_that_names_the_file_only(mirror: Mirror) -> None:
    url = mirror.add_file(HOST, NAME, b"<html>not a wheel</html>" * 100)
    with pytest.raises(DamagedError, match=r"^torch-2\.6\.0-cp312-cp312-linux_x86_64\.whl is damaged at offset"):
        inspect_url(url, Counted(mirror))
    with pytest.raises(DamagedError, match="is damaged at offset"):
        list_url(url, Counted(mirror))


@pytest.mark.parametrize("extra", [[], ["--quick"]])
def test_the_command_says_beforehand_how_much_it_fetches(
    extra: list[str], served: tuple[str, Counted], mirror: Mirror, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["inspect", served[0], "--gpu", "6.1", *mirror.options, *extra]
    assert main(arguments, {}) == 0
    out, err = capsys.readouterr()
    assert "sm_61: yes, cubin sm_60 in torch/lib/libtorch_cuda.so" in out
    told, *_, last = err.splitlines()
    assert told == "torch-2.6.0-cp312-cp312-linux_x86_64.whl: at most 31.5 MB to fetch"
    assert last.startswith("fetched 1 file, ")
    assert main([*arguments, "--quiet"], {}) == 0
    assert capsys.readouterr().err == ""
