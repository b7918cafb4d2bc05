"""An inspection as JSON, schema 1."""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.binary.coverage import Verdict, judge
from pascal_install.binary.fatbin import FatbinSection
from pascal_install.inspection.report import Report, verdict
from pascal_install.model.cuda import ComputeCapability

SCHEMA = 1


def document(report: Report, gpus: Sequence[ComputeCapability]) -> dict[str, object]:
    """Build the document; `complete` and `data` are there only where reading was cut short, or went deep."""
    binaries = []
    for binary in report.binaries:
        library = binary.library
        item: dict[str, object] = {
            "member": binary.member,
            "format": library.format,
            "machine": library.machine,
            "size_bytes": binary.size_bytes,
            "nv_fatbin": _section(library.nv_fatbin),
            "nv_relfatbin": _section(library.nv_relfatbin),
        }
        if library.data is not None:
            item["data"] = _section(library.data)
        item["coverage"] = {str(gpu): _coverage(judge(binary, gpu)) for gpu in gpus}
        binaries.append(item)
    whole: dict[str, object] = {
        "schema": SCHEMA,
        "subject": report.subject,
        "binaries": binaries,
        "skipped": [{"member": member, "why": why} for member, why in _skipped(report)],
        "coverage": {str(gpu): _decision(report, gpu) for gpu in gpus},
    }
    if not report.complete:
        whole["complete"] = False
    return whole


def _skipped(report: Report) -> list[tuple[str, str]]:
    damaged = [(error.subject, f"damaged at offset {error.offset}: {error.cause}") for error in report.damaged]
    return [*((one.member, one.why) for one in report.skipped), *damaged]


def _section(section: FatbinSection) -> dict[str, object]:
    return {
        "fatbins": section.fatbins,
        "cubin": {str(target): number for target, number in section.entries if not target.ptx},
        "ptx": {str(target): number for target, number in section.entries if target.ptx},
    }


def _coverage(found: Verdict) -> dict[str, object]:
    target = found.coverage.target
    item: dict[str, object] = {"kind": found.coverage.kind, "arch": str(target) if target else None}
    item["fatbins"] = found.fatbins
    if found.needs:
        item["needs_cuda"] = str(found.needs)
    return item


def _decision(report: Report, gpu: ComputeCapability) -> dict[str, object]:
    decision = verdict(report, gpu)
    if decision is None:
        return {"kind": "none", "arch": None, "because": None}
    item = _coverage(decision.verdict)
    del item["fatbins"]
    return {**item, "because": decision.because.member}
