"""Every fault that a host can play is told as what it is."""

import hashlib
import itertools
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from pascal_install.errors import NetworkError, PascalInstallError, UsageError, VerificationError
from pascal_install.fetch import Fetcher, published
from support.environments import DEAD_PROXY
from support.mirror import PYTORCH, Mirror
from support.mirror_server import GITHUB_CDN
from support.real_names import make_certificate

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 400_000))
SHA256 = hashlib.sha256(BODY).hexdigest()
WHEEL = "whl/cu124/torch-2.6.0+cu124-cp312-cp312-linux_x86_64.whl"
URL = f"https://{PYTORCH}/{WHEEL.replace('+', '%2B')}"


@pytest.fixture
def fetcher(mirror: Mirror) -> Iterator[Fetcher]:
    mirror.add_file(PYTORCH, WHEEL, BODY)
    with Fetcher(mirrors=mirror.mirrors, timeout_s=0.5, deadline_s=3, pause_s=0.01) as one:
        yield one


def failure(fetcher: Fetcher, url: str, path: Path) -> PascalInstallError:
    with pytest.raises(PascalInstallError) as caught:
        fetcher.download(url, str(path), sha256=SHA256)
    assert caught.value.summary
    return caught.value


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("500", "server-error"),
        ("503", "server-error"),
        ("501", "server-error"),
        ("400", "unexpected-answer"),
        ("302", "unexpected-answer"),
        ("401", "auth-needed"),
        ("407", "auth-needed"),
        ("403", "forbidden"),
        ("404", "not-found"),
        ("410", "not-found"),
        ("429", "rate-limited"),
        ("redirect-loop", "redirect-loop"),
        ("login-page", "login-page"),
        ("reset", "not-reachable"),
        ("hang", "timeout"),
    ],
)
def test_a_fault_that_stays_is_named(fault: str, code: str, mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault(fault, times=None)
    error = failure(fetcher, URL, tmp_path / "file")
    assert isinstance(error, NetworkError)
    assert (error.code, bool(error.hints)) == (code, code != "unexpected-answer")
    assert "127.0.0.1" in error.summary
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "429", "reset", "hang", "cut", "stall"])
def test_a_fault_that_passes_is_overcome(fault: str, mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault(fault, "*.whl", times=2)
    assert fetcher.download(URL, str(tmp_path / "file"), sha256=SHA256) == SHA256
    assert (tmp_path / "file").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("fault", ["403", "404", "401", "login-page", "redirect-loop"])
def test_a_fault_that_will_not_pass_is_asked_once(fault: str, mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault(fault, times=None)
    failure(fetcher, URL, tmp_path / "file")
    assert len(mirror.requests) == 1


def test_retry_after_is_kept(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("429", headers={"Retry-After": "2"}, times=None)
    error = failure(fetcher, URL, tmp_path / "file")
    assert error.code == "rate-limited"
    assert "for 2 s" in error.summary
    assert len(mirror.requests) == 2  # at 0 and 2 s: a third would come after the deadline of 3 s


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("429", headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, times=None)
    assert failure(fetcher, URL, tmp_path / "file").code == "rate-limited"
    assert len(mirror.requests) == 1


def test_an_exhausted_quota_is_no_missing_file(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.fault("403", headers={"X-RateLimit-Remaining": "0"})
    with pytest.raises(NetworkError) as caught:
        fetcher.get(URL)
    assert caught.value.code == "rate-limited"


def test_a_transfer_that_is_always_cut_says_how_far_it_came(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("cut", "*.whl", times=None)
    mirror.fault("no-ranges", "*.whl", times=None)
    error = failure(fetcher, URL, tmp_path / "file")
    assert error.code == "cut-off"


def test_a_cut_without_an_announced_length_is_found_by_the_hash(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    mirror.fault("cut-unannounced", "*.whl", times=1)
    error = failure(fetcher, URL, tmp_path / "file")
    assert isinstance(error, VerificationError)
    assert fetcher.download(URL, str(tmp_path / "file"), sha256=SHA256) == SHA256


def test_a_flipped_byte_is_a_verification_error_that_names_all_three(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    mirror.fault("flip", "*.whl", times=None)
    error = failure(fetcher, URL, tmp_path / "file")
    found = BODY[:200_000] + bytes([BODY[200_000] ^ 0xFF]) + BODY[200_001:]
    assert isinstance(error, VerificationError)
    assert error.code == "hash-mismatch"
    assert SHA256 in error.cause
    assert hashlib.sha256(found).hexdigest() in error.cause
    assert f"{mirror.base(PYTORCH)}/{WHEEL.replace('+', '%2B')}" in error.summary
    assert list(tmp_path.iterdir()) == []


def test_another_size_than_the_recorded_one_is_found_before_the_body(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    with pytest.raises(VerificationError) as caught:
        fetcher.download(URL, str(tmp_path / "file"), sha256=SHA256, size_bytes=7)
    assert caught.value.code == "size-mismatch"
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_recorded_size_is_not_written(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("cut-unannounced", "*.whl", times=None)
    with pytest.raises(NetworkError) as caught:
        fetcher.download(URL, str(tmp_path / "file"), size_bytes=1000)
    assert caught.value.code == "too-large"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_nobody_knows_is_not_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    with Fetcher(timeout_s=5, deadline_s=0.1) as fetcher:
        error = failure(fetcher, "https://nowhere.invalid/file.whl", tmp_path / "file")
    assert (error.code, "nowhere.invalid" in error.summary) == ("not-reachable", True)


def test_a_port_where_nobody_listens_is_not_reachable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with Fetcher(deadline_s=0.1) as fetcher:
            error = failure(fetcher, f"http://127.0.0.1:{taken.getsockname()[1]}/file.whl", tmp_path / "file")
    assert (error.code, error.cause) == ("not-reachable", "Connection refused")


def test_a_dead_proxy_is_told_as_the_proxy(tmp_path: Path) -> None:
    with Fetcher(proxy=DEAD_PROXY.replace("//", "//me:secret@")) as fetcher:
        error = failure(fetcher, "https://download.pytorch.org/file.whl", tmp_path / "file")
    assert error.code == "proxy"
    assert "secret" not in f"{error.summary} {error.cause} {error.hints}"


def test_a_proxy_that_refuses_is_told_as_the_proxy(mirror: Mirror, tmp_path: Path) -> None:
    with Fetcher(proxy=mirror.url) as fetcher:
        error = failure(fetcher, "https://download.pytorch.org/file.whl", tmp_path / "file")
    assert (error.code, "403" in error.cause) == ("proxy", True)


def test_a_certificate_of_nobody_is_a_tls_fault_and_a_given_bundle_mends_it(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    with Mirror(certificate=str(certificate.server)) as server:
        server.add_file(PYTORCH, WHEEL, BODY)
        url = f"{server.base(PYTORCH)}/{WHEEL}"
        with Fetcher(cert=ssl.get_default_verify_paths().cafile or "") as fetcher:
            error = failure(fetcher, url, tmp_path / "file")
        assert (error.code, error.cause) == ("tls", "unable to get local issuer certificate")
        assert "--cert" in error.hints[0]
        with Fetcher(cert=str(certificate.bundle)) as fetcher:
            assert fetcher.download(url, str(tmp_path / "file"), sha256=SHA256) == SHA256
        with Fetcher(trusted_hosts=["127.0.0.1"]) as fetcher:
            assert published(fetcher, url)


def test_a_certificate_file_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no certificate file /nowhere"):
        Fetcher(cert="/nowhere")


def test_offline_asks_nobody(mirror: Mirror, tmp_path: Path) -> None:
    with Fetcher(mirrors=mirror.mirrors, offline=True) as fetcher:
        assert failure(fetcher, URL, tmp_path / "file").code == "offline"
    assert mirror.requests == ()


def test_published_tells_missing_files_from_faults(mirror: Mirror, fetcher: Fetcher) -> None:
    assert published(fetcher, URL)
    assert not published(fetcher, URL.replace("cu124", "cu999"))  # 403, as the object store answers
    mirror.fault("404")
    assert not published(fetcher, URL)
    github = mirror.add_release("owner/project", "v1", "one-1-py3-none-any.whl", BODY)
    assert published(fetcher, github)
    assert not published(fetcher, github.replace("one-1", "two-1"))
    mirror.fault("403", f"{GITHUB_CDN}/*")
    with pytest.raises(NetworkError, match="refuses"):
        published(fetcher, github)
    mirror.fault("login-page")
    with pytest.raises(NetworkError, match="web page instead"):
        published(fetcher, URL)
    mirror.fault("503", times=None)
    with pytest.raises(NetworkError, match="failed to serve"):
        published(fetcher, URL)


def test_a_host_without_head_is_asked_for_one_byte(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.fault("no-head", times=None)
    found = fetcher.head(URL)
    assert (found.size_bytes, found.accepts_ranges) == (len(BODY), True)
    assert [(one.method, one.range) for one in mirror.requests] == [("HEAD", ""), ("GET", "bytes=0-0")]


def test_the_end_of_a_file_comes_with_its_size(mirror: Mirror, fetcher: Fetcher) -> None:
    found, content = fetcher.get_end(URL, 1000)
    assert (found.size_bytes, content) == (len(BODY), BODY[-1000:])
    assert fetcher.get_end(URL, len(BODY) + 10)[1] == BODY
    assert [(one.method, one.range) for one in mirror.requests[:1]] == [("GET", "bytes=-1000")]


@pytest.mark.parametrize(("fault", "ranges", "requests"), [("no-ends", True, 2), ("no-ranges", False, 1)])
def test_a_host_that_gives_no_ends_tells_the_size_all_the_same(
    fault: str, ranges: bool, requests: int, mirror: Mirror, fetcher: Fetcher
) -> None:
    mirror.fault(fault, times=None)
    found, content = fetcher.get_end(URL, 1000)
    assert (found.size_bytes, found.accepts_ranges, content) == (len(BODY), ranges, b"")
    assert len(mirror.requests) == requests


def test_an_end_that_is_cut_is_asked_for_again(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.fault("cut", times=1)
    assert fetcher.get_end(URL, 1000)[1] == BODY[-1000:]
    assert len(mirror.requests) == 2
