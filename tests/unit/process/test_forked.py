"""A check in two halves: what each says counts, whatever becomes of the copy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pascal_install.forked import both
from support.environments import clean_environ

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def said_by(check: str, before: str = "") -> list[str]:
    """Run `both` where there are no threads, as in the command: the tests' own process has some."""
    code = f"""\
import os, signal, sys, threading
from pascal_install.forked import both
parent = os.getpid()
def check(half):
{check}
{before}
sys.stdout.write("buffered ")  # a copy that ended as a program does would write this too
try:
    print(both(check))
except ArithmeticError as error:
    print(type(error).__name__)
try:
    os.waitpid(-1, os.WNOHANG)
    print("left a child")
except ChildProcessError:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environ(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [*done.stdout.split(), *done.stderr.split()]


@pytest.mark.parametrize("one", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_both_must_hold(one: bool, other: bool) -> None:
    assert said_by(f"    return ({one}, {other})[half]") == ["buffered", str(one and other)]


def test_each_half_has_a_process() -> None:
    assert said_by("    return (os.getpid() == parent) == (half == 0)") == ["buffered", "True"]


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGKILL)", "1 / 0", "sys.exit(0)", "os.kill(os.getpid(), signal.SIGINT)"],
)
def test_a_copy_that_does_not_come_to_its_end_says_no(end: str) -> None:
    said = said_by(f"    if half: {end}\n    return True")
    assert said[:2] == ["buffered", "False"]
    assert said.count("buffered") == 1


def test_what_the_first_half_raises_is_raised_and_no_child_is_left() -> None:
    assert said_by("    return half == 1 or 1 / 0") == ["buffered", "ZeroDivisionError"]


def test_no_word_of_a_child_is_no_yes() -> None:
    ignored = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    assert said_by("    return True", before=ignored) == ["buffered", "False"]


def test_beside_a_thread_there_is_no_copy() -> None:
    thread = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    assert said_by("    return os.getpid() == parent", before=thread) == ["buffered", "True"]
    assert said_by("    return half == 0", before=thread) == ["buffered", "False"]


def test_here_there_are_threads_or_not_and_the_answer_is_the_same() -> None:
    assert both(lambda half: half in (0, 1))
    assert not both(lambda half: half == 0)
    assert not both(lambda half: half == 1)
