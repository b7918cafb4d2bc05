"""Files onto the disk: shared, resumed, several at a time, from the next host where one fails."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pascal_install.errors import InstallerError, NetworkError, PascalInstallError, VerificationError
from pascal_install.fetch import Fetcher
from pascal_install.installation.prefetch import Fetched, File, prefetch
from support.environments import clean_environ
from support.mirror import PYTORCH, PYTORCH_CDN, Mirror

BODIES = {f"part{number}-1-py3-none-any.whl": bytes([number]) * 400_000 for number in range(6)}


@pytest.fixture
def fetcher(mirror: Mirror) -> Iterator[Fetcher]:
    with Fetcher(mirrors=mirror.mirrors, timeout_s=0.5, deadline_s=2, pause_s=0.01) as one:
        yield one


def publish(mirror: Mirror, *, hashed: bool = True, hosts: tuple[str, ...] = (PYTORCH,)) -> list[File]:
    files = []
    for name, body in BODIES.items():
        urls = [mirror.add_file(host, f"whl/{name}", body) for host in hosts]
        sha256 = hashlib.sha256(body).hexdigest() if hashed else ""
        files.append(File(name, urls, sha256, len(body) if hashed else None))
    return files


def check(fetched: dict[str, Fetched], *, from_cache: bool) -> None:
    assert list(fetched) == list(BODIES)
    for name, one in fetched.items():
        content = Path(one.path).read_bytes()
        assert content == BODIES[name]
        assert (one.sha256, one.from_cache) == (hashlib.sha256(content).hexdigest(), from_cache)


class Recorder:
    """Keeps what a display is told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.announced: list[tuple[int, int, bool]] = []
        self.bytes: dict[str, int] = {}
        self.finished: list[str] = []
        self.notes: list[str] = []
        self.closed = 0

    def announce(self, files: int, total_bytes: int, *, is_exact: bool) -> None:
        self.announced.append((files, total_bytes, is_exact))

    def start(self, name: str, total_bytes: int | None) -> None:
        self.bytes[name] = 0

    def advance(self, name: str, count: int) -> None:
        with self.lock:
            self.bytes[name] += count

    def finish(self, name: str) -> None:
        self.finished.append(name)

    def note(self, words: str) -> None:
        self.notes.append(words)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("hashed", [True, False])
