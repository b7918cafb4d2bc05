"""Runs an install in a process of its own that ends itself, as a power cut would, at a named moment.

Arguments: a pickle of (plan, environ, cache folder, mirrors, installer), the moment (a step of the journal, or `line`
for the first line that the installer prints while it works), and what is run: `install` or `rollback`.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from pascal_install.fetch import Fetcher
from pascal_install.installation.execute import Options, execute
from pascal_install.installation.rollback import rollback
from support.installs import Recorder, World


class Deadly(Recorder):
    """Ends this process, and only this one, at its moment."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self._moment = moment

    def on_step(self, name: str) -> None:
        if name == self._moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_line(self, text: str) -> None:
        self.on_step("line")


def run_killed(world: World, moment: str, installer: str = "pip", action: str = "install") -> None:
    """Run the world's install, or the way back, in a child that is killed at a moment."""
    options = world.options
    parts = (world.plan, dict(options.environ), options.cache_dir, options.mirrors, installer)
    file = world.root / "install.pickle"
    file.write_bytes(pickle.dumps(parts))
    folders = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "support.killed_install", str(file), moment, action]
    done = subprocess.run(command, check=False, capture_output=True, env={**world.environ, "PYTHONPATH": folders})
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def main(file: str, moment: str, action: str) -> None:
    plan, environ, cache, mirrors, installer = pickle.loads(Path(file).read_bytes())
    options = Options(environ, cache, lambda: Fetcher(mirrors=mirrors), mirrors, installer)
    if action == "rollback":
        rollback(plan.target, Deadly(moment))
    else:
        execute(plan, options, Deadly(moment))


if __name__ == "__main__":
    main(*sys.argv[1:])
