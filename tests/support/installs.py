"""A small world to install in: the published wheels of one torch and its extension, a fresh venv, and what it holds."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pascal_install.facts.interpreter import find_target
from pascal_install.fetch import Fetcher
from pascal_install.installation.change import Change
from pascal_install.installation.execute import Options
from pascal_install.model.build import Build, Release, Wheel
from pascal_install.model.cuda import CodeTarget, ComputeCapability, coverage
from pascal_install.model.gpu import HostFacts
from pascal_install.model.plan import Pin, Plan
from pascal_install.model.request import Request, Wanted
from support.environments import clean_environ, make_venv
from support.mirror import Mirror
from support.wheels import (
    EXLLAMAV2_REQUIRES,
    TORCH_CU124_LIBRARIES,
    TORCH_REQUIRES,
    make_extension_stub,
    make_library_stub,
    make_module_stub,
    make_torch_stub,
    make_wheel,
    wheel_filename,
)

CPYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"
TAG = f"{CPYTHON}-{CPYTHON}-linux_x86_64"
PYTHON = Path(sys.executable)
GTX_1080_TI = ComputeCapability(6, 1)
ARCHITECTURES = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
TORCH_INDEX = "https://download.pytorch.org/whl/cu124"

#: What an earlier `pip install torch` brought: no code for Pascal, and the other CUDA family.
WRONG_TORCH = "2.15.0"
WRONG_LIBRARIES = ("nvidia-cudnn-cu13==9.20.0", "nvidia-cublas-cu13==13.1.0")


class Recorder:
    """Hooks that remember."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.steps: list[str] = []
        self.lines: list[str] = []
        self.changes: list[Change] = []

    def on_plan(self, plan: Plan) -> None:
        """The plan is what the test gave."""

    def on_phase(self, name: str, detail: str = "") -> None:
        self.phases.append(name)

    def on_change(self, change: Change) -> None:
        self.changes.append(change)

    def on_line(self, text: str) -> None:
        self.lines.append(text)

    def on_step(self, name: str) -> None:
        self.steps.append(name)


