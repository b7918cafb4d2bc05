"""An environment that is ill, and `pascal-install doctor` typed in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from support.installs import World

GPU = ("--gpu", "GTX 1080 Ti", "--driver", "580.95.05")


class Patient:
    """The command line in the world's environment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environ = {
            **world.environ,
            "VIRTUAL_ENV": str(world.venv),
            "PASCAL_INSTALL_CACHE_DIR": str(world.root / "cache"),
            "PASCAL_INSTALL_MIRROR": ";".join(f"{real}={played}" for real, played in world.mirror.mirrors),
        }

    def types(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pascal_install", "doctor", *words]
        return subprocess.run(
            command,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            stdin=subprocess.DEVNULL,
        )

    def told(self, *words: str, expect: int) -> dict[str, Any]:
        machine = () if "--gpu" in words else GPU
        done = self.types(*machine, *words, "--format", "json")
        assert done.returncode == expect, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def ids(self, *words: str, expect: int) -> list[str]:
        return sorted({one["id"] for one in self.told(*words, expect=expect)["findings"]})
