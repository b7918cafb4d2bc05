"""The line on what was passed over: of the machine it tells, not of what the person asked for."""

from __future__ import annotations

import pytest

from pascal_install.cli.main import main

PASCAL = ["--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--platform", "linux_x86_64", "--python-version", "3.12"]


@pytest.mark.parametrize("asked", ["torch==2.6.0", "torch<2.7"])
def test_what_was_not_asked_for_was_not_passed_over(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", asked, "--torch-source", "pypi", *PASCAL], {}) == 0
    assert "passed over" not in capsys.readouterr().out


def test_what_has_no_code_for_the_gpu_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "exllamav2", *PASCAL], {}) == 0
    assert "passed over  exllamav2 0.3.2+cu128.torch2.9.0 (coupling: of torch 2.9.0+cu128" in capsys.readouterr().out
