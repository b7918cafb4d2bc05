"""The proof reads an environment: what Python compiles meanwhile goes elsewhere, whatever lies there already."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pascal_install.facts.interpreter import find_target
from pascal_install.installation.verify import prove
from pascal_install.model.interpreter import Target
from support.environments import clean_environ, make_venv
from support.installs import listing

_SOURCES = {
    "package/__init__.py": "from package import new, current, stale, changed",
    "package/new.py": "",
    "package/current.py": "",
    "package/stale.py": "",
    "package/changed.py": "",
    "starts.py": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import started'], check=True)",
    "started.py": "",
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """An environment with modules that are compiled, that are not, and that were before they changed."""
    folder = tmp_path_factory.mktemp("proof")
    python = make_venv(folder / "venv", with_pip=False)
    found = find_target(str(python), environ=clean_environ(), cwd=str(folder))
    site = Path(found.purelib)
    for name, text in _SOURCES.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    (site / "package/changed.py").write_text("raise ValueError", encoding="utf-8")
    for name in ("current", "stale", "changed"):
        _compile(found, site / f"package/{name}.py")
    os.utime(site / "package/stale.py", (1, 1))
    (site / "package/changed.py").write_text("", encoding="utf-8")
    return found


def _compile(target: Target, source: Path) -> None:
    subprocess.run([target.executable, "-I", "-m", "py_compile", str(source)], check=True)


def test_nothing_is_written_into_the_environment(target: Target, tmp_path: Path) -> None:
    before = listing(Path(target.prefix))
    proof = prove(target, ("package", "starts"), clean_environ(), str(tmp_path))
    assert proof.imports == {"package": "", "starts": ""}
    assert listing(Path(target.prefix)) == before
    below = tmp_path / Path(target.purelib).relative_to("/")
    compiled = {str(path.relative_to(below)).partition(".")[0] for path in below.rglob("*.pyc")}
    assert compiled == {"package/__init__", "package/new", "package/stale", "package/changed", "starts"}


def test_without_a_folder_nothing_is_written_at_all(target: Target) -> None:
    before = listing(Path(target.prefix))
    assert prove(target, ("package", "starts"), clean_environ()).imports == {"package": "", "starts": ""}
    assert listing(Path(target.prefix)) == before
