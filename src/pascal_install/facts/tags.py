"""The wheel tags that a Python accepts, and the description of a Python on another machine."""

from __future__ import annotations

import os

from pascal_install import cache
from pascal_install.errors import TargetError, UsageError
from pascal_install.model.interpreter import Target
from pascal_install.version import __version__

OLDEST, NEWEST = (3, 8), (3, 15)

#: What the plain `linux_x86_64` stands for: a current distribution.
CURRENT_GLIBC = (2, 39)
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_LEGACY_GLIBC = {name: glibc for glibc, name in _LEGACY.items()}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_WINDOWS_TAG = {"x86_64": "win_amd64", "aarch64": "win_arm64"}


def split_platform(platform: str) -> tuple[str, str]:
    """Read sysconfig's platform, such as `linux-x86_64` or `win-amd64`: the operating system and the machine.

    Raises TargetError where no CUDA wheel is published for it.
    """
    system, _, machine = platform.replace("-", "_").partition("_")
    if system == "win32":
        system, machine = "win", "x86"
    found = {"linux": "linux", "win": "windows"}.get(system)
    if system == "macosx":
        raise TargetError(
            "macOS has no CUDA, and there is no wheel to pick for it",
            code="macos",
            hints=("on a Mac, plain `pip install torch` gives the build that uses the Apple GPU",),
        )
    if found is None or machine not in _MACHINES:
        raise TargetError(
            f"no CUDA wheels are published for {platform}",
            code="unsupported-platform",
            cause="there are some for Linux and Windows, on x86_64 and aarch64",
        )
    return found, _MACHINES[machine]


def check_version(version: tuple[int, ...], who: str) -> None:
    """Raise TargetError for a Python that no wheel of the catalogue was ever made for."""
    if not OLDEST <= version[:2] <= NEWEST:
        written = ".".join(str(part) for part in version if part >= 0)
        raise TargetError(
            f"{who} is Python {written}: only Python 3.8 to 3.15 are served",
            code="python-version",
            hints=(f"choose another one: {who if who.startswith('--python') else '--python'} 3.12",),
        )


def platform_tags(os_name: str, machine: str, glibc: tuple[int, int]) -> list[str]:
    """List the platforms that a machine accepts, closest first.

    Every manylinux down to the oldest that packaging knows: glibc 2.5 on x86_64, 2.17 elsewhere.
    """
    if os_name == "windows":
        return [_WINDOWS_TAG[machine]]
    platforms = []
    for minor in range(glibc[1], (4 if machine == "x86_64" else 16), -1):
        platforms.append(f"manylinux_2_{minor}_{machine}")
        if (2, minor) in _LEGACY:
            platforms.append(f"{_LEGACY[2, minor]}_{machine}")
    return [*platforms, f"linux_{machine}"]


def wheel_tags(
    version: tuple[int, ...], abis: list[str], platform: tuple[str, str, tuple[int, int]], cache_dir: str
) -> tuple[str, ...]:
    """List the wheel tags of a CPython, most wanted first, as packaging orders them.

    `platform` is the operating system, the machine and the glibc. Kept in the cache: importing packaging.tags costs
    more than all the rest of a plan.
    """
    os_name, machine, glibc = platform
    key = [__version__, *version[:2], *abis, os_name, machine, *glibc]
    name = f"{abis[0]}-{os_name}-{machine}-{glibc[1]}"
    kept = cache.read(cache_dir, "tags", name, key)
    if isinstance(kept, list):
        return tuple(kept)
    from packaging.tags import compatible_tags, cpython_tags

    platforms = platform_tags(os_name, machine, glibc)
    found = [*cpython_tags(version[:2], abis, platforms)]
    found += compatible_tags(version[:2], f"cp{version[0]}{version[1]}", platforms)
    tags = list(dict.fromkeys(str(tag) for tag in found))
    cache.write(cache_dir, "tags", name, key, tags)
    return tuple(tags)


def describe_platform(platform: str, python_version: str, abi: str = "", *, cache_dir: str = "") -> Target:
    """Describe a Python on another machine.

    `platform` is `linux_x86_64`, `manylinux_2_28_x86_64`, `win_amd64` ...; empty: this machine's. `abi` is `cp312` or
    `cp313t`; empty: the usual one of that version. Raises UsageError for what cannot be read.
    """
    described = os_name, machine, glibc = _read_platform(platform) if platform else _this_platform()
    version, abi = _read_python(python_version, abi)
    check_version(version, "--python-version" if python_version else "--abi")
    return Target(
        executable="",
        implementation="cpython",
        version=version,
        abi=abi,
        os=os_name,
        machine=machine,
        tags=wheel_tags(version, [abi], described, cache_dir),
        libc=f"glibc {glibc[0]}.{glibc[1]}" if os_name == "linux" else "",
        source="--platform" if platform else "--python-version" if python_version else "--abi",
    )


