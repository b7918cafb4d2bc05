"""What `plan` may load: start-up time is a feature, and one careless import undoes it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.environments import clean_environ

HEAVY = frozenset(
    {
        *("dataclasses", "inspect", "requests", "urllib3", "packaging", "pip", "pynvml", "subprocess", "pathlib"),
        *("tempfile", "shutil", "tomllib", "tomli", "logging", "importlib.metadata", "urllib.request", "http.client"),
        *("ssl", "socket", "platform", "email", "concurrent", "random"),
        # Small ones, which together cost more than all of a plan does.
        *(
            "typing",
            "re",
            "enum",
            "collections",
            "functools",
            "contextlib",
            "argparse",
            "json",
            "warnings",
            "importlib",
        ),
        *("csv", "threading", "signal", "sysconfig", "struct", "shlex", "difflib"),
    }
)

ANSWER = ["--gpu", "GTX 1080 Ti", "--driver", "580.95.05"]


def loaded_by(arguments: list[str]) -> set[str]:
    code = f"""\
import sys
before = set(sys.modules)
from pascal_install.cli.main import main
import os
code = main({arguments!r}, os.environ)
sys.stdout.flush()
sys.stderr.write("\\n" + " ".join(sorted(set(sys.modules) - before)) + "\\n")
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environ(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["plan", "exllamav2==0.3.2", "torch", *ANSWER], ["info", *ANSWER]],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(arguments: list[str]) -> None:
    # The first run may compile the catalogue and the target's tags into the cache; the second one is what counts.
    loaded_by(arguments)
    loaded = loaded_by(arguments)
    assert sorted(loaded.intersection(HEAVY)) == []


def test_the_list_of_heavy_modules_can_be_hit() -> None:
    assert "packaging" in loaded_by(["plan", "exllamav2<=0.3.2", *ANSWER])
