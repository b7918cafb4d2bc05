"""Everything onto the disk first: several files at a time, checked, shared, and resumed after a cut."""

from __future__ import annotations

import atexit
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence

from pascal_install.errors import InstallerError, VerificationError
from pascal_install.fetch import Fetcher, Stopped, disk, from_any
from pascal_install.installation.lock import FileLock
from pascal_install.installation.wheelstore import Fetched, File, WheelStore
from pascal_install.report.progress import SILENT, Progress

__all__ = ["Fetched", "File", "prefetch", "why_unwritable"]

_FAREWELL_S = 2.0


def prefetch(
    files: Sequence[File],
    directory: str,
    fetcher: Fetcher,
    *,
    workers: int = 4,
    progress: Progress | None = None,
    verify: bool = False,
) -> dict[str, Fetched]:
    """Bring files into the store at `directory` and give them by file name. Those that are there are not fetched again.

    A file whose first host fails is taken from its next address. One that fails everywhere stops the others; what they
    have is resumed by the next call, as after Ctrl-C. `verify` reads and hashes also what was checked before. Where
    `directory` cannot be written, a temporary folder serves until the program ends, and `progress` is told.

    Raises NetworkError, VerificationError, and InstallerError (`disk-full`, `cannot-write`).
    """
    progress = progress or SILENT
    store = WheelStore(directory)
    found = {file.filename: store.find(file, verify=verify) for file in files}
    missing = [file for file in files if found[file.filename] is None]
    if missing:
        store = _writable(store, progress)
        _check_space(store, missing)
        found.update(_Crew(missing, store, fetcher, progress, verify=verify).work(min(workers, len(missing))))
    return {name: fetched for name, fetched in found.items() if fetched is not None}


def _writable(store: WheelStore, progress: Progress) -> WheelStore:
    """Give a store that can be written: a read-only cache, or a home that belongs to another, is no reason to fail."""
    why = why_unwritable(store.folder)
    if not why:
        return store
    folder = tempfile.mkdtemp(prefix="pascal-install-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    progress.note(f"{store.folder} cannot be written ({why}): downloads go to {folder} and are not kept")
    return WheelStore(folder)


def why_unwritable(directory: str) -> str:
    """Tell why nothing can be written to a folder, which is made if need be; empty where it can."""
    try:
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _check_space(store: WheelStore, missing: Sequence[File]) -> None:
    needed = sum(store.missing_bytes(file) for file in missing)
    if needed > disk.free_bytes(store.folder):
        raise disk.full(store.folder, needed)


class _Crew:
    """Threads that share a list of files."""

    def __init__(
        self, files: Sequence[File], store: WheelStore, fetcher: Fetcher, progress: Progress, *, verify: bool
    ) -> None:
        self._waiting: queue.SimpleQueue[File] = queue.SimpleQueue()
        for file in sorted(files, key=lambda file: -(file.size_bytes or 0)):  # the longest first, so that none is last
            self._waiting.put(file)
        self._store = store
        self._fetcher = fetcher
        self._progress = progress
        self._verify = verify
        self._stop = threading.Event()
        self._found: dict[str, Fetched] = {}
        self._failures: list[Exception] = []
        sizes = [file.size_bytes for file in files]
        progress.announce(len(files), sum(size or 0 for size in sizes), is_exact=None not in sizes)

    def work(self, workers: int) -> dict[str, Fetched]:
        """Fetch all files, or raise what went wrong first."""
        # Daemon threads: one that waits for a silent host must not keep an interrupted program alive.
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self._stop.is_set():
                self._stop.wait(0.05)
        finally:
            self._stop.set()
            farewell = time.monotonic() + _FAREWELL_S
            for thread in threads:
                if thread.ident is not None:  # an interrupt may come before all of them are started
                    thread.join(max(farewell - time.monotonic(), 0))
            self._progress.close()
        if self._failures:
            raise self._failures[0]
        return self._found

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                file = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._found[file.filename] = self._fetch(file)
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 - raised again where the others are waited for
                self._failures.append(error)
                self._stop.set()

    def _fetch(self, file: File) -> Fetched:
        path = self._store.path(file)
        with disk.writing(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with FileLock(f"{path}.lock", stop=self._stop, on_wait=lambda who: self._wait(file, who)):
            if self._stop.is_set():
                raise Stopped
            kept = self._store.find(file, verify=self._verify)  # another process may have fetched it while we waited
            self._progress.start(file.filename, file.size_bytes)
            if kept:
                self._progress.advance(file.filename, os.stat(path).st_size)
            sha256 = kept.sha256 if kept else self._fetch_from_any(file, path)
            self._store.remember(file, sha256)
            self._progress.finish(file.filename)
        return kept or Fetched(path, sha256, from_cache=False)

    def _wait(self, file: File, who: str) -> None:
        self._progress.note(f"waiting for {who}, which fetches {file.filename}")

    def _fetch_from_any(self, file: File, path: str) -> str:
        known = file.sha256 or self._store.remembered_sha256(file)
        if not file.urls:
            raise InstallerError(f"nobody says where {file.filename} is", code="no-address")

        def ask(fetcher: Fetcher, url: str) -> str:
            return fetcher.download(
                url,
                path,
                sha256=known,
                size_bytes=file.size_bytes,
                progress=lambda count: self._progress.advance(file.filename, count),
                stop=self._stop,
            )

        try:
            return from_any(self._fetcher, file.urls, ask)
        except VerificationError as error:
            if error.code == "hash-mismatch" and not file.sha256:
                error.hints = (f"it differs from what came the first time; to accept the new one, delete {path}.json",)
            raise
