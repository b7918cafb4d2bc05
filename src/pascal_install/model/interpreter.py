"""The target: the Python environment that is installed into."""

from __future__ import annotations

from pascal_install.value import NamedTuple


class InstalledDistribution(NamedTuple):
    """One distribution found in the target, as its metadata folder tells it."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    dist_info: str
    """Path of the .dist-info or .egg-info folder."""
    installer: str = ""
    """Content of INSTALLER; empty where it is missing, which is what a killed pip or uv leaves."""


class Target(NamedTuple):
    """A Python environment, or (with an empty `executable`) the description of one on another machine."""

    executable: str
    implementation: str
    """`cpython`, `pypy`, ... as sys.implementation.name tells."""
    version: tuple[int, int, int]
    abi: str
    """The ABI tag, `cp312` or `cp313t`."""
    os: str
    """`linux`, `windows`, or what else sys.platform says."""
    machine: str
    """`x86_64`, `aarch64`, or what else the interpreter says."""
    tags: tuple[str, ...]
    """The wheel tags that it accepts, most wanted first, as packaging.tags orders them."""
    libc: str = ""
    """`glibc 2.36`, `musl 1.2`, or empty."""
    prefix: str = ""
    purelib: str = ""
    platlib: str = ""
    scripts: str = ""
    is_virtual: bool = False
    externally_managed: str = ""
    """The message of its EXTERNALLY-MANAGED marker (PEP 668), or empty."""
    writable: bool = True
    pip_version: str = ""
    installed: tuple[InstalledDistribution, ...] = ()
    source: str = ""
    """Where the choice came from: `--python`, `$VIRTUAL_ENV`, `$CONDA_PREFIX`, `./.venv`, `running`, `--platform`."""

    @property
    def python(self) -> str:
        """The version as text, `3.12.3`; without the last part where it is not known (another machine's)."""
        return ".".join(str(part) for part in self.version if part >= 0)

    @property
    def best_tag(self) -> str:
        """The most specific wheel tag, or empty."""
        return self.tags[0] if self.tags else ""
