"""The machine, the target and how far their support goes, as text and as JSON."""

from __future__ import annotations

from pascal_install.report.document import SCHEMA, failure_document, host_document, target_document
from pascal_install.report.text import Style, clean, facts
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from pascal_install.errors import PascalInstallError
    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.resolve.support import Support


def machine(host: HostFacts, target: Target, support: tuple[Support, ...], *, color: bool) -> str:
    """Word what was found, how, and what it means."""
    style = Style(color=color)
    lines = facts(host, target, style)
    for gpu in host.gpus:
        details = [
            f"{gpu.memory_total_bytes / 2**30:.1f} GiB" if gpu.memory_total_bytes else "",
            gpu.uuid,
            gpu.pci_bus_id,
            gpu.problem,
        ]
        shown = ", ".join(clean(detail) for detail in details if detail)
        lines += [f"        {gpu.ordinal}: {shown}"] if shown else []
    lines += [f"        {target.best_tag}, {target.libc or target.os}, {_environment(target)}", "", "how it was found"]
    lines += [
        f"  {step.method:<28}{step.outcome}{f': {clean(step.detail)}' if step.detail else ''}" for step in host.steps
    ]
    for one in support:
        lines += ["", style.strong(f"support of compute capability {one.capability} ({one.generation or 'unknown'})")]
        lines.append(f"  driver   {f'up to branch {one.last_driver_branch}' if one.last_driver_branch else 'current'}")
        lines.append(f"  CUDA     {f'up to {one.last_cuda}' if one.last_cuda else 'current'}")
        lines.append(f"  torch    {f'up to {one.newest_torch}' if one.newest_torch else 'none has code for it'}")
        lines += [f"  note     {clean(text)}" for text in one.advice]
    return "\n".join(lines) + "\n"


def _environment(target: Target) -> str:
    state = "virtual environment" if target.is_virtual else "not a virtual environment"
    state += ", externally managed" if target.externally_managed else ""
    state += "" if target.writable else ", read-only"
    pip = f"pip {target.pip_version}" if target.pip_version else "no pip"
    return f"{state}, {pip}, {len(target.installed)} distributions"


def machine_document(
    host: HostFacts, target: Target, support: tuple[Support, ...], problem: PascalInstallError | None = None
) -> dict[str, Any]:
    """Describe the same as JSON, with the error that an install would end with."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "host": host_document(host),
        "target": {
            **target_document(target),
            "executable": target.executable,
            "abi": target.abi,
            "libc": target.libc,
            "virtual": target.is_virtual,
            "externally_managed": bool(target.externally_managed),
            "writable": target.writable,
            "pip": target.pip_version or None,
            "distributions": len(target.installed),
        },
        "support": [
            {
                "compute_capability": str(one.capability),
                "generation": one.generation or None,
                "last_driver_branch": one.last_driver_branch or None,
                "last_cuda": one.last_cuda or None,
                "newest_torch": one.newest_torch or None,
                "advice": list(one.advice),
            }
            for one in support
        ],
    }
    if problem is not None:
        document["error"] = failure_document(problem)
    return document
