"""Proof that what was installed runs here: imports, torch's own architectures, one kernel on each GPU, the binaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pascal_install import process
from pascal_install.errors import VerificationError
from pascal_install.inspection.verify import verify_environment
from pascal_install.installation import verify_probe
from pascal_install.installation.backend import offline_environ
from pascal_install.installation.state import site_folders
from pascal_install.model.cuda import CodeTarget, ComputeCapability, coverage
from pascal_install.model.gpu import GpuDevice, HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Plan
from pascal_install.value import NamedTuple

#: What CUDA answers where a GPU cannot be used now, whatever code it is given (CUDA Runtime API, cudaError_t): 2, 46,
#: 214, 802, 805 and the next. An H100 full to its last 3 MB says the first to a torch that is right for it.
_NOT_NOW = ("out of memory", "busy or unavailable", "uncorrectable ECC error", "system not yet initialized", "MPS ")

#: What torch answers where it is the wrong one for a machine whose GPU it does not see. All else that hides the GPU
#: from it - no libcuda in a container, missing device files - is the machine's, and any torch would say it.
_WRONG_TORCH = ("is too old", "not compiled with CUDA")

#: Importing torch takes 2.4 to 5.4 s warm; the first time, from a cold disk and without compiled files, far longer.
_TIMEOUT_S = 600.0


class Kernel(NamedTuple):
    """One GPU on which a kernel was to run."""

    gpu: str
    capability: str
    problem: str
    """What CUDA said; empty where the kernel ran and its result is right."""

    @property
    def is_untried(self) -> bool:
        """Tell a GPU that could not be used now from one that cannot run the code."""
        return any(sign in self.problem for sign in _NOT_NOW)

    def __str__(self) -> str:
        return f"{self.gpu} ({self.capability}): {self.problem}"


class Proof(NamedTuple):
    """What importing modules in an environment, and using its GPUs, came to."""

    imports: Mapping[str, str]
    """Module to why it does not import; empty where it does."""
    torch_version: str
    architectures: tuple[str, ...]
    kernels: tuple[Kernel, ...]
    no_gpu: str
    """Why torch sees no GPU, in its own words."""

    @property
    def is_wrong_torch(self) -> bool:
        """Tell whether torch sees no GPU because it is the wrong one for the driver."""
        return any(sign in self.no_gpu for sign in _WRONG_TORCH)


class Verification(NamedTuple):
    """What was proved."""

    imports: tuple[str, ...]
    torch_version: str
    architectures: tuple[str, ...]
    kernels_run: int
    """On how many GPUs; 0 on a machine without one: nothing was run, and nothing is claimed."""
    untried: tuple[str, ...] = ()
    """GPUs of this machine that could not be used now, and why; the environment is not to blame."""


def verify(plan: Plan, names: tuple[str, ...], environ: Mapping[str, str], pycache: str = "") -> Verification:
    """Import the modules in the target and hold them against the plan. Raises VerificationError with all that is wrong.

    `pycache` is a folder for what Python compiles meanwhile, so that the environment itself is only read.
    """
    proof = prove(plan.target, names, environ, pycache)
    problems = [f"import {name}: {why}" for name, why in proof.imports.items() if why]
    problems += _kernel_problems(plan, proof)
    problems += _binary_problems(plan)
    if problems:
        raise VerificationError(
            "what was installed does not do what the plan promised", code="not-proved", cause="\n".join(problems)
        )
    return Verification(
        imports=tuple(proof.imports),
        torch_version=proof.torch_version,
        architectures=proof.architectures,
        kernels_run=sum(not kernel.problem for kernel in proof.kernels),
        untried=tuple(_untried(plan.host, proof)),
    )


def _kernel_problems(plan: Plan, proof: Proof) -> list[str]:
    problems = []
    pin = plan.pin("torch")
    if pin is not None and proof.architectures:
        targets = tuple(_parsed(proof.architectures))
        for capability, promised in pin.coverage:
            if coverage(targets, capability).kind == "none":
                names = " ".join(proof.architectures)
                problems.append(f"torch has no code for {capability} (promised {promised.target}); it has {names}")
    wanted = {capability for pin in plan.pins for capability, _ in pin.coverage}
    problems += [
        f"a kernel on {kernel}"
        for kernel in proof.kernels
        if kernel.problem and not kernel.is_untried and ComputeCapability.parse(kernel.capability) in wanted
    ]
    if proof.is_wrong_torch and usable_gpus(plan.host):
        problems.append(f"torch does not see the GPU: {proof.no_gpu}")
    return problems


def _untried(host: HostFacts, proof: Proof) -> Iterator[str]:
    yield from (str(kernel) for kernel in proof.kernels if kernel.is_untried)
    if proof.no_gpu:
        yield from (f"{gpu.name}: {proof.no_gpu}" for gpu in usable_gpus(host))


def usable_gpus(host: HostFacts) -> tuple[GpuDevice, ...]:
    """Give the visible GPUs that the driver itself told of: a kernel should run on them, here and now."""
    return tuple(gpu for gpu in host.visible_gpus if gpu.source in ("nvml", "nvidia-smi"))


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


def prove(target: Target, names: Sequence[str], environ: Mapping[str, str], pycache: str = "") -> Proof:
    """Import modules in the target, and run a kernel on each GPU.

    `pycache` is a folder for what Python compiles meanwhile; without one it writes nothing.
    Raises VerificationError where that Python does not come to its end.
    """
    args = (target.executable, "-I", verify_probe.__file__, pycache, *names)
    # Another Python that a module starts does not know of that folder.
    env = {**offline_environ(environ), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = process.run(args, env=env, timeout_s=_TIMEOUT_S)
    except (OSError, process.ProcessTimeout) as error:
        raise VerificationError("the proof did not run to its end", code="not-proved", cause=str(error)) from error
    for line in done.stdout.splitlines():
        if line.startswith(verify_probe.MARKER):
            return _read(json.loads(line[len(verify_probe.MARKER) :]))
    last = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()][-6:]
    raise VerificationError(
        f"the target's Python ended with exit code {done.returncode} while importing {', '.join(names)}",
        code="import-crash",
        cause="\n".join(last),
    )


def _read(answer: Mapping[str, Any]) -> Proof:
    return Proof(
        imports=answer["imports"],
        torch_version=answer["torch"] or "",
        architectures=tuple(answer["architectures"]),
        kernels=tuple(Kernel(one["name"], one["capability"], one["problem"]) for one in answer["kernels"]),
        no_gpu=answer["no_gpu"],
    )
