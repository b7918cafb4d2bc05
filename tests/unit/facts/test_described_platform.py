"""The description of a Python on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install.errors import TargetError, UsageError
from pascal_install.facts.tags import describe_platform


@pytest.mark.parametrize(
    ("platform", "version", "abi", "best", "python"),
    [
        ("linux_x86_64", "3.12", "", "cp312-cp312-manylinux_2_39_x86_64", "3.12"),
        ("linux-x86_64", "3.12.4", "", "cp312-cp312-manylinux_2_39_x86_64", "3.12.4"),
        ("linux_aarch64", "3.10", "cp310", "cp310-cp310-manylinux_2_39_aarch64", "3.10"),
        ("manylinux_2_28_x86_64", "3.13t", "", "cp313-cp313t-manylinux_2_28_x86_64", "3.13"),
        ("manylinux2014_x86_64", "", "cp313t", "cp313-cp313t-manylinux_2_17_x86_64", "3.13"),
        ("win_amd64", "3.11", "", "cp311-cp311-win_amd64", "3.11"),
        ("WIN-AMD64", "3.13", "cp313t", "cp313-cp313t-win_amd64", "3.13"),
    ],
)
def test_forms(platform: str, version: str, abi: str, best: str, python: str) -> None:
    target = describe_platform(platform, version, abi)
    assert (target.best_tag, target.python, target.executable) == (best, python, "")
    assert "py3-none-any" in target.tags


def test_glibc_bounds_the_manylinux_tags() -> None:
    tags = describe_platform("manylinux_2_28_x86_64", "3.12").tags
    assert {"cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux2014_x86_64"} <= set(tags)
    assert "cp312-cp312-linux_x86_64" in tags
    assert not any("manylinux_2_29_" in tag for tag in tags)


def test_this_machine_with_another_python() -> None:
    assert describe_platform("", "3.9").libc.startswith("glibc 2.")


def test_the_cache_gives_the_same(tmp_path: Path) -> None:
    first = describe_platform("win_amd64", "3.12", cache_dir=str(tmp_path))
    assert describe_platform("win_amd64", "3.12", cache_dir=str(tmp_path)) == first
    assert describe_platform("win_amd64", "3.13", cache_dir=str(tmp_path)) != first


@pytest.mark.parametrize(
    ("platform", "version", "abi", "code"),
    [
        ("solaris", "3.12", "", "unknown-platform"),
        ("manylinux_2_28", "3.12", "", "unknown-platform"),
        ("manylinux_x_y_x86_64", "3.12", "", "unknown-platform"),
        ("linux_x86_64", "", "", "bad-version"),
        ("linux_x86_64", "3", "", "bad-version"),
        ("linux_x86_64", "3.x", "", "bad-version"),
        ("linux_x86_64", "3.12t", "", "bad-version"),
        ("linux_x86_64", "3.12", "cp311", "bad-version"),
        ("linux_x86_64", "3.13t", "cp313", "bad-version"),
        ("linux_x86_64", "", "abi3", "bad-version"),
    ],
)
def test_what_cannot_be_read(platform: str, version: str, abi: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe_platform(platform, version, abi)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("platform", "version", "code"),
    [
        ("macosx_14_0_arm64", "3.12", "macos"),
        ("musllinux_1_2_x86_64", "3.12", "musl"),
        ("linux_i686", "3.12", "unsupported-platform"),
        ("linux_x86_64", "3.7", "python-version"),
        ("linux_x86_64", "3.16", "python-version"),
        ("linux_x86_64", "4.0", "python-version"),
    ],
)
def test_machines_that_no_wheel_is_made_for(platform: str, version: str, code: str) -> None:
    with pytest.raises(TargetError) as caught:
        describe_platform(platform, version)
    assert caught.value.code == code
