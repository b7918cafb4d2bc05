"""What a GPU gets: the verdict on one library, and on many that belong together.

A union of all architectures found is no verdict. One translation unit that was compiled without `-gencode` leaves sm_52
in 1 of 53 fatbins; torch 2.8.0 keeps sm_60 in a side library while its main one starts at sm_70. So fatbins are
counted, and the weakest library that matters decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pascal_install.binary.library import Library
from pascal_install.model.cuda import NO_COVERAGE, CodeTarget, ComputeCapability, Coverage, CudaVersion, coverage
from pascal_install.value import NamedTuple

_STRENGTH = {"none": 0, "ptx": 1, "cubin": 2}


class Verdict(NamedTuple):
    """How one library serves one GPU."""

    coverage: Coverage
    """Support as a whole: `none` where too few of the fatbins have code for the GPU (see `_enough`)."""
    fatbins: int
    """How many fatbins have code for it."""
    of: int
    """How many fatbins count: those with code, except fast paths made for other single devices (`sm_90a` alone)."""
    needs: CudaVersion | None = None
    """For PTX: the CUDA version that a driver must know to compile it."""

    @property
    def strength(self) -> tuple[int, float]:
        """What decides which of two libraries is the weaker one."""
        return _STRENGTH[self.coverage.kind], self.fatbins / self.of if self.of else 0.0


class Binary(NamedTuple):
    """One library with its name within what is inspected."""

    member: str
    """Path with forward slashes, `xformers/_C.so`."""
    size_bytes: int
    library: Library

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.member.rpartition("/")[2]


class Decision(NamedTuple):
    """The verdict on libraries that belong together, and the one that it rests on."""

    verdict: Verdict
    because: Binary


def judge(binary: Binary, device: ComputeCapability) -> Verdict:
    """Tell how the executable fatbins of one library serve a GPU."""
    section = binary.library.nv_fatbin
    served: dict[Coverage, int] = {}
    covered = of = 0
    targets_in: dict[CodeTarget, int] = {}
    for group in section.groups:
        if not group.targets:
            continue
        best = coverage(group.targets, device)
        if best.target is not None or _is_for_many(group.targets):
            of += group.fatbins
        if best.target is not None:
            covered += group.fatbins
            served[best] = served.get(best, 0) + group.fatbins
        for target in group.targets:
            targets_in[target] = targets_in.get(target, 0) + group.fatbins
    if covered < _enough(binary, of):
        return Verdict(NO_COVERAGE, covered, of)
    kinds: dict[str, int] = {}
    for best, number in served.items():
        kinds[best.kind] = kinds.get(best.kind, 0) + number
    kind = max(kinds, key=lambda kind: (kinds[kind], kind == "cubin"))
    # Of the code that runs, name what most fatbins hold: sm_90a in 2 of 341 says less than sm_90 in all of them.
    running = (target for target in targets_in if target.ptx is (kind == "ptx") and target.runs_on(device))
    target = max(running, key=lambda target: (targets_in[target], target))
    needs = dict(section.ptx_needs).get(target) if kind == "ptx" else None
    return Verdict(Coverage(kind, target), covered, of, needs)


def decide(binaries: Iterable[Binary], device: ComputeCapability, cuda_label: str = "") -> Decision | None:
    """Give the verdict on the libraries of one distribution; None where nothing in them has device code.

    `cuda_label` is the CUDA variant that is going to use them (`cu124`), where it is known: of libraries that are there
    once for each CUDA version, that one counts. Without it the best of them does.
    """
    decisions = []
    for alternatives in deciding(binaries, cuda_label):
        judged = [Decision(judge(binary, device), binary) for binary in alternatives]
        decisions.append(max(judged, key=lambda decision: decision.verdict.strength))
    return min(decisions, key=lambda decision: decision.verdict.strength, default=None)


def architectures(binaries: Iterable[Binary], cuda_label: str = "") -> tuple[CodeTarget, ...]:
    """List the targets that all libraries that matter serve; those in fewer than half of the fatbins do not count.

    `cuda_label` picks among libraries that are there once for each CUDA version, as in `decide`.
    """
    sets = [
        {target for binary in alternatives for target in _common_targets(binary)}
        for alternatives in deciding(binaries, cuda_label)
    ]
    kept = {target for targets in sets for target in targets if all(_serves(other, target) for other in sets)}
    return tuple(sorted(kept, key=lambda target: (target.ptx, target)))


def ptx_need(binaries: Iterable[Binary], targets: Iterable[CodeTarget], cuda_label: str = "") -> CudaVersion | None:
    """Tell the CUDA version that a driver must know to compile all PTX for these targets; None where there is none."""
    wanted = frozenset(targets)
    needs = [
        cuda
        for alternatives in deciding(binaries, cuda_label)
        for binary in alternatives
        for target, cuda in binary.library.nv_fatbin.ptx_needs
        if target in wanted
    ]
    return max(needs, default=None)


def partly_served(binaries: Iterable[Binary], cuda_label: str = "") -> frozenset[CodeTarget]:
    """List the targets that an extension of several libraries has code for in a good part of some of them.

    It works there but for what the others do: vllm 0.14.1 runs on 7.0, with code for it in 31 of the 66 fatbins of `_C`
    and in 6 of the 33 of `_moe_C`. What strayed in reaches 2 of 16 at most (vllm 0.9.2), so a quarter is meant.
    """
    return frozenset(
        target
        for alternatives in deciding(binaries, cuda_label)
        for binary in alternatives
        for target in _targets_in(binary, _a_quarter)
    )


def _a_quarter(_: Binary, of: int) -> int:
    return max(1, (of + 3) // 4)


def deciding(binaries: Iterable[Binary], cuda_label: str = "") -> tuple[tuple[Binary, ...], ...]:
    """Pick the libraries of one distribution that decide, as groups of which one is used at run time.

    With a `cuda_label`, a group that has libraries for it is these only.

    torch: libtorch_cuda (libtorch_cuda_cu and _cpp before 2.0). Elsewhere all with device code, but not NVIDIA's own
    that ride along, nor fast paths beside the general one - those made for single devices only (`sm_90a`), and
    FlashAttention - unless there is nothing else.
    """
    with_code = [binary for binary in binaries if any(group.targets for group in binary.library.nv_fatbin.groups)]
    for matters in (is_torchs, _is_general, _is_not_nvidia):
        chosen = [binary for binary in with_code if matters(binary)]
        if chosen:
            with_code = chosen
            break
    groups: dict[str, list[Binary]] = {}
    for binary in with_code:
        groups.setdefault(_without_cuda_version(binary.member), []).append(binary)
    return tuple(
        tuple(binary for binary in group if cuda_label and is_for_cuda(binary.member, cuda_label)) or tuple(group)
        for group in groups.values()
    )


def may_decide(members: Sequence[str]) -> tuple[str, ...]:
    """Pick by name, before anything is read, the members that can be among the deciding ones.

    Where none of them turns out to have device code, the others decide after all.
    """
    names = {member: member.rpartition("/")[2] for member in members}
    of_torch = tuple(member for member in members if names[member].startswith(_TORCH))
    return of_torch or tuple(member for member in members if not is_nvidia(names[member]))


_TORCH = tuple(f"{prefix}torch_cuda{part}." for prefix in ("lib", "") for part in ("", "_cu", "_cpp"))

_NVIDIA = (
    "accinj64", "cublas", "cudart", "cudnn", "cudss", "cufft", "cufile", "cuinj64", "cupti", "curand", "cusolver",
    "cusparse", "cutensor", "nccl", "npp", "nvblas", "nvfatbin", "nvinfer", "nvjitlink", "nvjpeg", "nvonnxparser",
    "nvperf", "nvptxcompiler", "nvrtc", "nvshmem", "nvtoolsext", "nvtx", "nvvm",
)  # fmt: skip


# NVIDIA's libraries that torch cannot do without, by the start of their file names (Linux, Windows): those that hold
# the plain kernels, which are there for every GPU that the library serves at all. libcublasLt and the engines of cuDNN
# are not among them: they keep code as plain data or for single GPUs only, so that its absence proves nothing.
_NEEDED_BY_TORCH = {
    "cuDNN": ("libcudnn_ops", "libcudnn_adv", "cudnn_ops", "cudnn_adv"),
    "cuBLAS": ("libcublas.so.", "cublas64_"),
    "NCCL": ("libnccl.",),
}


def needed_by_torch(name: str, cuda_label: str = "") -> str:
    """Name the product of NVIDIA that torch needs and a file is part of: cuDNN, cuBLAS or NCCL; empty for others.

    cuBLAS counts its versions as CUDA does, and one of another CUDA may be left over beside torch's.
    """
    for product, starts in _NEEDED_BY_TORCH.items():
        start = next((start for start in starts if name.startswith(start)), "")
        if start:
            major = name[len(start) :].partition(".")[0]
            is_other = product == "cuBLAS" and cuda_label.startswith("cu") and not cuda_label.startswith(f"cu{major}")
            return "" if is_other else product
    return ""


def judge_needed(binary: Binary, device: ComputeCapability) -> Verdict:
    """Tell how a library that torch needs serves a GPU; relocatable fatbins count: the driver can link their PTX."""
    relocatable = binary._replace(library=binary.library._replace(nv_fatbin=binary.library.nv_relfatbin))
    return max((judge(candidate, device) for candidate in (binary, relocatable)), key=lambda found: found.strength)


def is_nvidia(name: str) -> bool:
    """Tell NVIDIA's own libraries by file name: `libnvjpeg.02b6d700.so.12`, `cudnn_ops64_9.dll`."""
    return name.lower().removeprefix("lib").startswith(_NVIDIA)


