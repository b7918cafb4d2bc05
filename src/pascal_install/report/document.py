"""The JSON documents, schema 1: one document, the same bytes for the same facts."""

from __future__ import annotations

from pascal_install.errors import PascalInstallError, UnsatisfiableError
from pascal_install.model.address import Mirror, mirrored, redact
from pascal_install.report.commands import commands
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.plan import Pin, Plan, Problem, Rejection

SCHEMA = 1


def to_json(document: dict[str, Any]) -> str:
    """Serialise a document, readable for people too."""
    import json

    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def error_document(error: PascalInstallError) -> dict[str, Any]:
    """Describe a failure that left no answer."""
    return {"schema": SCHEMA, "error": failure_document(error)}


def failure_document(error: PascalInstallError) -> dict[str, Any]:
    """Describe a failure itself."""
    return {
        "code": error.exit_code,
        "rule": error.code,
        "why": error.summary + (f": {error.cause}" if error.cause else ""),
        "suggest": list(error.hints),
    }


def problem_document(problem: Problem) -> dict[str, Any]:
    """Describe why there is no plan, in the same form."""
    return {
        "code": UnsatisfiableError.exit_code,
        "rule": problem.rule,
        "why": problem.why,
        "suggest": list(problem.suggest),
    }


def plan_document(plan: Plan, mirrors: Sequence[Mirror] = (), installer: str = "pip") -> dict[str, Any]:
    """Describe a plan, or why there is none."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "target": target_document(plan.target),
        "host": host_document(plan.host),
        "pins": [_pin(pin, mirrors) for pin in plan.pins],
        "commands": [list(command) for command in commands(plan, mirrors, installer)] if plan.pins else [],
        "notes": list(plan.notes),
        "rejected": [rejection_document(rejection) for rejection in plan.rejected],
    }
    if plan.problem is not None:
        document["error"] = problem_document(plan.problem)
    return document


def target_document(target: Target) -> dict[str, Any]:
    """Describe the target."""
    return {"python": target.python, "tag": target.best_tag, "prefix": target.prefix, "source": target.source}


def host_document(host: HostFacts) -> dict[str, Any]:
    """Describe the machine."""
    driver = host.driver
    return {
        "driver": str(driver.version) if driver and driver.version else None,
        "cuda": str(driver.cuda) if driver and driver.cuda else None,
        "source": driver.source if driver else None,
        "gpus": [
            {
                "index": gpu.ordinal,
                "name": gpu.name,
                "compute_capability": str(gpu.capability) if gpu.capability else None,
                "memory_total_bytes": gpu.memory_total_bytes,
                "uuid": gpu.uuid or None,
                "pci_bus_id": gpu.pci_bus_id or None,
                "visible": gpu.visible,
                "problem": gpu.problem or None,
                "source": gpu.source,
            }
            for gpu in host.gpus
        ],
        "steps": [{"method": step.method, "outcome": step.outcome, "detail": step.detail} for step in host.steps],
    }


def _pin(pin: Pin, mirrors: Sequence[Mirror]) -> dict[str, Any]:
    release, wheel = pin.build
    return {
        "name": release.name,
        "version": release.version,
        "cuda_variant": release.variant,
        "filename": wheel.filename,
        "url": redact(mirrored(wheel.url, mirrors)) or None,
        "sha256": wheel.sha256 or None,
        "size_bytes": wheel.size_bytes,
        "publisher": release.publisher,
        "index_url": redact(mirrored(release.index_url, mirrors)) or None,
        "coverage": {
            str(capability): {"kind": found.kind, "arch": str(found.target) if found.target else None}
            for capability, found in pin.coverage
        },
        "evidence": list(pin.evidence),
    }


def rejection_document(rejection: Rejection) -> dict[str, Any]:
    """Describe why a candidate was passed over."""
    return {
        "name": rejection.name,
        "version": rejection.version,
        "publisher": rejection.publisher,
        "rule": rejection.rule,
        "why": rejection.why,
        "needed": rejection.needed,
        "found": rejection.found,
        "source": rejection.source,
    }
