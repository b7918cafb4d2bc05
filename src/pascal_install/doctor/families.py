"""NVIDIA's libraries: of one CUDA family only, and of versions that still serve the GPU."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from pascal_install.doctor.case import Case, Symptom
from pascal_install.installation.needs import possible
from pascal_install.installation.state import Distribution, record
from pascal_install.model.finding import Finding

_FAMILIES = ("-cu11", "-cu12", "-cu13", "-cu14")


def check_families(case: Case) -> Iterator[Symptom]:
    """Report libraries of another CUDA major than the installed torch's: the families share their files."""
    wanted = f"-{case.torch_label[:4]}" if case.torch_label.startswith("cu") else ""
    found = {
        one.name: (one, family)
        for here in case.environment.found.values()
        for one in here
        if one.name.startswith("nvidia-") and (family := _family(one.name))
    }
    families = sorted({family for _, family in found.values()})
    if len(families) < 2 or wanted not in families:
        return
    ours = {row.path: one.name for one, family in found.values() if family == wanted for row in record(one)}
    for name, (one, family) in sorted(found.items()):
        if family == wanted:
            continue
        users = _users(case, name)
        shared = [row.path for row in record(one) if row.path in ours and not row.path.endswith("__init__.py")]
        evidence = one.folder
        if shared:
            evidence += f"; it shares {len(shared)} files with {ours[shared[0]]}, such as {shared[0]}"
        if users:
            evidence += f"; {', '.join(users)} needs it"
        yield Symptom(
            Finding(
                "two-cuda-families",
                "error" if shared else "warning",
                f"{name} {one.version} lies beside torch's own CUDA {wanted[3:]} libraries",
                evidence,
                "pascal-install doctor --fix; `pip uninstall` would take shared files away from torch's own"
                if not users
                else f"give {', '.join(users)} an environment of its own",
            ),
            remove=() if users else (name,),
            repair=("torch",) if shared and not users and case.is_known("torch") else (),
        )


def _family(name: str) -> str:
    return next((family for family in _FAMILIES if name.endswith(family)), "")


def _users(case: Case, name: str) -> list[str]:
    """Name what requires a library and is no library of that family itself."""
    return [
        other
        for other, here in sorted(case.environment.found.items())
        if _family(other) != _family(name)
        and any(canonicalize_name(need.name) == name for need in possible(_requires(case, here), case.markers))
    ]


def _requires(case: Case, here: tuple[Distribution, ...]) -> tuple[str, ...]:
    return tuple(line for one in here for line in case.requires(one))


def check_cudnn(case: Case) -> Iterator[Symptom]:
    """Report a cuDNN that left the GPU behind: 9.10 is the last that serves Maxwell, Pascal and Volta."""
    for capability in case.context.capabilities:
        generation = case.context.generation(capability)
        if generation is None or not generation.last_cudnn:
            continue
        last = _numbers(generation.last_cudnn)
        for name, here in sorted(case.environment.found.items()):
            if not name.startswith("nvidia-cudnn-") or _numbers(here[0].version)[: len(last)] <= last:
                continue
            yield Symptom(
                Finding(
                    "cudnn-too-new",
                    "error",
                    f"{name} {here[0].version} does not serve compute capability {capability}",
                    f"{generation.name} ends with cuDNN {generation.last_cudnn} ({generation.source});"
                    f" {here[0].folder}",
                    "pascal-install torch",
                ),
                replace=("torch",) if case.is_known("torch") and "torch" in case.environment.found else (),
            )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isascii() and part.isdigit())
