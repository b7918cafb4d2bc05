"""What the README promises is what the program does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pascal_install import errors
from pascal_install.cli.main import COMMANDS, help_text

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_command_and_exit_code_is_named(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for command in COMMANDS:
        if command != "install":
            assert f"`pascal-install {command}" in text, command
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    for code in codes:
        assert f"| {code} |" in text


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("python3 -m venv .venv", ".venv/bin/pip install --quiet '.[test]'", ".venv/bin/python -m pytest"):
        assert command in readme
        assert command + "\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_help_names_every_command() -> None:
    for command, summary in COMMANDS.items():
        assert f"{command} " in help_text()
        assert summary in help_text()
