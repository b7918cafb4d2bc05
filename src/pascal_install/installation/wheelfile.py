"""What a wheel on disk requires, and which files an installer will write from it."""

from __future__ import annotations

import configparser
import io
import os
import zipfile
from collections.abc import Callable, Iterator

from packaging.utils import canonicalize_name

from pascal_install.errors import VerificationError
from pascal_install.installation.state import Distribution, record, requires_dist
from pascal_install.model.interpreter import Target
from pascal_install.value import NamedTuple


class WheelFacts(NamedTuple):
    """What is read of a wheel before it is installed."""

    name: str
    version: str
    metadata: str
    requires: tuple[str, ...]
    members: tuple[str, ...]
    scripts: tuple[str, ...]
    """Names of the commands that its entry points make."""
    pure: bool
    unpacked_bytes: int

    @property
    def dist_info(self) -> str:
        """The name of its metadata folder, as the wheel spells it."""
        return next(member for member in self.members if _is_metadata(member)).partition("/")[0]

    @property
    def requires_python(self) -> str:
        """Its Requires-Python; empty where it has none."""
        return _headers(self.metadata).get("requires-python", "")


def read_wheel(path: str) -> WheelFacts:
    """Read a wheel's metadata and list of files. Raises VerificationError where it is no wheel."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            members = tuple(info.filename for info in infos)
            unpacked_bytes = sum(info.file_size for info in infos)
            facts = _facts(members, unpacked_bytes, lambda name: archive.read(name).decode("utf-8", "replace"))
    except (zipfile.BadZipFile, KeyError, StopIteration) as error:
        raise VerificationError(
            f"{os.path.basename(path)} is not a wheel", code="bad-wheel", cause=f"{type(error).__name__}: {error}"
        ) from error
    for member in members:
        if member.startswith(("/", "\\")) or ".." in member.replace("\\", "/").split("/"):
            raise VerificationError(
                f"{os.path.basename(path)} holds a file outside of its folder", code="bad-wheel", cause=repr(member)
            )
    _check_scripts(facts, path)
    return facts


def read_unpacked(folder: str) -> WheelFacts:
    """Read the same of a folder that a wheel was unpacked into.

    Raises VerificationError where a file that its RECORD lists is missing or has another size, OSError where it cannot
    be read.
    """
    sizes = dict(_files_below(folder))
    members = tuple(sizes)
    try:
        facts = _facts(members, sum(sizes.values()), lambda name: _text(os.path.join(folder, name)))
    except StopIteration as error:
        raise VerificationError(f"{folder} holds no wheel", code="bad-wheel") from error
    metadata = Distribution(facts.name, facts.version, os.path.join(folder, facts.dist_info))
    start = os.path.join(os.path.normpath(folder), "")
    for path, size_bytes in record(metadata):
        found = sizes.get(path.removeprefix(start).replace(os.sep, "/"))
        if found is None or size_bytes not in (None, found):
            raise VerificationError(f"{path} is not as it was unpacked", code="bad-wheel")
    _check_scripts(facts, folder)
    return facts


def _check_scripts(facts: WheelFacts, path: str) -> None:
    for script in facts.scripts:
        if "/" in script or "\\" in script or not script.isprintable():
            raise VerificationError(
                f"{os.path.basename(path)} names a command outside of its folder", code="bad-wheel", cause=repr(script)
            )


def _files_below(folder: str, prefix: str = "") -> Iterator[tuple[str, int]]:
    """List files below a folder by their path in it, with their size."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return file.read()


def _facts(members: tuple[str, ...], unpacked_bytes: int, read: Callable[[str], str]) -> WheelFacts:
    folder = next(member for member in members if _is_metadata(member)).partition("/")[0]
    metadata, wheel = read(f"{folder}/METADATA"), read(f"{folder}/WHEEL")
    points = f"{folder}/entry_points.txt"
    scripts = _scripts(read(points)) if points in members else ()
    headers = _headers(metadata)
    return WheelFacts(
        name=str(canonicalize_name(headers.get("name", ""))),
        version=headers.get("version", ""),
        metadata=metadata,
        requires=requires_dist(io.StringIO(metadata)),
        members=members,
        scripts=scripts,
        pure=_headers(wheel).get("root-is-purelib", "false").lower() == "true",
        unpacked_bytes=unpacked_bytes,
    )


def _is_metadata(member: str) -> bool:
    folder, _, rest = member.partition("/")
    return folder.endswith(".dist-info") and rest == "METADATA"


def _headers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        found.setdefault(key.lower(), value.strip())
    return found


def _scripts(text: str) -> tuple[str, ...]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    sections = [name for name in ("console_scripts", "gui_scripts") if parser.has_section(name)]
    return tuple(key for section in sections for key in parser.options(section))


def paths_written(facts: WheelFacts, target: Target) -> tuple[str, ...]:
    """List every file that pip or uv writes for this wheel, so that exactly those can be taken away again."""
    site = os.path.realpath(target.purelib if facts.pure or not target.platlib else target.platlib)
    data = facts.dist_info.removesuffix(".dist-info") + ".data"
    scripts, prefix = os.path.realpath(target.scripts), os.path.realpath(target.prefix)
    python = "python" + ".".join(str(part) for part in target.version[:2])
    schemes = {
        "purelib": os.path.realpath(target.purelib),
        "platlib": os.path.realpath(target.platlib or target.purelib),
        "scripts": scripts,
        "data": prefix,
        "headers": os.path.join(prefix, "include", "site", python, facts.name),
    }
    found = []
    for member in facts.members:
        top, _, rest = member.partition("/")
        scheme, _, inner = rest.partition("/")
        if top == data and scheme in schemes:
            found.append(os.path.join(schemes[scheme], *inner.split("/")))
        else:
            found.append(os.path.join(site, *member.split("/")))
    windows = target.os == "windows"
    found += [os.path.join(scripts, f"{script}{'.exe' if windows else ''}") for script in facts.scripts]
    # What installers add beside the wheel's own files; `uv_` and `direct_url` only in some cases.
    added = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json")
    found += [os.path.join(site, facts.dist_info, name) for name in added]
    return tuple(dict.fromkeys(found))
