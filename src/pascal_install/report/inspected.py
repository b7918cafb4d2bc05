"""An inspection as text."""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.binary.coverage import Binary, judge
from pascal_install.binary.fatbin import FatbinSection
from pascal_install.binary.linking import readable
from pascal_install.inspection.links import certainly_missing
from pascal_install.inspection.pairs import Pair
from pascal_install.inspection.report import Report, verdict
from pascal_install.model.cuda import CodeTarget, ComputeCapability, Coverage, CudaVersion
from pascal_install.report.text import Style, clean
from pascal_install.value import NamedTuple

#: Missing symbols that are named without --verbose.
_SHOWN = 10


class Drivers(NamedTuple):
    """What is known of drivers, for PTX, which needs one that can compile it."""

    branches: Sequence[tuple[int, CudaVersion]] = ()
    """All branches, oldest first, with the CUDA versions that they implement."""
    here: CudaVersion | None = None
    """What this machine's driver implements, where the GPUs are this machine's."""

    def wanted(self, needs: CudaVersion) -> str:
        """Word which driver PTX needs."""
        older = any(cuda < needs for _, cuda in self.branches)
        first = next((branch for branch, cuda in self.branches if cuda >= needs), None)
        # Where even the oldest branch that is known will do, an older one may do as well.
        named = f" (branch {first})" if older and first else ""
        return f"for CUDA {needs} or newer{named}"


def inspected(
    report: Report,
    gpus: Sequence[ComputeCapability],
    drivers: Drivers | None = None,
    *,
    verbose: bool,
    color: bool,
) -> str:
    """Word what each binary carries and, for each GPU, the verdict and the library that it rests on."""
    style = Style(color=color)
    with_code = [binary for binary in report.binaries if binary.library.has_code]
    lines = [
        style.strong(clean(report.subject)) + f"  {len(report.binaries)} libraries, {len(with_code)} with device code"
    ]
    lines += [f"  {gpu.sm}: {_verdict(report, gpu, drivers or Drivers(), style)}" for gpu in gpus]
    for binary in with_code:
        lines += ["", f"  {clean(binary.member)}  {binary.library.format} {binary.library.machine}"]
        lines += _sections(binary, gpus)
    if not report.complete:
        lines += ["", "  not all was read: it stopped at a proven yes"]
    damaged = [f"{clean(str(one.subject))}: damaged at offset {one.offset}" for one in report.damaged]
    lines += [f"  {style.bad('damaged')}  {text}" for text in damaged]
    # Of a single file the reason is the answer; in an environment it is noise.
    is_named = verbose or not report.binaries
    lines += (
        [f"  skipped  {clean(one.member)}: {clean(one.why)}" for one in report.skipped[: None if verbose else _SHOWN]]
        if is_named
        else []
    )
    left = len(report.skipped) - (0 if not is_named else len(report.skipped) if verbose else _SHOWN)
    if left > 0:
        lines.append(
            f"  {left} {'files' if left > 1 else 'file'} skipped (--verbose names {'them' if left > 1 else 'it'})"
        )
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
    yes = style.good("loads") if pair.libraries else "not known"
    lines.append(f"  {yes if pair.loads else style.bad('does not load')}")
    lines += [f"  {found.severity}  {clean(found.summary)}: {clean(found.evidence)}" for found in pair.findings]
    for linked in pair.libraries:
        missing = certainly_missing(linked.resolution)
        shown = missing if verbose else missing[:_SHOWN]
        lines += [f"    {clean(linked.member)}  {clean(readable(one.name))}  {clean(one.name)}" for one in shown]
        if len(missing) > len(shown):
            lines.append(f"    {clean(linked.member)}  and {len(missing) - len(shown)} more (--verbose names them)")
    return "\n".join(lines) + "\n"


def _verdict(report: Report, gpu: ComputeCapability, drivers: Drivers, style: Style) -> str:
    decision = verdict(report, gpu)
    if decision is None:
        return "no device code to run"
    found, member = decision.verdict, clean(decision.because.member)
    share = f"{found.fatbins} of {found.of} fatbins"
    if found.coverage.kind == "none":
        return f"{style.bad('no')}, {member} has code for it in {share}"
    what = f"{_kind(found.coverage)} in {member} ({share})"
    if found.needs and drivers.here and drivers.here < found.needs:
        return f"{style.bad('no')}, {what} needs a driver {drivers.wanted(found.needs)}, here is one for {drivers.here}"
    needs = f", with a driver {drivers.wanted(found.needs)}" if found.needs else ""
    return f"{style.good('yes')}, {what}{needs}"


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
            lines.append(f"    {title:<12}{_shares(section)}")
    for gpu in gpus:
        found = judge(binary, gpu)
        kind = "none" if found.coverage.kind == "none" else _kind(found.coverage)
        lines.append(f"    {gpu.sm:<12}{kind}, {found.fatbins} of {found.of} fatbins")
    return lines


def _shares(section: FatbinSection) -> str:
    """Word in how many of all fatbins there is code for each target."""
    numbers: dict[CodeTarget, int] = {}
    for group in section.groups:
        for target in group.targets:
            numbers[target] = numbers.get(target, 0) + group.fatbins
    shares = [f"{target} {numbers[target]}/{section.fatbins}" for target, _ in section.entries]
    # Such as bitcode for link-time optimisation.
    shares += [f"{section.other_entries} other entries"] if section.other_entries else []
    return "  ".join(shares) or f"{section.fatbins} without code"