def _read_platform(text: str) -> tuple[str, str, tuple[int, int]]:
    """Read the platform part of a wheel tag: operating system, machine, glibc."""
    platform = text.lower().replace("-", "_")
    if platform.startswith("musllinux"):
        raise TargetError("no CUDA wheels are published for musl", code="musl", hints=(MUSL_HINT,))
    name, _, machine = platform.partition("_")
    if name in _LEGACY_GLIBC and machine in _MACHINES:
        return "linux", _MACHINES[machine], _LEGACY_GLIBC[name]
    if name == "manylinux":
        major, _, rest = machine.partition("_")
        minor, _, machine = rest.partition("_")
        if major == "2" and minor.isascii() and minor.isdigit() and machine in _MACHINES:
            return "linux", _MACHINES[machine], (2, int(minor))
    elif platform == "win32" or (name in ("linux", "win", "macosx") and machine):
        return (*split_platform(platform), CURRENT_GLIBC)
    raise UsageError(
        f"cannot read the platform {text!r}",
        code="unknown-platform",
        hints=("write it as in a wheel's name: linux_x86_64, linux_aarch64, win_amd64 or manylinux_2_28_x86_64",),
    )


MUSL_HINT = "use a distribution with glibc, such as Debian or Fedora (in containers: not Alpine)"


def _this_platform() -> tuple[str, str, tuple[int, int]]:
    import sysconfig

    try:
        glibc = parse_glibc(os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (AttributeError, ValueError, OSError):
        glibc = None
    return (*split_platform(sysconfig.get_platform()), glibc or CURRENT_GLIBC)


def parse_glibc(libc: str) -> tuple[int, int] | None:
    """Read `glibc 2.36`; None for anything else."""
    name, _, version = libc.partition(" ")
    major, _, minor = version.partition(".")
    minor = minor.partition(".")[0]
    if name != "glibc" or not (major.isdecimal() and minor.isdecimal()):
        return None
    return int(major), int(minor)


def parse_python(text: str) -> tuple[tuple[int, ...], bool] | None:
    """Read a version as people write it: `3`, `3.12`, `3.13t`, `3.12.3`; and whether it is free-threaded."""
    free_threaded = text.endswith("t")
    parts = text.removesuffix("t").split(".")
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        return None
    return tuple(int(part) for part in parts), free_threaded


def _read_python(python_version: str, abi: str) -> tuple[tuple[int, int, int], str]:
    """Read version and ABI of another machine's Python; one of them may be empty."""
    hint = "give the version: --python-version 3.12"
    if python_version:
        read = parse_python(python_version)
        if read is None or len(read[0]) < 2:
            raise UsageError(f"cannot read the Python version {python_version!r}", code="bad-version", hints=(hint,))
        parts, free_threaded = read
    else:
        digits = abi.removeprefix("cp").removesuffix("t")
        if not (abi.startswith("cp") and digits.isascii() and digits.isdigit() and 2 <= len(digits) <= 3):
            summary = f"cannot read the ABI {abi!r}" if abi else "the Python of the other machine is not known"
            as_in_names = "write it as in a wheel's name: --abi cp312 or cp313t"
            raise UsageError(summary, code="bad-version", hints=(as_in_names if abi else hint,))
        parts, free_threaded = (int(digits[0]), int(digits[1:])), abi.endswith("t")
    usual = f"cp{parts[0]}{parts[1]}"
    if abi not in ("", usual, f"{usual}t") or (abi == usual and free_threaded):
        raise UsageError(
            f"the ABI {abi!r} does not belong to Python {python_version}",
            code="bad-version",
            hints=(f"it has {usual}, and {usual}t without the global lock" if parts >= (3, 13) else f"it has {usual}",),
        )
    if (free_threaded or abi.endswith("t")) and parts < (3, 13):
        raise UsageError("only Python 3.13 and newer have a free-threaded build", code="bad-version")
    abi = abi or (f"{usual}t" if free_threaded else usual)
    return (parts[0], parts[1], parts[2] if len(parts) > 2 else -1), abi
