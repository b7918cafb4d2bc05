"""How far several downloads are: one line that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock

from pascal_install.report.text import clean
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TextIO
else:
    Protocol = object

_REDRAW_S = 0.1
_PLAIN_S = 30.0
_WINDOW_S = 5.0

#: What takes long enough that a person who reads a log wants to know its name.
_LARGE_BYTES = 20_000_000


class Progress(Protocol):
    """What a download tells; any thread may call."""

    def announce(self, files: int, total_bytes: int, *, is_exact: bool) -> None:
        """Say how much will come; `is_exact` is False where the size of some is not known."""

    def start(self, name: str, total_bytes: int | None) -> None:
        """Begin a file."""

    def advance(self, name: str, count: int) -> None:
        """Add bytes to a file, or take some away that must come again."""

    def finish(self, name: str) -> None:
        """End a file."""

    def note(self, words: str) -> None:
        """Say something in between."""

    def close(self) -> None:
        """Nothing more comes for now, whether all is there or not."""


class Silence:
    """Shows nothing."""

    def announce(self, files: int, total_bytes: int, *, is_exact: bool) -> None:
        """Show nothing."""

    def start(self, name: str, total_bytes: int | None) -> None:
        """Show nothing."""

    def advance(self, name: str, count: int) -> None:
        """Show nothing."""

    def finish(self, name: str) -> None:
        """Show nothing."""

    def note(self, words: str) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


SILENT = Silence()


def make_progress(
    stream: TextIO, *, quiet: bool = False, verbose: bool = False, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """Choose the display for a stream."""
    return SILENT if quiet else Display(stream, is_terminal=stream.isatty(), verbose=verbose, clock=clock)


class Display:
    """Counts, and draws at most ten times a second; without a terminal a line for each large file and half minute.

    `verbose`: for each small file too.
    """

    def __init__(
        self, stream: TextIO, *, is_terminal: bool, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._told_bytes = 0 if verbose else _LARGE_BYTES
        self._clock = clock
        self._lock = allocate_lock()
        self._reset()

    def _reset(self) -> None:
        self._files = self._finished = self._total = self._done = 0
        self._is_exact = True
        self._told: set[str] = set()
        self._is_drawn = False
        self._began_at = self._drawn_at = self._clock()
        self._marks = [(self._began_at, 0)]

    def announce(self, files: int, total_bytes: int, *, is_exact: bool) -> None:
        """Say how much will come."""
        with self._lock:
            self._reset()
            self._files, self._total, self._is_exact = files, total_bytes, is_exact
            if not self._is_terminal:
                size = f", {size_text(total_bytes)}" if total_bytes and is_exact else ""
                self._write(f"fetching {_files(files)}{size}\n")

    def start(self, name: str, total_bytes: int | None) -> None:
        """Begin a file."""
        with self._lock:
            # A size that nobody knows may be a large one.
            if not self._is_terminal and (total_bytes is None or total_bytes >= self._told_bytes):
                size = f" ({size_text(total_bytes)})" if total_bytes else ""
                self._told.add(name)
                self._write(f"fetching {clean(name)}{size}\n")

    def advance(self, name: str, count: int) -> None:  # noqa: ARG002 - the display adds all files up
        """Add bytes."""
        with self._lock:
            self._done += count
            moment = self._clock()
            if moment - self._drawn_at >= (_REDRAW_S if self._is_terminal else _PLAIN_S):
                self._draw(moment)

    def finish(self, name: str) -> None:
        """End a file."""
        with self._lock:
            self._finished += 1
            if name in self._told:
                self._write(f"fetched {clean(name)}\n")

    def note(self, words: str) -> None:
        """Say something in between."""
        with self._lock:
            self._erase()
            self._write(f"{clean(words)}\n")

    def close(self) -> None:
        """Leave one line that says what came."""
        with self._lock:
            self._erase()
            if self._finished and self._finished == self._files:
                took_s = max(self._clock() - self._began_at, 0.001)
                rate = f"{size_text(int(self._done / took_s))}/s"
                self._write(f"fetched {_files(self._files)}, {size_text(self._done)} in {time_text(took_s)} ({rate})\n")
            self._reset()

    def _draw(self, moment: float) -> None:
        self._drawn_at = moment
        self._marks.append((moment, self._done))
        while len(self._marks) > 2 and self._marks[0][0] < moment - _WINDOW_S:
            del self._marks[0]
        line = self._line()
        if not self._is_terminal:
            self._write(f"{line}\n")
            return
        self._write("\r" + line[: self._columns() - 1] + "\x1b[K")
        self._is_drawn = True

    def _line(self) -> str:
        (since, before), (moment, done) = self._marks[0], self._marks[-1]
        rate = max((done - before) / (moment - since), 0) if moment > since else 0
        parts = [f"{self._finished} of {_files(self._files)}"]
        if self._is_exact and self._total:
            share = min(self._done / self._total, 1)
            parts += [f"{share:4.0%}", f"{size_text(self._done)} of {size_text(self._total)}"]
        else:
            parts.append(size_text(self._done))
        parts.append(f"{size_text(int(rate))}/s")
        if self._is_exact and rate and self._total > self._done:
            parts.append(f"{time_text((self._total - self._done) / rate)} left")
        return "  ".join(parts)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _erase(self) -> None:
        if self._is_drawn:
            self._write("\r\x1b[K")
            self._is_drawn = False

    def _write(self, words: str) -> None:
        self._stream.write(words)
        self._stream.flush()


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def size_text(size_bytes: int) -> str:
    """Give a size for people, in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            number = size_bytes / factor
            return f"{number:.{2 if unit == 'GB' else 1 if number < 100 else 0}f} {unit}"
    return f"{size_bytes} B"


def time_text(duration_s: float) -> str:
    """Give a duration for people: `8 s`, `1:20`, `1:02:03`."""
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
