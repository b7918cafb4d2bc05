"""Being told to end is an interruption like Ctrl-C: children are stopped, and the environment is put back."""

from __future__ import annotations

import signal
from types import FrameType


def interrupt_when_told_to_end() -> None:
    """Turn SIGTERM, and a terminal that goes away, into KeyboardInterrupt."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
