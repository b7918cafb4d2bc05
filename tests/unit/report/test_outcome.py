"""What is said of the kernel that proves an install."""

from __future__ import annotations

import pytest

from pascal_install.installation.execute import Outcome
from pascal_install.installation.verify import Verification
from pascal_install.model.gpu import HostFacts
from pascal_install.model.plan import Plan
from pascal_install.model.request import Request
from pascal_install.report.outcome import outcome
from support.facts import target


@pytest.mark.parametrize(
    ("torch_version", "kernels_run", "untried", "words"),
    [
        ("2.6.0", 1, (), "; a kernel ran on 1 GPU\n"),
        ("2.6.0", 2, ("C: out of memory",), "; a kernel ran on 2 GPUs\nnot tried  C: out of memory\n"),
        ("2.6.0", 0, ("C: out of memory",), "; no kernel was run\nnot tried  C: out of memory\n"),
        ("2.6.0", 0, (), "; no such GPU here, so no kernel was run\n"),
        ("", 0, (), "; no kernel was run, which only torch is asked to\n"),
    ],
)
def test_kernels(torch_version: str, kernels_run: int, untried: tuple[str, ...], words: str) -> None:
    plan = Plan(Request(()), HostFacts("linux", "x86_64", (), None), target(), (), (), ())
    done = Outcome("installed", verification=Verification(("torch",), torch_version, (), kernels_run, untried))
    assert words in outcome(plan, done, color=False)