class World(NamedTuple):
    """The mirror with its wheels, the venv, and the plan for it."""

    mirror: Mirror
    root: Path
    python: Path
    environ: dict[str, str]
    plan: Plan
    options: Options

    @property
    def venv(self) -> Path:
        return self.python.parent.parent

    @property
    def site(self) -> Path:
        return Path(self.plan.target.purelib)

    def pip(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the venv's own pip, as a person would."""
        command = [str(self.python), "-m", "pip", *args]
        return subprocess.run(command, check=check, capture_output=True, text=True, env=self.environ)

    def versions(self) -> dict[str, str]:
        """What pip says is installed."""
        lines = self.pip("list", "--format", "freeze").stdout.split()
        return {name: version for name, _, version in (line.partition("==") for line in lines)}

    def imports(self, *names: str) -> bool:
        code = "; ".join(f"import {name}" for name in names)
        done = subprocess.run([self.python, "-I", "-B", "-c", code], check=False, capture_output=True, env=self.environ)
        return done.returncode == 0


def publish(mirror: Mirror, torch: bytes, extension: bytes) -> tuple[Pin, Pin]:
    """Publish torch 2.6.0+cu124 and exllamav2 with all that they require; give their pins."""
    for line in (*TORCH_CU124_LIBRARIES, *WRONG_LIBRARIES):
        name, _, version = line.partition("==")
        tag = "py3-none-manylinux2014_x86_64"
        module = {"triton/__init__.py": b""}
        wheel = (
            make_wheel(name, version, tag, files=module) if name == "triton" else make_library_stub(name, version, tag)
        )
        if line in TORCH_CU124_LIBRARIES:
            mirror.add_wheel("whl/cu124", wheel_filename(name, version, tag), wheel)
        else:
            mirror.add_pypi(wheel_filename(name, version, tag), wheel)
    for line in (*TORCH_REQUIRES, *EXLLAMAV2_REQUIRES):
        name, _, version = line.partition(">=")
        if name != "torch":
            version = version or "1.0"
            mirror.add_pypi(wheel_filename(name, version, "py3-none-any"), make_module_stub(name, version))
    wrong = make_torch_stub(WRONG_TORCH, "cu132", TAG, ("sm_75", "sm_120"), requires=WRONG_LIBRARIES)
    mirror.add_pypi(wheel_filename("torch", WRONG_TORCH, TAG), wrong)
    names = (wheel_filename("torch", "2.6.0+cu124", TAG), wheel_filename("exllamav2", "0.3.2+cu124.torch2.6.0", TAG))
    torch_url = mirror.add_wheel("whl/cu124", names[0], torch)
    extension_url = mirror.add_release("turboderp-org/exllamav2", "v0.3.2", names[1], extension)
    first = Wheel(TAG, names[0], torch_url, hashlib.sha256(torch).hexdigest(), len(torch))
    second = Wheel(TAG, names[1], extension_url, existence="tag-workflow")
    return (
        pin("torch", "2.6.0+cu124", first, "pytorch", TORCH_INDEX),
        pin("exllamav2", "0.3.2+cu124.torch2.6.0", second, "github", ""),
    )


def pin(name: str, version: str, wheel: Wheel, publisher: str, index_url: str) -> Pin:
    """Make the pin of one wheel."""
    targets = tuple(map(CodeTarget.parse, ARCHITECTURES))
    release = Release(
        name, version, "cu124", "linux", "x86_64", publisher, index_url, targets, "binary", "test", (wheel,)
    )
    return Pin(Build(release, wheel), ((GTX_1080_TI, coverage(targets, GTX_1080_TI)),), ())


def usual_torch(architectures: Sequence[str] = ARCHITECTURES) -> bytes:
    """Make the torch that the plan wants."""
    return make_torch_stub("2.6.0+cu124", "cu124", TAG, architectures)


def make_world(root: Path, mirror: Mirror, *, torch: bytes = b"", extension: bytes = b"") -> World:
    """Make a world with a fresh venv."""
    extension = extension or make_extension_stub("exllamav2", "0.3.2+cu124.torch2.6.0", TAG)
    pins = publish(mirror, torch or usual_torch(), extension)
    environ = clean_environ(root / "home", PIP_INDEX_URL=mirror.pypi_url)
    python = fresh_venv(root / "venv")
    target = find_target(str(python), environ=environ, cwd=str(root))
    host = HostFacts("linux", "x86_64", (), None)
    plan = Plan(Request((Wanted("exllamav2"),)), host, target, pins, (), ())
    mirrors = mirror.mirrors
    options = Options(environ, str(root / "cache"), lambda: Fetcher(mirrors=mirrors, pause_s=0.01), mirrors)
    return World(mirror, root, python, environ, plan, options)


def fresh_venv(folder: Path) -> Path:
    """Give a fresh venv; making the first takes seconds, copying it none."""
    shutil.copytree(_template(), folder, symlinks=True)
    for name in ("pip", "pip3", f"pip3.{sys.version_info[1]}"):
        (folder / "bin" / name).unlink()
    # Those scripts name the template's Python. pip is whole without them only where its RECORD does not list them.
    for record in folder.glob("lib/*/site-packages/pip-*.dist-info/RECORD"):
        rows = record.read_text().splitlines(keepends=True)
        record.write_text("".join(row for row in rows if "/bin/pip" not in row))
    return folder / "bin/python"


@cache
def _template() -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="venv-template-"))
    import atexit

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_venv(folder / "venv", str(PYTHON))
    return folder / "venv"


def listing(folder: Path) -> dict[str, str]:
    """Give every file with its hash, every link with its target and every folder; journals and locks left out."""
    found = {}
    for current, folders, files in os.walk(folder):
        if ".pascal-install" in folders:
            folders.remove(".pascal-install")
        for name in folders:
            found[os.path.join(current, name)] = "folder"
        for name in files:
            path = Path(current, name)
            if name != ".lock":  # uv's
                content = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path)] = content
    return found
