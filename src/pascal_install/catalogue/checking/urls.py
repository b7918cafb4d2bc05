"""The rows against their hosts: whether each file is still there, and as large as recorded."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from pascal_install.catalogue.checking.binaries import Index
from pascal_install.errors import NetworkError
from pascal_install.fetch import Fetcher, find
from pascal_install.model.address import redact
from pascal_install.model.build import Package, Wheel
from pascal_install.model.checked import CheckedFile
from pascal_install.value import NamedTuple

#: An answer is worth this long: files of released versions seldom change.
_KEPT_S = 7 * 24 * 3600.0
#: Faults of one file. After any other one its host is asked no more, and what is left is told as not asked.
_OF_ONE_FILE = frozenset({"forbidden", "unexpected-answer", "bad-redirect", "redirect-loop", "login-page"})


class Asked(NamedTuple):
    """One file that a host is asked for."""

    name: str
    version: str
    wheel: Wheel


class Answers:
    """What hosts said, a line for each answer in a file of the cache: an interrupt loses none of them."""

    def __init__(self, cache_dir: str, clock: Callable[[], float] = time.time) -> None:
        self._path = os.path.join(cache_dir, "urls-1.jsonl")
        self._clock = clock
        self._lock = threading.Lock()
        self._known = self._load()

    def get(self, url: str) -> tuple[bool, int | None] | None:
        """Tell whether the file was there lately, and its size; None where that is not known."""
        return self._known.get(url)

    def keep(self, url: str, there: bool, size_bytes: int | None) -> None:
        """Write down an answer. A cache that cannot be written is no cache."""
        line = json.dumps({"url": url, "there": there, "size": size_bytes, "at": int(self._clock())})
        with self._lock:
            self._known[url] = (there, size_bytes)
            try:
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
            except OSError:
                pass

    def _load(self) -> dict[str, tuple[bool, int | None]]:
        known: dict[str, tuple[bool, int | None]] = {}
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.readlines()
        except (OSError, UnicodeDecodeError):
            return known
        for line in lines:
            try:
                answer = json.loads(line)
                if answer["at"] > self._clock() - _KEPT_S:
                    known[answer["url"]] = (bool(answer["there"]), answer["size"])
            except (ValueError, TypeError, KeyError):
                continue  # the last line of a run that was killed
        return known


def check_urls(
    packages: Iterable[Package],
    fetcher: Fetcher,
    index: Index,
    answers: Answers,
    tell: Callable[[int, int], None],
    workers: int = 3,
) -> tuple[CheckedFile, ...]:
    """Ask for every file: its own host by HEAD, a few at a time; files without an address are looked up on the index.

    `tell` is called with how many of how many were asked; any thread may call it. A host that cannot be reached is told
    in the answer (`unasked`); nothing is raised for it.
    """
    asked = _each_file(packages)
    host = _Hosts(fetcher, index, answers, len(asked), tell)
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(host.ask, one) for one in asked]
        try:
            return tuple(job.result() for job in jobs)
        finally:
            host.stopped = True
            for job in jobs:
                job.cancel()


def _each_file(packages: Iterable[Package]) -> list[Asked]:
    """List every file once: releases that differ in their CUDA variant only may share it."""
    found: dict[str, Asked] = {}
    for package in packages:
        for release in package.releases:
            for wheel in release.wheels:
                if wheel.url or wheel.sha256:
                    found.setdefault(wheel.url or wheel.sha256, Asked(package.name, release.version, wheel))
    return list(found.values())


class _Hosts:
    def __init__(
        self, fetcher: Fetcher, index: Index, answers: Answers, count: int, tell: Callable[[int, int], None]
    ) -> None:
        self.stopped = False
        self._fetcher = fetcher
        self._index = index
        self._answers = answers
        self._tell = tell
        self._count = count
        self._done = 0
        self._lock = threading.Lock()
        self._listed: dict[str, Mapping[str, str] | str] = {}
        self._silent: dict[str, str] = {}

    def ask(self, asked: Asked) -> CheckedFile:
        """Find out about one file."""
        found = self._on_its_host(asked) if asked.wheel.url else self._on_the_index(asked)
        with self._lock:
            self._done += 1
            self._tell(self._done, self._count)
        return found

    def _on_its_host(self, asked: Asked) -> CheckedFile:
        url = asked.wheel.url
        host = urlsplit(url).hostname or ""
        answer = self._answers.get(url)
        if answer is None:
            if self.stopped or host in self._silent:
                return _checked(asked, "unasked", self._silent.get(host, "interrupted"))
            try:
                file = find(self._fetcher, url)
            except NetworkError as error:
                if error.code not in _OF_ONE_FILE:
                    self._silent[host] = error.summary
                return _checked(asked, "unasked", error.summary)
            answer = (file is not None, file.size_bytes if file else None)
            self._answers.keep(url, *answer)
        there, size_bytes = answer
        if not there:
            return _checked(asked, "gone", "its host does not have it")
        if size_bytes is not None and asked.wheel.size_bytes not in (None, size_bytes):
            return _checked(asked, "other-size", f"{asked.wheel.size_bytes} bytes recorded, {size_bytes} there")
        return _checked(asked, "there", "")

    def _on_the_index(self, asked: Asked) -> CheckedFile:
        listed = self._names_by_hash(asked.name)
        if isinstance(listed, str):
            return _checked(asked, "unasked", listed)
        if asked.wheel.sha256 in listed:
            return _checked(asked, "there", "")
        other = asked.wheel.filename in listed.values()
        return _checked(asked, "gone", "listed with another hash" if other else "the index does not list it")

    def _names_by_hash(self, name: str) -> Mapping[str, str] | str:
        """Read the index's page of a project once; or why that could not be done."""
        with self._lock:
            if name not in self._listed:
                try:
                    self._listed[name] = {sha256: filename for filename, _, sha256 in self._index(name)}
                except NetworkError as error:
                    self._listed[name] = {} if error.code == "not-found" else error.summary
            return self._listed[name]


def _checked(asked: Asked, state: str, why: str) -> CheckedFile:
    wheel = asked.wheel
    host = urlsplit(wheel.url).hostname or "PyPI"
    return CheckedFile(asked.name, asked.version, wheel.filename, host, redact(wheel.url), state, wheel.existence, why)
