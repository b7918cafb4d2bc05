"""Every test runs in surroundings of its own and cannot leave the machine, except those marked `real`."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from support.environments import ORIGINAL_ENVIRON, is_foreign, own_folders, quiet_settings
from support.mirror import Mirror

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_as_on_a_terminal() -> None:
    """A shell starts what it puts into the background deaf to SIGINT, and every child would be too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _no_foreign_settings() -> Iterator[None]:
    """Take away what the person who runs the tests has set for pip, uv, the network and us."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ORIGINAL_ENVIRON:
            if is_foreign(name):
                patch.delenv(name)
        for name, text in quiet_settings().items():
            patch.setenv(name, text)
        yield


@pytest.fixture(autouse=True)
def _own_surroundings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test its own home, cache and temporary folder, and refuse connections beyond loopback."""
    folders = own_folders(tmp_path_factory.mktemp("home"))
    if request.node.get_closest_marker("real") is not None:
        for name in quiet_settings():
            monkeypatch.delenv(name, raising=False)
        for name, text in ORIGINAL_ENVIRON.items():
            if name.upper().startswith(("PIP_", "UV_")) or name.upper().endswith("_PROXY"):
                monkeypatch.setenv(name, text)
        folders = {name: path for name, path in folders.items() if name == "XDG_CACHE_HOME"}
    else:
        monkeypatch.setattr(socket.socket, "connect", _only_loopback(socket.socket.connect))
        monkeypatch.setattr(socket.socket, "connect_ex", _only_loopback(socket.socket.connect_ex))
    for name, path in folders.items():
        monkeypatch.setenv(name, path)
    monkeypatch.setattr(tempfile, "tempdir", os.environ.get("TMPDIR"))


def _only_loopback(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        is_inet = self.family in (socket.AF_INET, socket.AF_INET6)
        if is_inet and address[0] != "localhost" and not ipaddress.ip_address(address[0]).is_loopback:
            raise PermissionError(f"a test may not connect to {address[0]}")
        return connect(self, address)

    return guarded


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """Give the wheel hosts on loopback, empty."""
    with Mirror() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted (`record_property("told", ...)`), wherever they ran."""
    for report in (one for outcome in ("passed", "failed") for one in terminalreporter.getreports(outcome)):
        for name, told in report.user_properties:
            if name == "told":
                terminalreporter.write_line(f"{report.nodeid}: {told}")
