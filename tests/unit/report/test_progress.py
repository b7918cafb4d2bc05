"""What a person sees of a download, on a terminal and without one."""

import io
import os
import sys

import pytest

from pascal_install.report.progress import Display, make_progress, size_text, time_text


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.moment = 100.0

    def __call__(self) -> float:
        return self.moment


def fetch_two(display: Display, clock: Clock) -> None:
    display.announce(2, 3_000_000, is_exact=True)
    display.start("a.whl", 1_000_000)
    display.start("b.whl", 2_000_000)
    for _ in range(64):
        clock.moment += 1 / 32
        display.advance("b.whl", 31_250)
    display.finish("b.whl")


def test_a_terminal_sees_one_line_at_most_ten_times_a_second() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(stream, is_terminal=True, clock=clock)
    fetch_two(display, clock)
    frames = stream.getvalue().split("\r")[1:]
    assert len(frames) == 16  # in two seconds
    assert frames[-1] == "0 of 2 files   67%  2.0 MB of 3.0 MB  1.0 MB/s  1 s left\x1b[K"
    assert "\n" not in stream.getvalue()


def test_the_line_is_replaced_by_what_came_of_it() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(stream, is_terminal=True, clock=clock)
    fetch_two(display, clock)
    display.advance("a.whl", 1_000_000)
    display.finish("a.whl")
    display.close()
    assert stream.getvalue().endswith("\r\x1b[Kfetched 2 files, 3.0 MB in 2 s (1.5 MB/s)\n")


def test_an_interrupted_download_leaves_a_clean_line() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(stream, is_terminal=True, clock=clock)
    fetch_two(display, clock)
    display.close()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_without_a_terminal_there_are_plain_lines() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(stream, is_terminal=False, clock=clock)
    fetch_two(display, clock)
    clock.moment += 30
    display.advance("a.whl", 500_000)
    display.note("waiting for\x1b[2J process 1")
    display.close()
    assert stream.getvalue().splitlines() == [
        "fetching 2 files, 3.0 MB",
        "1 of 2 files   83%  2.5 MB of 3.0 MB  78.1 kB/s  6 s left",
        "waiting for?[2J process 1",
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_without_a_terminal_large_files_are_named_and_small_ones_when_asked(verbose: bool) -> None:
    stream = io.StringIO()
    display = make_progress(stream, verbose=verbose)
    display.announce(2, 0, is_exact=False)
    for name, size_bytes in (("torch.whl", 767_000_000), ("regex.whl", 800_000)):
        display.start(name, size_bytes)
        display.finish(name)
    small = ["fetching regex.whl (800 kB)", "fetched regex.whl"] if verbose else []
    lines = stream.getvalue().splitlines()
    assert lines == ["fetching 2 files", "fetching torch.whl (767 MB)", "fetched torch.whl", *small]


def test_without_sizes_there_is_no_promise() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(stream, is_terminal=True, clock=clock)
    display.announce(1, 0, is_exact=False)
    clock.moment += 1
    display.advance("a.whl", 5_000_000)
    assert stream.getvalue() == "\r0 of 1 file  5.0 MB  5.0 MB/s\x1b[K"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals as POSIX has them")
def test_a_narrow_terminal_is_not_overrun() -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    clock = Clock()
    with open(theirs, "w", encoding="utf-8") as stream:
        display = make_progress(stream, clock=clock)
        display.announce(2, 3_000_000, is_exact=True)
        clock.moment += 1
        display.advance("a.whl", 1_000_000)
        drawn = os.read(ours, 1000).decode()
    os.close(ours)
    assert drawn == "\r0 of 2 files   33%  1.0 MB of\x1b[K"


def test_quiet_shows_nothing() -> None:
    stream = io.StringIO()
    display = make_progress(stream, quiet=True)
    display.announce(1, 10, is_exact=True)
    display.start("a.whl", 10)
    display.advance("a.whl", 10)
    display.finish("a.whl")
    display.note("words")
    display.close()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (766_700_000, "767 MB"), (3_061_000_000, "3.06 GB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1:00"), (80, "1:20"), (3723, "1:02:03")])
def test_durations(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
