"""Proof that what was installed runs here: imports, torch's own architectures, one kernel on each GPU, the binaries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pascal_install import process
from pascal_install.errors import VerificationError
from pascal_install.inspection.verify import verify_environment
from pascal_install.installation import verify_probe
from pascal_install.installation.backend import offline_environ
from pascal_install.installation.state import site_folders
from pascal_install.model.cuda import CodeTarget, ComputeCapability, coverage
from pascal_install.model.plan import Plan
from pascal_install.value import NamedTuple

#: Importing torch takes 2.4 to 5.4 s warm; the first time, from a cold disk and without compiled files, far longer.
_TIMEOUT_S = 600.0


class Kernel(NamedTuple):
    """One GPU on which a kernel was run."""

    gpu: str
    capability: str
    problem: str


class Verification(NamedTuple):
    """What was proved."""

    imports: tuple[str, ...]
    torch_version: str
    architectures: tuple[str, ...]
    kernels: tuple[Kernel, ...]
    """Empty on a machine without a GPU: nothing was run, and nothing is claimed."""


def verify(plan: Plan, names: tuple[str, ...], environ: Mapping[str, str], pycache: str = "") -> Verification:
    """Import the modules in the target and hold them against the plan. Raises VerificationError with all that is wrong.

    `pycache` is a folder for what Python compiles meanwhile, so that the environment itself is only read.
    """
    answer = _probe(plan, names, environ, pycache)
    problems = [f"import {name}: {why}" for name, why in answer["imports"].items() if why]
    found = Verification(
        imports=tuple(name for name, why in answer["imports"].items() if not why),
        torch_version=answer["torch"] or "",
        architectures=tuple(answer["architectures"]),
        kernels=tuple(Kernel(one["name"], one["capability"], one["problem"]) for one in answer["kernels"]),
    )
    problems += _kernel_problems(plan, found)
    problems += _binary_problems(plan)
    if problems:
        raise VerificationError(
            "what was installed does not do what the plan promised", code="not-proved", cause="\n".join(problems)
        )
    return found


def _kernel_problems(plan: Plan, found: Verification) -> list[str]:
    problems = []
    pin = plan.pin("torch")
    if pin is not None and found.architectures:
        targets = tuple(_parsed(found.architectures))
        for capability, promised in pin.coverage:
            if coverage(targets, capability).kind == "none":
                names = " ".join(found.architectures)
                problems.append(f"torch has no code for {capability} (promised {promised.target}); it has {names}")
    wanted = {capability for pin in plan.pins for capability, _ in pin.coverage}
    problems += [
        f"a kernel on {kernel.gpu} ({kernel.capability}): {kernel.problem}"
        for kernel in found.kernels
        if kernel.problem and ComputeCapability.parse(kernel.capability) in wanted
    ]
    return problems


def _parsed(architectures: tuple[str, ...]) -> list[CodeTarget]:
    found = []
    for text in architectures:
        try:
            found.append(CodeTarget.parse(text))
        except ValueError:
            # An architecture of a newer toolkit, in a form that is not known here, serves none of our GPUs.
            continue
    return found


def _binary_problems(plan: Plan) -> list[str]:
    capabilities = tuple(dict.fromkeys(capability for pin in plan.pins for capability, _ in pin.coverage))
    packages = tuple(pin.build.release.name for pin in plan.pins)
    driver = plan.host.driver
    findings = verify_environment(
        site_folders(plan.target), packages, capabilities, driver_cuda=driver.cuda if driver else None
    )
    return [f"{finding.summary} {finding.evidence}".strip() for finding in findings if finding.severity == "error"]


def _probe(plan: Plan, names: tuple[str, ...], environ: Mapping[str, str], pycache: str) -> dict[str, Any]:
    script = verify_probe.__file__
    options = ("-X", f"pycache_prefix={pycache}") if pycache else ()
    args = (plan.target.executable, "-I", *options, script, *names)
    try:
        done = process.run(args, env=offline_environ(environ), timeout_s=_TIMEOUT_S)
    except (OSError, process.ProcessTimeout) as error:
        raise VerificationError("the proof did not run to its end", code="not-proved", cause=str(error)) from error
    for line in done.stdout.splitlines():
        if line.startswith(verify_probe.MARKER):
            answer: dict[str, Any] = json.loads(line[len(verify_probe.MARKER) :])
            return answer
    last = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()][-6:]
    raise VerificationError(
        f"the target's Python ended with exit code {done.returncode} while importing {', '.join(names)}",
        code="import-crash",
        cause="\n".join(last),
    )
