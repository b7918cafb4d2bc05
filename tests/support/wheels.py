"""Small wheels made in memory: real enough for pip, uv and for an import."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence

#: What torch 2.6.0+cu124 requires on Linux x86_64, read from its METADATA.
TORCH_CU124_LIBRARIES = (
    "nvidia-cuda-nvrtc-cu12==12.4.127",
    "nvidia-cuda-runtime-cu12==12.4.127",
    "nvidia-cuda-cupti-cu12==12.4.127",
    "nvidia-cudnn-cu12==9.1.0.70",
    "nvidia-cublas-cu12==12.4.5.8",
    "nvidia-cufft-cu12==11.2.1.3",
    "nvidia-curand-cu12==10.3.5.147",
    "nvidia-cusolver-cu12==11.6.1.9",
    "nvidia-cusparse-cu12==12.3.1.170",
    "nvidia-cusparselt-cu12==0.6.2",
    "nvidia-nccl-cu12==2.21.5",
    "nvidia-nvtx-cu12==12.4.127",
    "nvidia-nvjitlink-cu12==12.4.127",
    "triton==3.2.0",
)
TORCH_REQUIRES = ("filelock", "typing-extensions>=4.10.0", "networkx", "jinja2", "fsspec")
EXLLAMAV2_REQUIRES = ("torch>=2.2.0", "safetensors>=0.4.3", "sentencepiece>=0.1.97", "pygments", "regex", "numpy")

_TORCH_INIT = """\
from torch import _C, cuda, version
from torch.version import __version__

float32 = "float32"


class Tensor:
    def __init__(self, values):
        self.values = values

    def __mul__(self, other):
        return Tensor([value * other for value in self.values])

    def __add__(self, other):
        return Tensor([value + other for value in self.values])

    def sum(self):
        return Tensor([sum(self.values)])

    def item(self):
        return self.values[0]


def arange(end, device, dtype):
    cuda.run(int(device.rpartition(":")[2]))
    return Tensor(list(range(end)))
"""

_TORCH_C = """\
def _cuda_getArchFlags():
    return {architectures!r}
"""

# As torch does: without a device the list is empty, whatever the build holds. STUB_TORCH_CUDA names the GPUs that are
# to be seen, `NAME;6.1;what their kernels end with|...`; without GPUs in it, it is why torch sees none.
_TORCH_CUDA = """\
import os

from torch import _C

_SAYS = os.environ.get("STUB_TORCH_CUDA", "Found no NVIDIA driver on your system.")
_GPUS = [gpu.split(";") for gpu in _SAYS.split("|")] if ";" in _SAYS else []


def init():
    if not _GPUS:
        raise RuntimeError(_SAYS)


def is_available():
    return bool(_GPUS)


def device_count():
    return len(_GPUS)


def get_device_name(ordinal):
    return _GPUS[ordinal][0]


def get_device_capability(ordinal):
    return tuple(map(int, _GPUS[ordinal][1].split(".")))


def run(ordinal):
    if _GPUS[ordinal][2]:
        raise RuntimeError(_GPUS[ordinal][2])


def get_arch_list():
    return _C._cuda_getArchFlags().split() if is_available() else []
"""


def wheel_filename(name: str, version: str, tag: str) -> str:
    """Give the file name of a wheel."""
    return f"{name.replace('-', '_')}-{version}-{tag}.whl"


def make_wheel(
    name: str,
    version: str,
    tag: str = "py3-none-any",
    *,
    files: Mapping[str, bytes] | None = None,
    requires: Sequence[str] = (),
    metadata: Sequence[str] = (),
) -> bytes:
    """Make a wheel with true METADATA, WHEEL and RECORD. `metadata` holds further header lines."""
    members = dict(files or {})
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    members[f"{info}/METADATA"] = metadata_of(name, version, requires, metadata)
    members[f"{info}/WHEEL"] = _wheel_file(tag)
    record = f"{info}/RECORD"
    rows = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in members.items()]
    members[record] = "\n".join([*rows, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def metadata_of(name: str, version: str, requires: Sequence[str] = (), metadata: Sequence[str] = ()) -> bytes:
    """Give the METADATA file alone."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    return "\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires), ""]).encode()


def make_torch_stub(
    version: str,
    variant: str,
    tag: str,
    architectures: Sequence[str],
    *,
    requires: Sequence[str] = (*TORCH_REQUIRES, *TORCH_CU124_LIBRARIES),
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """Make a small torch. `version` is the one of the metadata: `2.6.0+cu124`, or `2.6.0` as on PyPI.

    `torch.__version__`, `torch.version.cuda`, `torch.cuda` and `torch._C._cuda_getArchFlags()` answer as the real one
    does on a machine without a GPU, or as STUB_TORCH_CUDA says.
    """
    local = version if "+" in version else f"{version}+{variant}"
    cuda = None if variant == "cpu" else f"{variant[2:-1]}.{variant[-1]}"
    modules = {
        "torch/__init__.py": _TORCH_INIT.encode(),
        "torch/version.py": f"__version__ = {local!r}\ncuda = {cuda!r}\n".encode(),
        "torch/_C.py": _TORCH_C.format(architectures=" ".join(architectures)).encode(),
        "torch/cuda/__init__.py": _TORCH_CUDA.encode(),
        "torchgen/__init__.py": b"",
    }
    return make_wheel("torch", version, tag, files={**modules, **(files or {})}, requires=requires)


def make_extension_stub(
    name: str,
    version: str,
    tag: str,
    *,
    requires: Sequence[str] = EXLLAMAV2_REQUIRES,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """Make an extension such as exllamav2: importing it imports torch, as the real one does."""
    module = f"import torch\n\n__version__ = {version.partition('+')[0]!r}\n".encode()
    members = {f"{name}/__init__.py": module, f"{name}_ext.py": b"import torch\n"}
    return make_wheel(name, version, tag, files={**members, **(files or {})}, requires=requires)


def make_library_stub(name: str, version: str, tag: str = "py3-none-manylinux2014_x86_64") -> bytes:
    """Make an NVIDIA library as a wheel. The two CUDA families share their paths, as the real ones do."""
    topic = name.removeprefix("nvidia-").rpartition("-")[0].replace("-", "_")
    members = {
        "nvidia/__init__.py": b"",
        f"nvidia/{topic}/__init__.py": b"",
        f"nvidia/{topic}/lib/lib{topic}.so": f"{name} {version}\n".encode(),
    }
    return make_wheel(name, version, tag, files=members)


def make_module_stub(name: str, version: str, requires: Sequence[str] = ()) -> bytes:
    """Make a plain Python package with one module."""
    module = f"{name.replace('-', '_')}/__init__.py"
    return make_wheel(name, version, files={module: f"__version__ = {version!r}\n".encode()}, requires=requires)


def _wheel_file(tag: str) -> bytes:
    python, abi, platform = tag.split("-")
    tags = [f"{p}-{a}-{m}" for p in python.split(".") for a in abi.split(".") for m in platform.split(".")]
    is_pure = "false" if platform != "any" else "true"
    lines = ["Wheel-Version: 1.0", "Generator: tests", f"Root-Is-Purelib: {is_pure}", *(f"Tag: {one}" for one in tags)]
    return "\n".join([*lines, ""]).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
