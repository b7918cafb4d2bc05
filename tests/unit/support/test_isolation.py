"""Tests cannot reach what lies beyond loopback."""

import os
import socket
import tempfile
from pathlib import Path

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_connections_beyond_loopback_are_refused(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as outgoing, pytest.raises(PermissionError, match="may not connect"):
        outgoing.connect(address)


def test_home_cache_and_temporary_folder_belong_to_the_test() -> None:
    home = Path.home()
    assert tempfile.gettempdir() == str(home / "tmp")
    assert os.environ["XDG_CACHE_HOME"] == str(home / "cache")
    assert [name for name in os.environ if name.startswith("PIP_")] == [
        "PIP_CONFIG_FILE",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_NO_INPUT",
    ]
