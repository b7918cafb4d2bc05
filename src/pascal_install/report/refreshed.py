"""What a refresh found: for people as a diff, for programs as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pascal_install.model.refreshed import KINDS, Change, Failed, Refreshed
from pascal_install.report.document import SCHEMA, failure_document
from pascal_install.report.text import Style, clean

_SIGNS = {"alarm": "!", "new": "+", "changed": "~", "gone": "-", "skipped": "?"}
_MOST_FILES = 4


def refreshed(found: Sequence[Refreshed], *, color: bool = False) -> str:
    """Word what was found, package by package; what is alike is told in one line."""
    style = Style(color=color)
    lines = []
    for package in found:
        asked = ", ".join(
            [
                *(f"{one.id} lists {one.wheels} wheels" for one in package.asked),
                *(f"{one.id} could not be read" for one in package.failed),
            ]
        )
        counts = ", ".join(f"{len(package.of_kind(kind))} {kind}" for kind in KINDS if package.of_kind(kind))
        lines.append(f"{style.strong(package.name)}  {asked or 'nothing to ask'}")
        lines.append(f"  {counts or 'nothing new'}" if package.asked else "")
        lines += [line for kind in KINDS for line in _lines(package.of_kind(kind))]
    return "\n".join(line for line in lines if line) + "\n"


def _lines(changes: Sequence[Change]) -> list[str]:
    """One line for each release and thing that happened to it, then its files."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for change in changes:
        key = (change.kind, change.publisher, change.version, change.variant, change.platform, change.what)
        grouped.setdefault(key, []).extend(change.filenames)
    lines = []
    for (kind, publisher, version, variant, platform, what), files in grouped.items():
        lines.append(clean(f"  {_SIGNS[kind]} {version} {variant} {platform} ({publisher}): {what}"))
        lines += [f"      {clean(name)}" for name in files[:_MOST_FILES]]
        lines += [f"      and {len(files) - _MOST_FILES} more"] if len(files) > _MOST_FILES else []
    return lines


def refreshed_document(found: Sequence[Refreshed], written: Sequence[str], today: str) -> dict[str, Any]:
    """Describe the same; `written` are the files that hold it now, none after a dry run or an alarm."""
    return {
        "schema": SCHEMA,
        "date": today,
        "packages": [
            {
                "name": package.name,
                "indexes": [one._asdict() for one in package.asked],
                "failed": [_failed(one) for one in package.failed],
                **{kind: [_change(change) for change in package.of_kind(kind)] for kind in KINDS},
            }
            for package in found
        ],
        "written": list(written),
    }


def _failed(failed: Failed) -> dict[str, Any]:
    document = failure_document(failed.error)
    return {"id": failed.id, "upstream": failed.upstream, "rule": document["rule"], "why": document["why"]}


def _change(change: Change) -> dict[str, Any]:
    return {
        "index": change.publisher,
        "version": change.version,
        "cuda_variant": change.variant or None,
        "platform": change.platform,
        "filenames": list(change.filenames),
        "what": change.what,
    }
