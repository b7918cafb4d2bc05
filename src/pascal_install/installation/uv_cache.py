"""Wheels that uv fetches into its own cache, unpacked on the way, instead of from a file that we fetched before.

That spares the second copy of gigabytes. It is only a faster way to the same state: what does not arrive like this, for
whatever reason, is fetched by us, and it is our fetcher that says what is wrong. uv is told what to fetch by a lock of
PEP 751: address and hash of each wheel, nothing to search and nothing to choose, and no direct_url.json in the result.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pascal_install.errors import NetworkError, UsageError, VerificationError
from pascal_install.installation.backend import Uv, connection_environ, uv_lock
from pascal_install.installation.needs import same_version
from pascal_install.installation.preconditions import UNPACKED_FACTOR, check_space, total
from pascal_install.installation.selection import Selected, Work, with_sizes
from pascal_install.installation.transaction import Incoming
from pascal_install.installation.wheelfile import read_unpacked
from pascal_install.model.address import redact
from pascal_install.model.build import UNREAD
from pascal_install.model.interpreter import Target
from pascal_install.report.progress import SILENT, Progress, size_text
from pascal_install.value import NamedTuple

#: 15,000 links take 0.3 s to make and take away there, and 15 s in ext4, which gives each long one a block.
_MEMORY = "/dev/shm"  # noqa: S108 - a folder of a name that cannot be guessed is made in it

#: How the folders of links are called: with the number of the process that made them.
_LINKS = "pascal-install-links-"
_LONGEST_S = 3600.0


class _Offer(NamedTuple):
    """A wheel that uv may fetch."""

    one: Selected
    address: str
    """With the credentials that it takes."""

    @property
    def has_secret(self) -> bool:
        return "@" in urlsplit(self.address).netloc

    def entry(self, address: str) -> str:
        """Give its entry in a lock."""
        file = self.one.file
        version = str(parse_wheel_filename(file.filename)[1])
        wheel = f"{{name = {json.dumps(file.filename)}, url = {json.dumps(address)}, hashes = {{sha256 = "
        return (
            f"[[packages]]\nname = {json.dumps(self.one.name)}\nversion = {json.dumps(version)}\n"
            f"wheels = [{wheel}{json.dumps(file.sha256)}}}}}]\n"
        )


def fetch_with_uv(selected: Sequence[Selected], work: Work, uv: Uv) -> dict[str, Incoming]:
    """Let uv fetch what it can, and give what now lies in its cache by name. Raises InstallerError for too full a disk.

    It gets wheels with a known hash and an http(s) address. Not those of which we have a file, or have begun one; not
    those whose device code must be read first; and none that is installed and broken: the files there may be links
    into uv's cache, and as broken in it.
    """
    fetcher = _UvFetch(work, uv)
    offers = [_Offer(one, address) for one in selected if (address := _address(one, work))]
    if not offers or os.name == "nt":  # links to files, by which uv tells where it unpacked one, need a right there
        return {}
    here = fetcher.find(offers)
    if here is not None:
        return here
    here = fetcher.find_each(offers) if fetcher.lacks(offers) < len(offers) else {}
    offers = [offer for offer in offers if offer.one.name not in here]
    if not offers:
        return here
    files = with_sizes([offer.one.file for offer in offers], work)
    offers = [_Offer(one._replace(file=file), address) for (one, address), file in zip(offers, files, strict=True)]
    fetcher.check_room(offers)
    size_bytes = total(file.size_bytes for file in files)
    work.hooks.on_phase("uv-fetch", f"{len(files)} file{'s' if len(files) > 1 else ''}, {size_text(size_bytes)}")
    return {**here, **fetcher.fetch(offers)}


def _address(one: Selected, work: Work) -> str:
    """Give where uv can fetch it; empty where it is not for uv."""
    unread = any(
        pin.build.release.confidence == UNREAD and pin.build.release.name == one.name for pin in work.plan.pins
    )
    if not (one.is_wheel and one.file.sha256 and one.file.urls) or unread:
        return ""
    if any(same_version(found.version, one.version) for found in work.environment.found.get(one.name, ())):
        return ""
    if work.store.find(one.file) is not None or os.path.exists(f"{work.store.path(one.file)}.part"):
        return ""
    try:
        parse_wheel_filename(one.file.filename)
        address = work.fetcher.address(one.file.urls[0])
    except (InvalidWheelFilename, NetworkError, UsageError):
        return ""
    # A query may be a signature, and uv's cache would know the file by it.
    return address if urlsplit(address).scheme in ("http", "https") and "?" not in address else ""


class _UvFetch:
    """Runs uv with locks that it makes of offers."""

    def __init__(self, work: Work, uv: Uv) -> None:
        self._work = work
        self._uv = uv
        self._environ = connection_environ(work.settings, work.environ)
        self._target = work.plan.target

    def find(self, offers: Sequence[_Offer]) -> dict[str, Incoming] | None:
        """Give the offers by name where all of them lie in uv's cache, without a network."""
        return self._run(offers, offline=True)

    def find_each(self, offers: Sequence[_Offer]) -> dict[str, Incoming]:
        """Give those that lie in uv's cache, by name."""
        found: dict[str, Incoming] = {}
        for offer in offers:
            found.update(self.find([offer]) or {})
        return found

    def lacks(self, offers: Sequence[_Offer]) -> int:
        """Tell how many of them uv has not in its cache, as far as it tells."""
        with self._lock(offers) as lock:
            return self._uv.count_missing(lock, self._environ, default=len(offers))

    def check_room(self, offers: Sequence[_Offer]) -> None:
        """Raise InstallerError where uv's cache and the environment have too little room."""
        unpacked = int(total(offer.one.file.size_bytes for offer in offers) * UNPACKED_FACTOR)
        cache = self._uv.cache_dir()
        new = 0 if _links(cache, self._target, self._work.environ) else unpacked
        check_space(self._target, cache, self._work.folder, unpacked, new, "UV_CACHE_DIR")

    def fetch(self, offers: Sequence[_Offer]) -> dict[str, Incoming]:
        """Fetch them, and give those that arrived."""
        progress = _Lines(offers, self._work.progress or SILENT)
        found = self._run(offers, offline=False, progress=progress)
        progress.close(is_whole=found is not None)
        if found is not None:
            return found
        self._work.hooks.on_phase("uv-short")
        return self.find_each(offers)

    def _run(
        self, offers: Sequence[_Offer], *, offline: bool, progress: _Lines | None = None
    ) -> dict[str, Incoming] | None:
        fast = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else self._work.folder
        _forget_killed(fast)
        folder = tempfile.mkdtemp(prefix=f"{_LINKS}{os.getpid()}-", dir=fast)
        try:
            place = os.path.join(folder, "place")
            with self._lock(offers) as lock:
                done = self._uv.fetch(lock, place, self._environ, progress.line if progress else None, offline=offline)
            if done.returncode == 0:
                return _read(offers, place, from_cache=offline, linked=self._is_linked())
            if not offline and not any(offer.has_secret for offer in offers):
                for line in done.stderr.splitlines():
                    self._work.hooks.on_line(line)
        except (OSError, VerificationError):
            pass  # whatever it is: our own fetcher finds out, and words it
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    @contextmanager
    def _lock(self, offers: Sequence[_Offer]) -> Iterator[str]:
        """Keep a lock of offers, in a folder that only we may enter, since it may hold credentials."""
        path = os.path.join(self._work.folder, "pylock.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(uv_lock(offer.entry(offer.address) for offer in offers))
        try:
            yield path
        finally:
            os.unlink(path)

    def _is_linked(self) -> bool:
        return _links(self._uv.cache_dir(), self._target, self._work.environ)


def _read(offers: Sequence[_Offer], place: str, *, from_cache: bool, linked: bool) -> dict[str, Incoming] | None:
    """Read where uv's cache has each; None where one is not what it should be."""
    metadata = [os.path.join(place, name, "METADATA") for name in os.listdir(place) if name.endswith(".dist-info")]
    facts = {}
    for path in metadata:
        if not os.path.islink(path):
            return None
        folder = os.path.dirname(os.path.dirname(os.path.realpath(path)))
        read = read_unpacked(folder)
        facts[read.name] = folder, read
    found = {}
    for offer in offers:
        # Without credentials in its entry: uv's cache does not tell by them.
        if offer.one.name not in facts or not same_version(facts[offer.one.name][1].version, offer.one.version):
            return None
        folder, read = facts[offer.one.name]
        found[offer.one.name] = Incoming(
            folder,
            read,
            redact(offer.one.file.urls[0]),
            offer.one.file.sha256,
            from_cache,
            offer.entry(redact(offer.address)),
            linked,
        )
    return found


def _forget_killed(parent: str) -> None:
    """Take away the links of installs that were killed: nothing else empties the memory that they lie in."""
    for name in os.listdir(parent) if os.path.exists("/proc/self") else ():
        owner = name.removeprefix(_LINKS).partition("-")[0]
        path = os.path.join(parent, name)
        if name.startswith(_LINKS) and not os.path.exists(f"/proc/{owner}"):
            with contextlib.suppress(OSError):  # another process was first
                # The number may be that of a process in another container, which shares the memory only.
                if time.time() - os.stat(path).st_mtime > _LONGEST_S:
                    shutil.rmtree(path, ignore_errors=True)  # another user's stays


def _links(cache: str, target: Target, environ: Mapping[str, str]) -> bool:
    """Tell whether uv will link what its cache holds into an environment, not copy it."""
    existing = cache
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    same_disk = os.stat(existing).st_dev == os.stat(target.prefix).st_dev
    return environ.get("UV_LINK_MODE", "") == "symlink" or (same_disk and environ.get("UV_LINK_MODE", "") != "copy")


class _Lines:
    """Turns what uv says into the progress that we show: a line when a large file begins, and one when it is there."""

    def __init__(self, offers: Sequence[_Offer], progress: Progress) -> None:
        self._files = {offer.one.name: offer.one.file for offer in offers}
        self._left = dict(self._files)
        self._progress = progress
        sizes = [file.size_bytes for file in self._files.values()]
        progress.announce(len(sizes), total(sizes), is_exact=None not in sizes)

    def line(self, text: str) -> None:
        """Hear a line of uv."""
        word, _, rest = text.strip().partition(" ")
        name = rest.partition(" ")[0]
        if word == "Downloading" and name in self._files:
            file = self._files[name]
            self._progress.start(file.filename, file.size_bytes)
        elif word == "Downloaded" and name in self._left:
            self._end(name)

    def _end(self, name: str) -> None:
        file = self._left.pop(name)
        self._progress.advance(file.filename, file.size_bytes or 0)
        self._progress.finish(file.filename)

    def close(self, *, is_whole: bool) -> None:
        """Count the small ones, of which uv says nothing."""
        for name in list(self._left) if is_whole else ():
            self._end(name)
        self._progress.close()