def is_torchs(binary: Binary) -> bool:
    """Tell the library, or the libraries, that hold torch's kernels."""
    return binary.name.startswith(_TORCH)


def _is_not_nvidia(binary: Binary) -> bool:
    return not is_nvidia(binary.name)


def _is_general(binary: Binary) -> bool:
    # FlashAttention needs 8.0 (its README), and packages that carry it choose by compute capability: xformers and vllm
    # run below 8.0 with their other kernels.
    if not _is_not_nvidia(binary) or "flash" in binary.member.lower():
        return False
    return any(_is_for_many(group.targets) for group in binary.library.nv_fatbin.groups)


def _is_for_many(targets: tuple[CodeTarget, ...]) -> bool:
    """Tell code for many devices from a fast path for single ones."""
    return any(not target.suffix for target in targets)


def is_for_cuda(member: str, cuda_label: str) -> bool:
    """Tell whether a library is used with a CUDA variant: those with another version in their name are not."""
    plain = _without_cuda_version(member)
    return plain == member or member == plain.replace("_cuda", f"_cuda{cuda_label[2:]}", 1)


def _without_cuda_version(member: str) -> str:
    """Name libraries alike that differ only in their CUDA version: `libbitsandbytes_cuda118.so`, `..._cuda124.so`."""
    before, mark, after = member.rpartition("_cuda")
    rest = after.lstrip("0123456789")
    return f"{before}{mark}{rest}" if mark and rest != after else member


