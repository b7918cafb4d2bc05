"""What `doctor` found and what would mend it, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pascal_install.model.finding import Finding
from pascal_install.model.gpu import HostFacts
from pascal_install.model.interpreter import Target
from pascal_install.report.document import SCHEMA, host_document, plan_document, target_document
from pascal_install.report.text import Style, clean, facts, no_plan, picks
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.doctor.mend import Mend


def diagnosis(host: HostFacts, target: Target, findings: Sequence[Finding], *, color: bool) -> str:
    """Word the findings: what, the evidence, what to do."""
    style = Style(color=color)
    lines = [*facts(host, target, style), ""]
    for one in findings:
        label = style.bad("error  ") if one.severity == "error" else style.strong("warning")
        lines.append(f"{label}  {clean(one.summary)}  [{one.id}]")
        lines += [f"         {clean(line)}" for line in one.evidence.splitlines()]
        lines += [f"         do: {clean(one.remedy)}"] if one.remedy else []
    errors = sum(one.severity == "error" for one in findings)
    if findings:
        lines.append("")
    lines.append(f"{errors} problem{'s' if errors > 1 else ''}" if errors else style.good("no problems found"))
    return "\n".join(lines) + "\n"


def mending(mend: Mend, *, color: bool) -> str:
    """Word the plan; empty where there is nothing to do."""
    style = Style(color=color)
    lines = [style.strong("the plan that mends it (pascal-install doctor --fix)")]
    if mend.recover:
        lines.append("  undo the killed install, then look again")
    plan = mend.plan
    if plan is not None and plan.problem is not None:
        lines += no_plan(plan.request, plan.problem, style)
    elif plan is not None:
        lines += [f"  {line}" for line in picks(plan.pins, style)] if plan.pins else []
        lines += [f"  install {clean(other)}" for other in plan.others]
        lines += [f"  remove {clean(name)}" for name in mend.remove]
        lines.append("  take away what killed installs left; all as one change that can be rolled back")
    if mend.needs_gpu:
        lines.append("  builds have to change: name the GPU that they are for, with --gpu")
    return "\n".join(lines) + "\n" if len(lines) > 1 else ""


def diagnosis_document(
    host: HostFacts, target: Target, findings: Sequence[Finding], mend: Mend, fixed: Sequence[Finding] | None
) -> dict[str, Any]:
    """Describe the same as JSON; `fixed` are the findings from before a fix, None where none was asked for."""
    return {
        "schema": SCHEMA,
        "target": target_document(target),
        "host": host_document(host),
        "findings": [_finding(one) for one in findings],
        "mend": {
            "recover": mend.recover,
            "needs_gpu": mend.needs_gpu,
            "plan": plan_document(mend.plan) if mend.plan else None,
            "install": list(mend.plan.others) if mend.plan else [],
            "remove": list(mend.remove),
        },
        "before_fix": None if fixed is None else [_finding(one) for one in fixed],
    }


def _finding(one: Finding) -> dict[str, str]:
    return dict(one._asdict())
