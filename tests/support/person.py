"""Somebody who types commands in a small world.

The catalogue is the real one; an overlay gives the stub torch its hash.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from support.installs import ARCHITECTURES, TAG, World, make_world, usual_torch
from support.mirror import Mirror
from support.wheels import make_torch_stub, wheel_filename

#: The machine that most of these commands are typed for.
GPU = ("--gpu", "GTX 1080 Ti", "--driver", "580.95.05")

OVERLAY = """\
schema = 1
name = "torch"
import_name = "torch"
role = "torch"
data_date = "2026-11-23"
[sources]
[[index]]
id = "pytorch"
page = "https://download.pytorch.org/whl/{{variant}}"
file = "https://download.pytorch.org/whl/{{variant}}/{{quoted}}"
[[index]]
id = "pypi"
[[release]]
version = "2.6.0+cu124"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pytorch"
architectures = {architectures}
confidence = "binary"
source = "the stub of this test"
wheels = [{{tag = "{tag}", sha256 = "{sha256}"}}]
[[release]]
version = "2.6.0"
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pypi"
architectures = {architectures}
confidence = "binary"
source = "the stub of this test"
wheels = [{{tag = "{pypi_tag}", sha256 = "{pypi_sha256}"}}]
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Person:
    """Types commands in the world's environment."""

    def __init__(self, world: World, overlay: Path) -> None:
        self.world = world
        self._environ = {
            **world.environ,
            "VIRTUAL_ENV": str(world.venv),
            "PASCAL_INSTALL_CATALOGUE": str(overlay),
            "PASCAL_INSTALL_CACHE_DIR": str(world.root / "cache"),
            "PASCAL_INSTALL_MIRROR": ";".join(f"{real}={played}" for real, played in world.mirror.mirrors),
        }

    def moves_to(self, python: Path) -> None:
        """Go on in another environment."""
        self._environ["VIRTUAL_ENV"] = str(python.parent.parent)

    def forgets(self) -> None:
        """Go on with an empty cache, as on another machine."""
        self._environ["PASCAL_INSTALL_CACHE_DIR"] += "-other"

    def sets(self, variable: str, text: str) -> None:
        """Go on with a variable set."""
        self._environ[variable] = text

    def forgets_setting(self, variable: str) -> None:
        """Go on without a variable."""
        self._environ.pop(variable, None)

    def types(self, *words: str) -> Done:
        child = self.starts(*words)
        out, err = child.communicate(timeout=180)
        return Done(child.returncode, out, err)

    def starts(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and go on at once."""
        command = [sys.executable, "-m", "pascal_install", *words]
        return subprocess.Popen(command, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def gets(self, *words: str) -> dict[str, Any]:
        done = self.types(*words, "--format", "json")
        assert done.code == 0, done.err
        document: dict[str, Any] = json.loads(done.out)
        return document


def make_person(root: Path, mirror: Mirror, *, torch: bytes = b"") -> Person:
    """Make a world, and somebody in it."""
    torch = torch or usual_torch()
    world = make_world(root, mirror, torch=torch)
    pypi_tag = TAG.replace("linux_x86_64", "manylinux1_x86_64")
    pypi_torch = make_torch_stub("2.6.0", "cu124", pypi_tag, ARCHITECTURES, requires=("numpy",))
    mirror.add_pypi(wheel_filename("torch", "2.6.0", pypi_tag), pypi_torch)
    packages = root / "overlay" / "packages"
    packages.mkdir(parents=True)
    text = OVERLAY.format(
        architectures=json.dumps(ARCHITECTURES),
        tag=TAG,
        sha256=hashlib.sha256(torch).hexdigest(),
        pypi_tag=pypi_tag,
        pypi_sha256=hashlib.sha256(pypi_torch).hexdigest(),
    )
    (packages / "torch.toml").write_text(text, encoding="utf-8")
    return Person(world, packages.parent)
