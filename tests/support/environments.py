"""Fresh virtual environments, and surroundings that nothing from outside reaches into."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

#: What the tests were started with, before anything was isolated.
ORIGINAL_ENVIRON: Mapping[str, str] = dict(os.environ)

#: Nothing listens there; what goes through it instead of to loopback fails at once.
DEAD_PROXY = "http://127.0.0.1:9"

_FOREIGN = ("PIP_", "UV_", "PASCAL_INSTALL_", "CONDA_", "CUDA_", "NVIDIA_")
_FOREIGN_NAMES = frozenset({"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__", "NETRC"})
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def is_foreign(name: str) -> bool:
    """Tell whether a variable steers pip, uv, Python, the network or us."""
    return name.startswith(_FOREIGN) or name in _FOREIGN_NAMES or name.upper() in _PROXIES


def quiet_settings() -> dict[str, str]:
    """Give what keeps pip and uv to themselves, and children off the network."""
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "HTTP_PROXY": DEAD_PROXY,
        "HTTPS_PROXY": DEAD_PROXY,
        "http_proxy": DEAD_PROXY,
        "https_proxy": DEAD_PROXY,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def clean_environ(home: Path | None = None, **extra: str) -> dict[str, str]:
    """Give an environment for a child: without foreign settings, off the network, with own folders below `home`."""
    environ = {name: text for name, text in os.environ.items() if not is_foreign(name)}
    environ |= quiet_settings()
    if home is not None:
        environ |= own_folders(home)
    return environ | extra


def own_folders(home: Path) -> dict[str, str]:
    """Make a home, a cache and a folder for temporary files, and give the variables that name them."""
    config = {"XDG_CONFIG_HOME": home / ".config", "APPDATA": home / ".config"}
    folders = {"HOME": home, "USERPROFILE": home, "XDG_CACHE_HOME": home / "cache", "TMPDIR": home / "tmp", **config}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {name: str(folder) for name, folder in folders.items()}


def make_venv(directory: Path, python: str = sys.executable, *, with_pip: bool = True) -> Path:
    """Make a virtual environment and give its interpreter."""
    options = [] if with_pip else ["--without-pip"]
    command = [python, "-I", "-m", "venv", *options, str(directory)]
    subprocess.run(command, check=True, capture_output=True, env=clean_environ())
    return interpreter_of(directory)


def interpreter_of(directory: Path) -> Path:
    """Give the interpreter of a virtual environment."""
    return directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
