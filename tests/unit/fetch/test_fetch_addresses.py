"""Where a request goes, with whose password, and which addresses are refused."""

import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest

from pascal_install.errors import NetworkError, UsageError
from pascal_install.fetch import Fetcher
from support.mirror import GITHUB, PYPI, PYTORCH, Mirror

BODY = b"PK" + bytes(5000)
SHA256 = hashlib.sha256(BODY).hexdigest()
TOKEN = "Basic bWU6czNjcmV0QA=="  # me:s3cret@


def with_password(url: str) -> str:
    return url.replace("://", "://me:s3cret%40@")


def test_a_password_in_the_address_is_used_and_shown_nowhere(mirror: Mirror) -> None:
    mirror.require_login("pypi.test/*", "me", "s3cret@")
    mirror.add_file(PYPI, "private/page", BODY)
    with Fetcher(pause_s=0.01) as fetcher:
        page = fetcher.get(with_password(f"{mirror.base(PYPI)}/private/page"))
        assert (page.content, page.url) == (BODY, f"{mirror.base(PYPI)}/private/page")
        with pytest.raises(NetworkError) as caught:
            fetcher.get(with_password(f"{mirror.base(PYPI)}/private/nothing?sig=s3cret"))
    assert "s3cret" not in repr((caught.value, caught.value.summary, caught.value.cause, caught.value.hints))


def test_links_of_the_same_host_work_with_the_password_of_their_page(mirror: Mirror) -> None:
    mirror.require_login("pypi.test/*", "me", "s3cret@")
    mirror.add_file(PYPI, "simple/page", b"<a href=../file.whl>")
    mirror.add_file(PYPI, "file.whl", BODY)
    with Fetcher() as fetcher:
        fetcher.get(with_password(f"{mirror.base(PYPI)}/simple/page"))
        assert fetcher.head(f"{mirror.base(PYPI)}/file.whl").size_bytes == len(BODY)


def test_netrc_is_read(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.require_login("*", "me", "s3cret@")
    mirror.add_file(PYPI, "file.whl", BODY)
    netrc = Path.home() / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret@\n", encoding="utf-8")
    netrc.chmod(0o600)
    with Fetcher() as fetcher:
        assert fetcher.head(f"{mirror.base(PYPI)}/file.whl").size_bytes == len(BODY)


def test_passwords_and_tokens_stay_with_their_host(mirror: Mirror) -> None:
    """Another port is another host: the redirect leads to a second server."""
    with Mirror() as other:
        other.add_file(PYPI, "file.whl", BODY)
        mirror.fault("302", "*", headers={"Location": f"{other.base(PYPI)}/file.whl"}, times=None)
        with Fetcher() as fetcher:
            fetcher.get(with_password(f"{mirror.base(PYPI)}/file.whl"))
            fetcher.get(f"{mirror.base(PYPI)}/other.whl", headers={"Authorization": "Bearer s3cret"})
        assert [one.authorization for one in mirror.requests] == [TOKEN, "Bearer s3cret"]
        assert [one.authorization for one in other.requests] == ["", ""]


def test_cookies_are_not_kept(mirror: Mirror) -> None:
    mirror.fault("503", headers={"Set-Cookie": "session=s3cret"})
    mirror.add_file(PYPI, "file.whl", BODY)
    with Fetcher(pause_s=0.01) as fetcher:
        fetcher.get(f"{mirror.base(PYPI)}/file.whl")
        assert not list(fetcher._transport._session.cookies)


def test_the_longest_mirror_wins_and_redirects_are_mirrored_too(tmp_path: Path) -> None:
    with Mirror(real_links=True) as hosts:
        url = hosts.add_release("owner/project", "v1", "one+cu124.whl", BODY)
        hosts.add_file("special", "whl/cu124/one.whl", BODY)
        special = (f"https://{PYTORCH}/whl/cu124", f"{hosts.base('special')}/whl/cu124")
        with Fetcher(mirrors=(*hosts.mirrors, special)) as fetcher:
            assert fetcher.download(url, str(tmp_path / "one")) == SHA256
            assert fetcher.head(f"https://{PYTORCH}/whl/cu124/one.whl").size_bytes == len(BODY)
        assert hosts.requests[0].host == GITHUB


@pytest.mark.parametrize(
    "url",
    [
        "http://download.pytorch.org/whl/one.whl",
        "file:///etc/passwd",
        "ftp://download.pytorch.org/one.whl",
        "git+ssh://git@github.com/owner/project",
        "git+https://github.com/owner/project",
        "data:,x",
        "javascript:alert(1)",
        "//download.pytorch.org/whl",
        "/etc/passwd",
        "-r",
        "",
        "https://",
        "https:///path",
        "https://host:port/",
        "https://ho st/",
        "https://host/\r\nX-Injected: 1",
        "https://host/\x1b[2J",
        "https://[::1/",
    ],
)
def test_other_addresses_are_refused_before_anything_is_asked(url: str, tmp_path: Path) -> None:
    with Fetcher() as fetcher:
        for ask in (fetcher.head, fetcher.get, lambda one: fetcher.download(one, str(tmp_path / "x"))):
            with pytest.raises(UsageError) as caught:
                ask(url)
            assert "\x1b" not in caught.value.summary
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://example.org/x", "ftp://example.org/x", "https://[::1/"]
)
def test_a_redirect_does_not_lead_to_files_or_out_of_https(target: str, mirror: Mirror, tmp_path: Path) -> None:
    mirror.fault("302", headers={"Location": target})
    own = ("https://own.example", tmp_path.as_uri())
    with Fetcher(mirrors=[*mirror.mirrors, own]) as fetcher, pytest.raises(NetworkError) as caught:
        fetcher.get(f"https://{PYTORCH}/page")
    assert caught.value.code == "bad-redirect"


