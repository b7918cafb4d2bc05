"""The example's Dockerfile, built for real: a Debian base, RUN steps without a GPU; torch and exllamav2 are stubs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.environments import ORIGINAL_ENVIRON
from support.mirror import Mirror
from support.person import make_person

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        os.name != "posix" or os.getuid() != 0 or not (shutil.which("buildah") and shutil.which("debootstrap")),
        reason="needs root, and Debian's buildah and debootstrap",
    ),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the stubs are for this Python, Debian 12 has 3.11"),
]


class Builder:
    """buildah with a store of its own, and what the steps of a build find: an index, wheels, the data of the stubs."""

    def __init__(self, folder: Path, mirror: Mirror) -> None:
        self._folder = folder
        store = {"--root": folder / "store", "--runroot": folder / "run", "--storage-driver": "vfs"}
        self._command = ["buildah", *(str(word) for pair in store.items() for word in pair)]
        make_person(folder / "world", mirror)
        data = folder / "data"
        shutil.copytree(folder / "world/overlay", data / "overlay")
        # What `pip install pascal-install` fetches in the image: this checkout's wheel, and what it requires from PyPI.
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(data / "wheels"), str(ROOT)]
        subprocess.run(pip, env=dict(ORIGINAL_ENVIRON), check=True, timeout=300)
        (folder / "pip.conf").write_text(f"[global]\nindex-url = {mirror.pypi_url}\nfind-links = /data/wheels\n")
        mirrors = ";".join(f"{real}={played}" for real, played in mirror.mirrors)
        self._make_base({"PASCAL_INSTALL_CATALOGUE": "/data/overlay", "PASCAL_INSTALL_MIRROR": mirrors})

    def _make_base(self, variables: Mapping[str, str]) -> None:
        base = self._folder / "base"
        packages = "--include=python3,python3-venv,ca-certificates"
        made = ["debootstrap", "--variant=minbase", packages, "bookworm", str(base)]
        subprocess.run(made, env=dict(ORIGINAL_ENVIRON), stdout=subprocess.DEVNULL, check=True, timeout=600)
        container = self.buildah("from", "--name", "base", "scratch").stdout.strip()
        self.buildah("add", "--quiet", container, str(base), "/")
        self.buildah("config", *(f"--env={name}={text}" for name, text in variables.items()), container)
        self.buildah("commit", "--quiet", "--rm", container, "localhost/base")

    def buildah(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False, timeout=900)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def build(self, dockerfile: Path, tag: str) -> subprocess.CompletedProcess[str]:
        """Build with the engine's own RUN; nothing of what is mounted stays in the image."""
        mounts = {f"{self._folder}/pip.conf": "/etc/pip.conf", f"{self._folder}/data": "/data"}
        volumes = [f"--volume={here}:{there}:ro" for here, there in mounts.items()]
        arguments = ["--isolation=chroot", "--network=host", "--build-arg=BASE=localhost/base", *volumes]
        words = ["bud", *arguments, "-t", tag, "-f", str(dockerfile), str(dockerfile.parent)]
        return self.buildah(*words, check=False)

    def runs(self, image: str, *command: str) -> str:
        container = self.buildah("from", f"localhost/{image}").stdout.strip()
        return self.buildah("run", "--isolation=chroot", container, "--", *command).stdout


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    folder = tmp_path_factory.mktemp("image")
    with Mirror() as mirror:
        yield Builder(folder, mirror)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_example_builds_an_image_that_has_torch_and_exllamav2(builder: Builder) -> None:
    built = builder.build(ROOT / "examples/docker/Dockerfile", "app")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "installed: torch 2.6.0+cu124, exllamav2 0.3.2+cu124.torch2.6.0" in built.stdout + built.stderr
    code = "import torch, exllamav2, importlib.metadata as m; print(m.version('torch'), m.version('exllamav2'))"
    assert builder.runs("app", "python", "-c", code).split() == ["2.6.0+cu124", "0.3.2+cu124.torch2.6.0"]
    left = builder.runs("app", "sh", "-c", "ls -A /root/.cache/pascal-install 2>/dev/null | wc -l")
    assert left.strip() == "0"


def test_a_step_that_does_not_name_the_gpu_fails_and_says_what_to_add(builder: Builder, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    text = (ROOT / "examples/docker/Dockerfile").read_text(encoding="utf-8")
    dockerfile.write_text(text.replace('--gpu "$GPU" --driver "$DRIVER" ', ""), encoding="utf-8")
    built = builder.build(dockerfile, "guess")
    assert "--gpu" in built.stderr
    assert "exit status 4" in built.stdout + built.stderr
    assert built.returncode != 0
