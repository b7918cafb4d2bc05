"""Downloads: resumed where they were cut, whole or not there."""

import errno
import hashlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pascal_install.errors import InstallerError, NetworkError
from pascal_install.fetch import Fetcher, Stopped
from pascal_install.fetch.disk import writing
from support.environments import clean_environ
from support.mirror import PYTORCH, Mirror

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 1_000_000))
SHA256 = hashlib.sha256(BODY).hexdigest()
URL = f"https://{PYTORCH}/whl/one.whl"


@pytest.fixture
def fetcher(mirror: Mirror) -> Iterator[Fetcher]:
    mirror.add_file(PYTORCH, "whl/one.whl", BODY)
    with Fetcher(mirrors=mirror.mirrors, timeout_s=0.5, deadline_s=3, pause_s=0.01) as one:
        yield one


def ranges(mirror: Mirror) -> list[str]:
    return [request.range for request in mirror.requests]


def test_a_cut_download_goes_on_where_it_stopped(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("cut", times=2)
    told: list[int] = []
    assert fetcher.download(URL, str(tmp_path / "one"), sha256=SHA256, progress=told.append) == SHA256
    assert (tmp_path / "one").read_bytes() == BODY
    assert ranges(mirror) == ["", "bytes=500000-", "bytes=750000-"]
    assert sum(told) == len(BODY)


def test_without_a_known_hash_the_version_of_the_file_is_compared(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    mirror.fault("cut", times=1)
    assert fetcher.download(URL, str(tmp_path / "one")) == SHA256
    assert ranges(mirror) == ["", "bytes=500000-"]


def test_a_file_that_changed_between_the_tries_is_fetched_anew(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    stop_after(fetcher, tmp_path / "one", 300_000)
    other = BODY[::-1]
    mirror.add_file(PYTORCH, "whl/one.whl", other)
    told: list[int] = []
    found = fetcher.download(URL, str(tmp_path / "one"), progress=told.append)
    assert found == hashlib.sha256(other).hexdigest()
    assert (tmp_path / "one").read_bytes() == other
    assert sum(told) == len(other)


@pytest.mark.parametrize("sha256", [SHA256, ""])
def test_what_a_stop_leaves_is_taken_up(sha256: str, mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    stop_after(fetcher, tmp_path / "one", 300_000, sha256)
    begun = (tmp_path / "one.part").stat().st_size
    assert begun >= 300_000
    mirror.forget()
    fetcher.download(URL, str(tmp_path / "one"), sha256=sha256)
    assert ranges(mirror) == [f"bytes={begun}-"]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_what_a_kill_leaves_is_not_trusted_without_a_hash(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(b"?" * 1000)
    assert fetcher.download(URL, str(tmp_path / "one")) == SHA256
    assert ranges(mirror) == [""]


def test_a_spoilt_rest_of_an_earlier_run_is_fetched_anew(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(b"?" * 1000)
    assert fetcher.download(URL, str(tmp_path / "one"), sha256=SHA256) == SHA256
    assert ranges(mirror) == ["bytes=1000-", ""]


@pytest.mark.parametrize("size_bytes", [None, len(BODY)])
def test_a_part_that_is_whole_already_is_only_checked(
    size_bytes: int | None, mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    (tmp_path / "one.part").write_bytes(BODY)
    assert fetcher.download(URL, str(tmp_path / "one"), sha256=SHA256, size_bytes=size_bytes) == SHA256
    assert [request.status for request in mirror.requests] == ([416] if size_bytes is None else [])


def test_a_part_that_is_longer_than_the_file_is_thrown_away(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(BODY + b"more")
    assert fetcher.download(URL, str(tmp_path / "one"), sha256=SHA256) == SHA256


def test_a_host_without_ranges_starts_again(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("cut", times=1)
    mirror.fault("no-ranges", times=None)
    assert fetcher.download(URL, str(tmp_path / "one"), sha256=SHA256) == SHA256


def test_a_login_page_in_the_middle_does_not_cost_what_is_there(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    stop_after(fetcher, tmp_path / "one", 300_000, SHA256)
    mirror.fault("login-page")
    with pytest.raises(NetworkError, match="web page"):
        fetcher.download(URL, str(tmp_path / "one"), sha256=SHA256)
    assert (tmp_path / "one.part").stat().st_size >= 300_000


def test_a_signed_address_that_expired_is_asked_for_again(mirror: Mirror, tmp_path: Path) -> None:
    url = mirror.add_release("owner/project", "v1", "one+cu124.whl", BODY)
    mirror.fault("cut", "release-assets*")
    expire = threading.Event()

    def progress(_: int) -> None:
        if not expire.is_set():
            expire.set()
            mirror.expire_signatures()

    with Fetcher(mirrors=mirror.mirrors, timeout_s=0.5, deadline_s=3, pause_s=0.01) as fetcher:
        assert fetcher.download(url, str(tmp_path / "one"), progress=progress) == SHA256
    assert [(one.host, one.status) for one in mirror.requests] == [
        ("github.com", 302),
        ("release-assets.githubusercontent.com", 200),
        ("github.com", 302),
        ("release-assets.githubusercontent.com", 206),
    ]


def test_progress_that_gets_on_may_take_longer_than_the_deadline(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add_file(PYTORCH, "whl/one.whl", BODY * 8)
    mirror.fault("slow", times=None)  # 100 pieces of 80 kB, 20 ms apart: two seconds in all
    with Fetcher(mirrors=mirror.mirrors, timeout_s=5, deadline_s=0.5, pause_s=0.01) as fetcher:
        assert fetcher.download(URL, str(tmp_path / "one")) == hashlib.sha256(BODY * 8).hexdigest()


@pytest.mark.skipif(not os.path.exists("/proc/self/mounts"), reason="mounts as Linux has them")
def test_a_full_disk_is_told_with_numbers_and_not_kept_full(mirror: Mirror, tmp_path: Path) -> None:
    """A file system of 300 kB, in a mount namespace of its own."""
    mirror.add_file(PYTORCH, "whl/one.whl", BODY)
    program = f"""
import os
from pascal_install.errors import InstallerError
from pascal_install.fetch import Fetcher
try:
    Fetcher(mirrors={mirror.mirrors!r}).download({URL!r}, {str(tmp_path / "full" / "one")!r})
except InstallerError as error:
    print(error.exit_code, error.code, error.summary, error.cause, os.listdir({str(tmp_path / "full")!r}), sep="|")
"""
    (tmp_path / "full").mkdir()
    mount = f'mount -t tmpfs -o size=300k none {tmp_path / "full"} && exec {sys.executable} -c "$PROGRAM"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount],
        env=clean_environ(PROGRAM=program, PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("may not mount here")
    code, name, summary, cause, left = done.stdout.strip().split("|")
    assert (code, name, left) == ("8", "disk-full", "[]"), done.stderr
    assert str(tmp_path / "full" / "one") in summary
    assert cause.startswith("needed 0.")
    assert "free 0." in cause


def test_a_quota_counts_as_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught, writing(str(tmp_path / "one")):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    assert caught.value.code == "disk-full"


def test_a_folder_that_is_not_there_is_told(fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(InstallerError, match="cannot write"):
        fetcher.download(URL, str(tmp_path / "nowhere" / "one"))


def stop_after(fetcher: Fetcher, path: Path, count: int, sha256: str = "") -> None:
    stop, told = threading.Event(), [0]

    def progress(more: int) -> None:
        told[0] += more
        if told[0] >= count:
            stop.set()

    with pytest.raises(Stopped):
        fetcher.download(URL, str(path), sha256=sha256, progress=progress, stop=stop)