def test_a_redirect_does_not_lead_into_a_folder_of_ours(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(BODY)
    mirror.fault("302", headers={"Location": (tmp_path / "secret").as_uri()})
    own = ("https://own.example", tmp_path.as_uri())
    with Fetcher(mirrors=[*mirror.mirrors, own]) as fetcher, pytest.raises(NetworkError) as caught:
        fetcher.get(f"https://{PYTORCH}/page")
    assert caught.value.code == "bad-redirect"


def test_a_mirror_may_be_a_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "a mirror"
    (folder / "whl").mkdir(parents=True)
    (folder / "whl" / "one+cu124.whl").write_bytes(BODY)
    (folder / "whl" / "index.html").write_bytes(b"<a href=one>")
    (tmp_path / "secret").write_bytes(BODY)
    with Fetcher(mirrors=[(f"https://{PYTORCH}", folder.as_uri())]) as fetcher:
        base = f"https://{PYTORCH}/whl"
        assert fetcher.download(f"{base}/one%2Bcu124.whl", str(tmp_path / "got"), sha256=SHA256) == SHA256
        assert fetcher.head(f"{base}/one+cu124.whl").size_bytes == len(BODY)
        assert fetcher.get_range(f"{base}/one+cu124.whl", 0, 2) == b"PK"
        assert fetcher.get(f"{base}/").content == b"<a href=one>"
        with pytest.raises(NetworkError, match="does not have"):
            fetcher.head(f"{base}/two.whl")
        for way_out in ("../../secret", "%2e%2e/%2e%2e/secret", "..%2f..%2fsecret"):
            with pytest.raises(UsageError):
                fetcher.get(f"{base}/{way_out}")


def test_a_folder_of_the_persons_own_settings_may_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "simple").mkdir()
    (tmp_path / "simple" / "index.html").write_bytes(b"here")
    url = (tmp_path / "simple").as_uri()
    with Fetcher() as fetcher, pytest.raises(UsageError):
        fetcher.get(url)
    with Fetcher(mirrors=[(url, url)]) as fetcher:
        assert fetcher.get(f"{url}/").content == b"here"


def test_a_download_from_a_folder_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(BODY)
    (tmp_path / "got.part").write_bytes(BODY[:1000])
    with Fetcher(mirrors=[(tmp_path.as_uri(), tmp_path.as_uri())]) as fetcher:
        assert fetcher.download((tmp_path / "one").as_uri(), str(tmp_path / "got"), sha256=SHA256) == SHA256