def _enough(binary: Binary, of: int) -> int:
    """Tell in how many of a library's fatbins code must be found before it counts.

    Half of them: one translation unit that was compiled without `-gencode` is no support. NVIDIA's libraries hold
    kernels tuned for single GPUs and choose among them, so there one is enough.
    """
    return 1 if is_nvidia(binary.name) else max(1, (of + 1) // 2)


def _common_targets(binary: Binary) -> set[CodeTarget]:
    return _targets_in(binary, _enough)


def _targets_in(binary: Binary, enough: Callable[[Binary, int], int]) -> set[CodeTarget]:
    section = binary.library.nv_fatbin
    of = sum(group.fatbins for group in section.groups if _is_for_many(group.targets))
    numbers: dict[CodeTarget, int] = {}
    for group in section.groups:
        for target in group.targets:
            numbers[target] = numbers.get(target, 0) + group.fatbins
    return {target for target, number in numbers.items() if number >= enough(binary, of)}


def _serves(targets: Sequence[CodeTarget] | set[CodeTarget], wanted: CodeTarget) -> bool:
    """Tell whether a library has something for what another library has `wanted` code for."""
    if wanted.ptx:
        return any(target.ptx and target.runs_on(wanted.capability) for target in targets)
    return wanted in targets or coverage(tuple(targets), wanted.capability).target is not None
