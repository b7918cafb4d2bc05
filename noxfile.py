"""The checks by name: `nox -s lint types layers tests`, `nox -s faults`, `nox -s real`, `nox -s dist`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "layers", "tests"]
nox.options.default_venv_backend = "venv"


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint."""
    session.install("ruff")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly, sources and tests."""
    session.install(".[dev]")
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports only point down."""
    session.install("-e", ".[dev]")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Run everything that needs neither a GPU nor a network."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kill -9 at 200 points, full disks, broken networks, hostile input; half an hour. The summary tells the counts."""
    session.install(".[test]")
    session.run("pytest", "tests/faults", *session.posargs, env={"FAULT_POINTS": "200"})


@nox.session
def real(session: nox.Session) -> None:
    """Install and inspect the real torch; downloads several GB from PyPI."""
    session.install(".[test]")
    session.run("pytest", "-m", "real", "-n", "0", *session.posargs)


@nox.session
def dist(session: nox.Session) -> None:
    """Build the wheel, install it alone and run it."""
    folder = Path(session.create_tmp(), "dist")
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(folder))
    session.install(*map(str, folder.glob("*.whl")))
    session.run("pascal-install", "plan", "exllamav2", "--gpu", "GTX 1080 Ti", "--driver", "580.95.05")