def test_a_second_time_nothing_is_asked(hashed: bool, mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    files = publish(mirror, hashed=hashed)
    check(prefetch(files, str(tmp_path / "wheels"), fetcher), from_cache=False)
    mirror.forget()
    check(prefetch(files, str(tmp_path / "wheels"), fetcher), from_cache=True)
    assert mirror.requests == ()
    assert not list(tmp_path.rglob("*.part*"))


def test_several_files_are_under_way_at_once(mirror: Mirror, tmp_path: Path) -> None:
    """The first answer hangs until a second file is asked for."""
    mirror.fault("hang", times=1)

    def let_go() -> None:
        mirror.wait_for("*", 30)
        while len(mirror.requests) < 2:
            mirror.released.wait(0.01)
        mirror.released.set()

    helper = threading.Thread(target=let_go)
    helper.start()
    with Fetcher(mirrors=mirror.mirrors, timeout_s=60, deadline_s=120, pause_s=0.01) as fetcher:
        check(prefetch(publish(mirror), str(tmp_path), fetcher, workers=2), from_cache=False)
    helper.join()


def test_progress_counts_every_byte_once(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.fault("cut", times=3)
    told = Recorder()
    prefetch(publish(mirror), str(tmp_path), fetcher, progress=told)
    assert told.announced == [(6, 2_400_000, True)]
    assert told.bytes == dict.fromkeys(BODIES, 400_000)
    assert sorted(told.finished) == list(BODIES)
    assert told.closed == 1


@pytest.mark.parametrize("fault", ["503", "404", "flip", "login-page", "reset", "cut"])
def test_the_second_host_serves_where_the_first_fails(
    fault: str, mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    files = publish(mirror, hosts=(PYTORCH, PYTORCH_CDN))
    mirror.fault(fault, f"{PYTORCH}/*", times=None)
    check(prefetch(files, str(tmp_path), fetcher), from_cache=False)


def test_the_second_host_goes_on_where_the_first_was_cut(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    file = publish(mirror, hosts=(PYTORCH, PYTORCH_CDN))[0]
    mirror.fault("cut", f"{PYTORCH}/*", times=1)
    mirror.fault("404", f"{PYTORCH}/*", times=None)
    prefetch([file], str(tmp_path), fetcher)
    assert [(one.host, one.range) for one in mirror.requests if one.status in (200, 206)] == [
        (PYTORCH, ""),
        (PYTORCH_CDN, "bytes=200000-"),
    ]


def test_where_all_hosts_fail_the_first_ones_reason_leads(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    files = publish(mirror, hosts=(PYTORCH, PYTORCH_CDN))
    mirror.fault("404", f"{PYTORCH}/*", times=None)
    mirror.fault("401", f"{PYTORCH_CDN}/*", times=None)
    with pytest.raises(NetworkError) as caught:
        prefetch(files, str(tmp_path), fetcher)
    assert caught.value.code == "not-found"
    assert "wants a user name" in caught.value.cause


def test_one_that_fails_stops_the_others_and_their_bytes_are_kept(mirror: Mirror, tmp_path: Path) -> None:
    files = publish(mirror)
    bad, *others = list(BODIES)
    for name in others:
        mirror.fault("stall", f"*/{name}", times=None)
    mirror.fault("403", f"*/{bad}", times=None)
    with Fetcher(mirrors=mirror.mirrors, timeout_s=1, deadline_s=60, pause_s=0.01) as fetcher:
        with pytest.raises(NetworkError, match="refuses"):
            prefetch(list(reversed(files)), str(tmp_path), fetcher, workers=6)
        mirror.mend()
        mirror.released.set()
        check(prefetch(files, str(tmp_path), fetcher), from_cache=False)
    assert len(mirror.requests) >= 6


def test_a_file_that_was_touched_is_read_again_and_a_changed_one_fetched(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    files = publish(mirror)
    fetched = prefetch(files, str(tmp_path), fetcher)
    touched, changed, *_ = [Path(one.path) for one in fetched.values()]
    os.utime(touched, (1, 1))
    changed.write_bytes(b"spoilt" + changed.read_bytes()[6:])
    mirror.forget()
    again = prefetch(files, str(tmp_path), fetcher)
    assert [one.from_cache for one in again.values()] == [True, False, True, True, True, True]
    assert [Path(path).name for path in mirror.bodies()] == [changed.name]
    check({name: one._replace(from_cache=True) for name, one in again.items()}, from_cache=True)


def test_verify_finds_what_size_and_time_do_not_show(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    files = publish(mirror)
    path = Path(prefetch(files, str(tmp_path), fetcher)[files[0].filename].path)
    facts = path.stat()
    path.write_bytes(b"x" + path.read_bytes()[1:])
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert prefetch(files, str(tmp_path), fetcher)[files[0].filename].from_cache
    assert not prefetch(files, str(tmp_path), fetcher, verify=True)[files[0].filename].from_cache
    check(prefetch(files, str(tmp_path), fetcher, verify=True), from_cache=True)


def test_a_file_without_a_published_hash_must_stay_what_it_was_first(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    file = publish(mirror, hashed=False)[0]
    first = prefetch([file], str(tmp_path), fetcher)[file.filename]
    Path(first.path).unlink()
    assert prefetch([file], str(tmp_path), fetcher)[file.filename].sha256 == first.sha256
    Path(first.path).unlink()
    mirror.add_file(PYTORCH, f"whl/{file.filename}", b"another file")
    with pytest.raises(VerificationError) as caught:
        prefetch([file], str(tmp_path), fetcher)
    assert caught.value.code == "hash-mismatch"
    Path(f"{first.path}.json").unlink()
    assert f"{first.path}.json" in caught.value.hints[0]
    assert not prefetch([file], str(tmp_path), fetcher)[file.filename].from_cache


def test_passwords_and_signatures_do_not_reach_the_disk(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    mirror.add_file(PYTORCH, "whl/one.whl", b"PK")
    played = f"{mirror.base(PYTORCH)}/whl/one.whl?sig=s3cret".replace("://", "://me:s3cret@")
    prefetch([File("one.whl", (played,))], str(tmp_path), fetcher)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert json.loads(next(path for path in kept if path.suffix == ".json").read_text(encoding="utf-8"))["url"]
    assert not [path for path in kept if b"s3cret" in path.read_bytes() or "s3cret" in path.name]


def test_too_little_room_is_found_before_anything_is_asked(mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    file = publish(mirror)[0]._replace(size_bytes=1 << 60)
    with pytest.raises(InstallerError) as caught:
        prefetch([file], str(tmp_path), fetcher)
    assert (caught.value.code, caught.value.cause.startswith("needed 1152921504606.8 MB")) == ("disk-full", True)
    assert mirror.requests == ()


def test_a_cache_that_cannot_be_written_is_replaced_for_this_run(
    mirror: Mirror, fetcher: Fetcher, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    told = Recorder()
    fetched = prefetch(publish(mirror), str(tmp_path / "file" / "wheels"), fetcher, progress=told)
    check(fetched, from_cache=False)
    assert "cannot be written (Not a directory)" in told.notes[0]


@pytest.mark.parametrize("name", ["", "..", "../one.whl", "a/b.whl", "a\\b.whl", "c:one.whl", "a\x1b[2J.whl", "a\nb"])
def test_a_name_that_leads_out_of_the_store_is_refused(name: str, fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(VerificationError):
        prefetch([File(name, ("https://download.pytorch.org/x",))], str(tmp_path), fetcher)


def test_a_hash_that_leads_out_of_the_store_is_refused(fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(VerificationError):
        prefetch([File("a.whl", ("https://download.pytorch.org/x",), "../../x")], str(tmp_path), fetcher)


def test_a_file_without_an_address_is_told(fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(PascalInstallError, match="nobody says where"):
        prefetch([File("a.whl", (), "0" * 64)], str(tmp_path), fetcher)


PROGRAM = textwrap.dedent("""
    import json, sys
    from pascal_install.fetch import Fetcher
    from pascal_install.installation.prefetch import File, prefetch
    directory, mirrors, files = json.loads(sys.argv[1])
    fetcher = Fetcher(mirrors=[tuple(pair) for pair in mirrors], pause_s=0.01)
    found = prefetch([File(*file) for file in files], directory, fetcher)
    print(sum(not one.from_cache for one in found.values()))
""")


def child(mirror: Mirror, files: list[File], directory: Path) -> subprocess.Popen[str]:
    facts = json.dumps([str(directory), mirror.mirrors, files])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, facts],
        env=clean_environ(PYTHONPATH=os.pathsep.join(sys.path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_share_the_work(mirror: Mirror, tmp_path: Path) -> None:
    files = publish(mirror)
    mirror.fault("slow", times=6)
    both = [child(mirror, files, tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(int(out) for out, _ in said) == len(files)
    assert sorted(mirror.bodies()) == sorted(f"whl/{name}" for name in BODIES)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_an_interrupted_run_has_is_taken_up(number: int, mirror: Mirror, fetcher: Fetcher, tmp_path: Path) -> None:
    files = publish(mirror)
    mirror.fault("stall", times=None)
    with child(mirror, files, tmp_path) as process:
        while len([path for path in tmp_path.rglob("*.part") if path.stat().st_size >= 150_000]) < 4:
            mirror.released.wait(0.01)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode != 0
    mirror.mend()
    mirror.released.set()
    mirror.forget()
    check(prefetch(files, str(tmp_path), fetcher), from_cache=False)
    assert len([one for one in mirror.requests if one.range.startswith("bytes=")]) == 4