def test_plain_http_goes_through_a_proxy_to_a_trusted_host(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.add_file("inner.example", "file.whl", BODY)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, mirror.url)
    with Fetcher(trusted_hosts=["inner.example"]) as fetcher:
        assert fetcher.head("http://inner.example/file.whl").size_bytes == len(BODY)
    with Fetcher() as fetcher, pytest.raises(UsageError, match="plain http"):
        fetcher.head("http://inner.example/file.whl")


def test_a_range_is_exactly_what_was_asked_for(mirror: Mirror) -> None:
    body = bytes(range(256)) * 10
    url = mirror.add_file(PYTORCH, "file.whl", body)
    with Fetcher(mirrors=mirror.mirrors, pause_s=0.01) as fetcher:
        assert fetcher.get_range(url, 100, 300) == body[100:300]
        assert fetcher.get_range(url, 2500, 9999) == body[2500:]
        mirror.fault("cut")
        assert fetcher.get_range(url, 0, 1000) == body[:1000]
        mirror.fault("no-ranges")
        with pytest.raises(NetworkError, match="cannot give a part"):
            fetcher.get_range(url, 0, 1000)
        mirror.fault("login-page")
        with pytest.raises(NetworkError, match="web page"):
            fetcher.get_range(url, 0, 1000)


def test_a_page_is_asked_for_again_only_where_it_changed(mirror: Mirror, tmp_path: Path) -> None:
    url = mirror.add_file(PYTORCH, "page", b"one")
    for expected in (False, True):
        with Fetcher(mirrors=mirror.mirrors, cache_dir=str(tmp_path)) as fetcher:
            page = fetcher.get(url)
        assert (page.content, page.from_cache) == (b"one", expected)
    assert [request.status for request in mirror.requests] == [200, 304]
    mirror.add_file(PYTORCH, "page", b"two")
    with Fetcher(mirrors=mirror.mirrors, cache_dir=str(tmp_path)) as fetcher:
        assert fetcher.get(url).content == b"two"
        assert fetcher.get(url, headers={"Accept": "application/json"}).from_cache is False


def test_a_spoilt_page_in_the_cache_is_no_page(mirror: Mirror, tmp_path: Path) -> None:
    url = mirror.add_file(PYTORCH, "page", b"one")
    for spoil in (b"", b"{}\nx", b"[]\n", b'{"sha256": "0"}\none', b"\xff\xfe"):
        with Fetcher(mirrors=mirror.mirrors, cache_dir=str(tmp_path)) as fetcher:
            page = fetcher.get(url)
            assert (page.content, page.from_cache) == (b"one", False)
        (kept,) = (tmp_path / "pages").iterdir()
        kept.write_bytes(spoil)


def test_a_page_behind_a_login_leaves_no_password_in_the_cache(mirror: Mirror, tmp_path: Path) -> None:
    mirror.require_login("*", "me", "s3cret@")
    mirror.add_file(PYPI, "page", b"one")
    with Fetcher(cache_dir=str(tmp_path)) as fetcher:
        fetcher.get(with_password(f"{mirror.base(PYPI)}/page?token=t0ken"))
    (kept,) = (tmp_path / "pages").iterdir()
    assert b"s3cret" not in kept.read_bytes()
    assert b"t0ken" not in kept.read_bytes()
    assert os.stat(tmp_path / "pages").st_mode & 0o077 == 0


def test_a_page_that_never_ends_is_not_taken_into_memory(mirror: Mirror) -> None:
    url = mirror.add_file(PYTORCH, "page", b"x" * 20_000_000)
    tracemalloc.start()
    with Fetcher(mirrors=mirror.mirrors) as fetcher, pytest.raises(NetworkError) as caught:
        fetcher.get(url, max_bytes=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "too-large"
    assert peak < 5_000_000


def test_html_where_it_is_not_wanted_is_a_login_page(mirror: Mirror) -> None:
    url = mirror.add_file(PYTORCH, "data.json", b"{}")
    mirror.fault("login-page")
    with Fetcher(mirrors=mirror.mirrors) as fetcher:
        with pytest.raises(NetworkError) as caught:
            fetcher.get(url, html=False)
        assert caught.value.code == "login-page"
        assert fetcher.get(url, html=False).content == b"{}"
