"""What an install came to, as text and as JSON."""

from __future__ import annotations

from pascal_install.report import text
from pascal_install.report.text import Style, clean
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from pascal_install.installation.execute import Outcome
    from pascal_install.model.plan import Plan


def outcome(plan: Plan, done: Outcome | None, *, color: bool) -> str:
    """Word the result; `done` is None where there was nothing to install."""
    if done is None:
        return text.plan(plan, color=color)
    style = Style(color=color)
    pins = ", ".join(f"{pin.build.release.name} {pin.build.release.version}" for pin in plan.pins)
    if done.status == "in-place":
        return f"{style.good('in place')}: {pins}; nothing was changed\n"
    lines = [f"{style.good('installed')}: {pins}"]
    proof = done.verification
    if proof is not None:
        if proof.kernels_run:
            runs = f"; a kernel ran on {proof.kernels_run} GPU{'s' if proof.kernels_run > 1 else ''}"
        elif proof.untried:
            runs = "; no kernel was run"
        elif proof.torch_version:
            runs = "; no such GPU here, so no kernel was run"
        else:
            runs = "; no kernel was run, which only torch is asked to"
        has = f"; torch has {clean(' '.join(proof.architectures))}" if proof.architectures else ""
        lines.append(f"verified: {clean(', '.join(proof.imports))} import{has}{runs}")
        lines += [f"{style.bad('not tried')}  {clean(one)}" for one in proof.untried]
        if proof.untried:
            lines.append("           the install stays; `pascal-install doctor` tries again, and says what to do")
    lines += [f"note  {clean(note)}" for note in plan.notes]
    if done.kept_bytes:
        from pascal_install.report.progress import size_text

        lines.append(f"`pascal-install rollback` brings back what was there ({size_text(done.kept_bytes)} kept for it)")
    return "\n".join(lines) + "\n"


def outcome_document(plan: Plan, done: Outcome | None) -> dict[str, Any]:
    """Describe the result: the plan's document, and what was changed."""
    from pascal_install.report.document import plan_document

    document = plan_document(plan)
    if done is None:
        return document
    proof = done.verification
    document["outcome"] = {
        "status": done.status,
        "changes": [
            {"kind": step.kind, "name": step.name, "before": step.before or None, "after": step.after or None}
            for step in (done.change.steps if done.change else ())
        ],
        "verified": {
            "imports": list(proof.imports),
            "torch": proof.torch_version,
            "architectures": list(proof.architectures),
            "kernels_run": proof.kernels_run,
            "untried": list(proof.untried),
        }
        if proof
        else None,
    }
    return document
