"""Compute capabilities, code targets, and the versions of CUDA and of drivers."""

from __future__ import annotations

from pascal_install.value import NamedTuple

# Jetson and DRIVE devices. CUDA C++ Programming Guide, "Binary Compatibility": binary compatibility holds among desktop
# devices only, neither among Tegra devices nor between Tegra and desktop.
TEGRA = frozenset({(5, 3), (6, 2), (7, 2), (8, 7)})


class ComputeCapability(NamedTuple):
    """A property of a GPU, such as 6.1."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> ComputeCapability:
        """Read `6.1` or `sm_61`. Raises ValueError for anything else."""
        if text.startswith("sm_"):
            digits = text[3:]
            if digits.isascii() and digits.isdigit() and len(digits) >= 2:
                return cls.from_number(int(digits))
        else:
            major, dot, minor = text.partition(".")
            if dot and all(part.isascii() and part.isdigit() and len(part) <= 2 for part in (major, minor)):
                return cls(int(major), int(minor))
        raise ValueError(f"not a compute capability: {text!r} (expected a form like 6.1 or sm_61)")

    @classmethod
    def from_number(cls, number: int) -> ComputeCapability:
        """Read the number of an architecture: 61 is 6.1, 120 is 12.0."""
        return cls(number // 10, number % 10)

    @property
    def sm(self) -> str:
        """The text form `sm_61`."""
        return f"sm_{self.major}{self.minor}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def _renamed(capability: ComputeCapability) -> ComputeCapability:
    """Thor was 10.1 in CUDA 12.8 and 12.9, and is 11.0 from CUDA 13.0 on (CUDA 13.0 release notes)."""
    return ComputeCapability(11, 0) if capability == (10, 1) else capability


#: The suffix of a target that stands for code which is compiled on the machine, at first use (Triton, nvcc).
JIT = "jit"


class CodeTarget(NamedTuple):
    """What one piece of device code was compiled for: `sm_60`, `sm_90a`, `sm_120f` (cubins) or `compute_90` (PTX).

    `jit_70` is no code yet: the package compiles it on the machine, for 7.0 and everything newer.
    """

    capability: ComputeCapability
    suffix: str = ""
    ptx: bool = False

    @classmethod
    def parse(cls, text: str) -> CodeTarget:
        """Read `sm_90a`, `compute_90` or `jit_70`. Raises ValueError for anything else."""
        kind, _, number = text.partition("_")
        suffix = number[-1:] if number[-1:] in ("a", "f") and kind != JIT else ""
        digits = number[: len(number) - len(suffix)]
        if kind not in ("sm", "compute", JIT) or not (digits.isascii() and digits.isdigit() and 2 <= len(digits) <= 4):
            raise ValueError(f"not a code target: {text!r} (expected a form like sm_60, sm_90a, compute_90 or jit_70)")
        return cls(ComputeCapability.from_number(int(digits)), JIT if kind == JIT else suffix, kind == "compute")

    @property
    def kind(self) -> str:
        """`cubin`, `ptx` or `jit`."""
        return JIT if self.suffix == JIT else "ptx" if self.ptx else "cubin"

    def runs_on(self, device: ComputeCapability) -> bool:
        """Tell whether a device can run this code, the driver's part (see `Coverage`) aside.

        CUDA C++ Programming Guide, "Binary Compatibility", "PTX Compatibility" and "Feature Set Compiler Targets": a
        cubin runs on the same major and the same or a higher minor, not between desktop and Tegra; PTX on the same or a
        newer device; `a` on exactly its own device; `f` within its family, that is the same major.
        """
        code, device = _renamed(self.capability), _renamed(device)
        if self.suffix == JIT:
            return code <= device
        if self.suffix == "a" or (not self.ptx and (code in TEGRA or device in TEGRA)):
            return code == device
        if self.ptx and not self.suffix:
            return code <= device
        return code.major == device.major and code.minor <= device.minor

    def __str__(self) -> str:
        number = f"{self.capability.major}{self.capability.minor}"
        if self.suffix == JIT:
            return f"jit_{number}"
        return f"{'compute' if self.ptx else 'sm'}_{number}{self.suffix}"


class Coverage(NamedTuple):
    """How a set of code targets serves one GPU; `target` is the code that runs.

    `kind` is `cubin`, `ptx`, `jit` (compiled on the machine at first use) or `none`.
    """

    kind: str
    target: CodeTarget | None = None


NO_COVERAGE = Coverage("none")


def coverage(targets: tuple[CodeTarget, ...], device: ComputeCapability) -> Coverage:
    """Find the best code for a device: the closest cubin, else the newest PTX, else what compiles for it, else none."""
    running = [target for target in targets if target.runs_on(device)]
    for kind in ("cubin", "ptx", JIT):
        of_kind = [target for target in running if target.kind == kind]
        if of_kind:
            return Coverage(kind, max(of_kind))
    return NO_COVERAGE


class CudaVersion(NamedTuple):
    """A version of the CUDA toolkit, or of the CUDA driver API."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> CudaVersion:
        """Read `12.4`. Raises ValueError for anything else."""
        major, dot, minor = text.partition(".")
        if not (dot and all(part.isascii() and part.isdigit() for part in (major, minor))):
            raise ValueError(f"not a CUDA version: {text!r} (expected a form like 12.4)")
        return cls(int(major), int(minor))

    @classmethod
    def from_driver_api(cls, number: int) -> CudaVersion:
        """Read the number that `cuDriverGetVersion` and NVML give: 12040 is 12.4."""
        return cls(number // 1000, number % 1000 // 10)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


#: The variant of a package without compiled CUDA code: it runs beside every CUDA variant.
ANY = "any"


def variant_cuda(label: str) -> CudaVersion | None:
    """Read a CUDA variant's label: `cu124` is CUDA 12.4, `cpu` and `any` are None. Raises ValueError for others."""
    if label in ("cpu", ANY):
        return None
    digits = label[2:]
    if not (label.startswith("cu") and digits.isascii() and digits.isdigit() and 2 <= len(digits) <= 3):
        raise ValueError(f"not a CUDA variant: {label!r} (expected a form like cu124, or cpu)")
    return CudaVersion(int(digits[:-1]), int(digits[-1]))


class DriverVersion(NamedTuple):
    """A version of the NVIDIA driver, such as 580.95.05 (Linux) or 576.02 (Windows)."""

    parts: tuple[int, ...]
    text: str

    @classmethod
    def parse(cls, text: str) -> DriverVersion:
        """Read `580.95.05`; a bare branch such as `440` is its first release. Raises ValueError for anything else."""
        pieces = text.split(".")
        if len(pieces) > 4 or not all(piece.isascii() and piece.isdigit() and len(piece) <= 5 for piece in pieces):
            raise ValueError(f"not a driver version: {text!r} (expected a form like 580.95.05)")
        return cls(tuple(int(piece) for piece in pieces), text)

    @property
    def branch(self) -> int:
        """The number of the branch: 580 for R580."""
        return self.parts[0]

    def __str__(self) -> str:
        return self.text
