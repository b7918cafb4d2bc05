"""How long to try: pauses that grow, one deadline over all of them."""

from __future__ import annotations

import threading
import time

from pascal_install.fetch.faults import FetchError

ATTEMPTS = 5
_LONGEST_PAUSE_S = 10.0
_STEP_BYTES = 64 * 1024


class Stopped(Exception):  # noqa: N818 - not a failure: somebody asked for it
    """A transfer was told to stop; what it has is kept for the next one."""


class Patience:
    """The tries of one transfer. The deadline and the count start again whenever it gets on."""

    def __init__(
        self, deadline_s: float, first_pause_s: float, stop: threading.Event | None = None, attempts: int = ATTEMPTS
    ) -> None:
        self._deadline_s = deadline_s
        self._first_pause_s = first_pause_s
        self._stop = stop or threading.Event()
        self._attempts = attempts
        self._furthest = 0
        self._begin()

    def _begin(self) -> None:
        self._pauses = 0
        self._until = time.monotonic() + self._deadline_s

    def got(self, total_bytes: int) -> None:
        """Note how far the transfer is; bytes that came before do not count. Raises Stopped."""
        if self._stop.is_set():
            raise Stopped
        if total_bytes >= self._furthest + _STEP_BYTES:
            self._furthest = total_bytes
            self._begin()

    def pause(self, fault: FetchError) -> None:
        """Wait before the next try. Raises the fault where no further one may help or fits in, and Stopped."""
        self._pauses += 1
        pause_s = min(self._first_pause_s * 2 ** (self._pauses - 1), _LONGEST_PAUSE_S)
        pause_s = max(pause_s, fault.retry_after_s)
        if not fault.transient or self._pauses >= self._attempts or time.monotonic() + pause_s >= self._until:
            raise fault
        if self._stop.wait(pause_s):
            raise Stopped

    def left_s(self, most_s: float) -> float:
        """Give how long to wait for the next byte: what is left, at most `most_s`."""
        return max(min(most_s, self._until - time.monotonic()), 0.05)
