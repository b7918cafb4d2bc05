"""An inspection as text."""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.binary.coverage import Binary, judge
from pascal_install.binary.fatbin import FatbinSection
from pascal_install.binary.linking import readable
from pascal_install.inspection.links import certainly_missing
from pascal_install.inspection.pairs import Pair
from pascal_install.inspection.report import Report, verdict
from pascal_install.model.cuda import ComputeCapability, Coverage
from pascal_install.report.text import Style, clean

#: Missing symbols that are named without --verbose.
_SHOWN = 10


def inspected(report: Report, gpus: Sequence[ComputeCapability], *, verbose: bool, color: bool) -> str:
    """Word what each binary carries and, for each GPU, the verdict and the library that it rests on."""
    style = Style(color=color)
    with_code = [binary for binary in report.binaries if binary.library.has_code]
    lines = [
        style.strong(clean(report.subject)) + f"  {len(report.binaries)} libraries, {len(with_code)} with device code"
    ]
    lines += [f"  {gpu.sm}: {_verdict(report, gpu, style)}" for gpu in gpus]
    for binary in with_code:
        lines += ["", f"  {clean(binary.member)}  {binary.library.format} {binary.library.machine}"]
        lines += _sections(binary, gpus)
    if not report.complete:
        lines += ["", "  not all was read: it stopped at a proven yes"]
    damaged = [f"{clean(str(one.subject))}: damaged at offset {one.offset}" for one in report.damaged]
    skipped = [f"{clean(one.member)}: {clean(one.why)}" for one in report.skipped]
    lines += [f"  {style.bad('damaged')}  {text}" for text in damaged]
    lines += [f"  skipped  {text}" for text in skipped] if verbose else []
    if skipped and not verbose:
        lines.append(f"  {len(skipped)} files skipped (--verbose names them)")
    return "\n".join(lines) + "\n"


def against(pair: Pair, *, verbose: bool, color: bool) -> str:
    """Word whether an extension loads beside a torch, and each symbol that is missing under the name the linker knows.

    The readable name stands in front, without parameters: the loader's demangler is native code, and hostile names
    would reach it. What stands behind can be given to c++filt.
    """
    style = Style(color=color)
    title = style.strong(f"{clean(pair.subject)} beside {clean(pair.torch)}")
    if not pair.libraries and not pair.findings:
        return f"{title}\n  nothing in it links with torch\n"
    lines = [f"{title}  {len(pair.libraries)} libraries that link with torch"]
    lines.append(f"  {style.good('loads') if pair.loads else style.bad('does not load')}")
    lines += [f"  {found.severity}  {clean(found.summary)}: {clean(found.evidence)}" for found in pair.findings]
    for linked in pair.libraries:
        missing = certainly_missing(linked.resolution)
        shown = missing if verbose else missing[:_SHOWN]
        lines += [f"    {clean(linked.member)}  {clean(readable(one.name))}  {clean(one.name)}" for one in shown]
        if len(missing) > len(shown):
            lines.append(f"    {clean(linked.member)}  and {len(missing) - len(shown)} more (--verbose names them)")
    return "\n".join(lines) + "\n"


def _verdict(report: Report, gpu: ComputeCapability, style: Style) -> str:
    decision = verdict(report, gpu)
    if decision is None:
        return "no device code to run"
    found = decision.verdict
    share = f"{found.fatbins} of {found.of} fatbins"
    if found.coverage.kind == "none":
        return f"{style.bad('no')}, {decision.because.name} has code for it in {share}"
    needs = f", with a driver for CUDA {found.needs} or newer" if found.needs else ""
    return f"{style.good('yes')}, {_kind(found.coverage)} in {decision.because.name} ({share}){needs}"


def _kind(found: Coverage) -> str:
    return f"{'PTX' if found.kind == 'ptx' else 'cubin'} {found.target}"


def _sections(binary: Binary, gpus: Sequence[ComputeCapability]) -> list[str]:
    lines = []
    named = (
        ("runs", binary.library.nv_fatbin),
        ("relocatable", binary.library.nv_relfatbin),
        ("plain data", binary.library.data),
    )
    for title, section in named:
        if section is not None and section.fatbins:
            lines.append(f"    {title:<12}{_entries(section)}  ({section.fatbins} fatbins)")
    for gpu in gpus:
        found = judge(binary, gpu)
        kind = "none" if found.coverage.kind == "none" else _kind(found.coverage)
        lines.append(f"    {gpu.sm:<12}{kind}, {found.fatbins} of {found.of} fatbins")
    return lines


def _entries(section: FatbinSection) -> str:
    return " ".join(f"{target}:{number}" for target, number in section.entries)
