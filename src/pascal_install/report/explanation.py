"""Every candidate of a search, as text and as JSON."""

from __future__ import annotations

from typing import Any

from pascal_install.model.plan import Problem
from pascal_install.report.document import (
    SCHEMA,
    host_document,
    problem_document,
    rejection_document,
    target_document,
)
from pascal_install.report.text import Style, clean, facts, no_plan
from pascal_install.resolve.search import Search, pin_order
from pascal_install.resolve.weigh import Candidate


def explanation(found: Search, problem: Problem | None, *, color: bool) -> str:
    """List each package's candidates, newest first: picked, usable, or each rule that passed it over."""
    style = Style(color=color)
    lines = facts(found.context.host, found.context.target, style)
    for name, candidates in found.candidates.items():
        usable = sum(1 for candidate in candidates if not candidate.rejections)
        lines += ["", style.strong(f"{name}: {len(candidates)} candidates, {usable} run here")]
        for candidate in candidates:
            lines += _candidate(candidate, found, style)
    if problem is not None:
        lines += ["", *no_plan(found.context.request, problem, style)]
    return "\n".join(lines) + "\n"


def _candidate(candidate: Candidate, found: Search, style: Style) -> list[str]:
    release = candidate.release
    title = f"{release.version} ({release.publisher})"
    if _is_picked(candidate, found):
        return [f"  {style.good('picked')}  {title}  {candidate.wheel.filename if candidate.wheel else ''}"]
    if not candidate.rejections:
        return [f"  runs    {title}"]
    lines = [f"  {style.bad('no')}      {title}"]
    for rejection in candidate.rejections:
        source = style.faint(f"  [{clean(rejection.source)}]") if rejection.source else ""
        lines.append(
            f"          {rejection.rule}: needs {clean(rejection.needed)}; found {clean(rejection.found)}{source}"
        )
    return lines


def _is_picked(candidate: Candidate, found: Search) -> bool:
    pick = found.picks.get(candidate.release.name)
    return pick is not None and pick.release == candidate.release


def explanation_document(found: Search, problem: Problem | None) -> dict[str, Any]:
    """Describe each candidate with all its rejections, and why nothing serves where that is so."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "target": target_document(found.context.target),
        "host": host_document(found.context.host),
        "picked": [found.picks[name].wheel.filename for name in pin_order(found)],
        "candidates": [
            {
                "name": name,
                "version": candidate.release.version,
                "publisher": candidate.release.publisher,
                "filename": candidate.wheel.filename if candidate.wheel else None,
                "picked": _is_picked(candidate, found),
                "architectures": [str(target) for target in candidate.release.architectures],
                "confidence": candidate.release.confidence,
                "source": candidate.release.source,
                "rejections": [rejection_document(rejection) for rejection in candidate.rejections],
            }
            for name, candidates in found.candidates.items()
            for candidate in candidates
        ],
    }
    if problem is not None:
        document["error"] = problem_document(problem)
    return document
