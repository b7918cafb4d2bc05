"""Shared libraries compiled on the spot, and the verdict of the system's own loader on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

needs_compiler = pytest.mark.skipif(
    not (sys.platform == "linux" and shutil.which("g++")), reason="needs g++ on Linux to build shared libraries"
)


def compile_library(
    folder: Path, name: str, source: str, *links: Path, options: tuple[str, ...] = (), language: str = "c++"
) -> Path:
    """Compile C++ (or C) source into a shared library whose run path is its own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / name
    command = ["g++", "-x", language, "-shared", "-fPIC", "-O1", f"-Wl,-soname,{name}", "-Wl,-rpath,$ORIGIN", *options]
    command += ["-o", str(made), "-", "-x", "none", "-Wl,--no-as-needed", *map(str, links)]
    # Symbols that nothing defines must stay undefined: that is what is tested.
    subprocess.run([*command, "-Wl,--unresolved-symbols=ignore-all"], input=source, text=True, check=True)
    return made


def loads(path: Path, *search: Path) -> bool:
    """Ask the system's loader whether it loads a library with all of its symbols."""
    code = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)"
    environ = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, search)), "LD_BIND_NOW": "1"}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, env=environ, capture_output=True, check=False)
    return done.returncode == 0
