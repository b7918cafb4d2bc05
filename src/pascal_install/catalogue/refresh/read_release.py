"""A release that nobody has recorded yet: its facts, read from one of its wheels by ranges."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Sequence

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement

from pascal_install.binary.coverage import architectures
from pascal_install.binary.source import DamagedError
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.catalogue.checking.binaries import Watch
from pascal_install.catalogue.refresh.compare import Row, wheel_row
from pascal_install.catalogue.refresh.upstream import Index, Offered, World, is_cuda
from pascal_install.errors import NetworkError
from pascal_install.fetch import Stopped
from pascal_install.inspection.kept import KeptReadings
from pascal_install.inspection.remote import RemoteSource
from pascal_install.model.build import UNREAD
from pascal_install.model.coupling import check_torch
from pascal_install.model.cuda import CodeTarget, CudaVersion
from pascal_install.value import NamedTuple

_CUDA = re.compile(r"^cuda(?:_version)?\b[^=\n]*=\s*['\"](\d+\.\d+)['\"]", re.MULTILINE)
_LOCAL = re.compile(r"__version__\b[^=\n]*=\s*['\"][^'\"+]*\+([a-z]+[0-9]*)")
_BUILT_WITH = re.compile(r"\+(cu\d{2,3})\b")
_PINNED = re.compile(r"==\s*(\d+)\.(\d+)")


class NotTaken(NamedTuple):
    """Why a listed release is not taken over; `is_news` where the person should hear of it."""

    why: str
    is_news: bool = True


class Reader(NamedTuple):
    """What reads."""

    world: World
    kept: KeptReadings
    role: str
    """The package's."""
    today: str
    watch: Watch
    stopped: threading.Event


def read_release(index: Index, group: Sequence[Offered], source: str, reader: Reader) -> Row | NotTaken:
    """Make the row of a release. What its wheel does not show is left out, and never guessed.

    Where its device code cannot be read, the row says so (`confidence = "unread"`) and is passed over by every plan
    until a later refresh reads it.
    """
    one = _chosen(group)
    try:
        requires, member = _metadata(one, index, reader.world)
    except (NetworkError, DamagedError) as error:
        return NotTaken(f"its metadata cannot be read: {error.args[0]}")
    variant = one.variant or index.variant or _variant(member, requires)
    if variant and not is_cuda(variant) and variant != index.variant:
        return NotTaken(f"it is built for {variant}", is_news=False)
    if variant and variant not in reader.world.variants and variant != index.variant:
        return NotTaken(f"cuda.toml does not know {variant}: add its oldest driver there first")
    os_name, machine = one.platform or ("", "")
    row: Row = {"version": one.version, "variant": variant, "os": os_name, "machine": machine, "index": index.id}
    try:
        targets = _targets(one, reader)
        if not targets:
            return NotTaken("it holds no device code", is_news=False)
        row["architectures"] = [str(target) for target in targets]
        row["confidence"] = "binary"
        row["source"] = f"{source}; device code of {one.filename}, read whole on {reader.today}"
    except (NetworkError, DamagedError) as error:
        row["architectures"] = []
        row["confidence"] = UNREAD
        row["source"] = source
        row["note"] = f"its device code could not be read on {reader.today}: {error.args[0]}"
    if not variant:
        return NotTaken("nothing tells its CUDA variant")
    torch = _torch(one, requires) if reader.role == "torch-extension" else ""
    if reader.role == "torch-extension" and not torch:
        return NotTaken("its metadata names no torch version")
    cudnn = _pinned(requires, "nvidia-cudnn-") if reader.role == "torch" else ""
    row |= {key: value for key, value in (("torch", torch), ("cudnn", cudnn), ("tag", one.release_tag)) if value}
    row["wheels"] = [wheel_row(wheel._replace(variant=variant), index.package, index.file, source) for wheel in group]
    return row


def _chosen(group: Sequence[Offered]) -> Offered:
    """Pick the wheel to read: they share their device code; CPython 3.12's is there for most releases."""
    return next((one for one in group if one.tag.startswith("cp312-")), group[0])


def _targets(one: Offered, reader: Reader) -> tuple[CodeTarget, ...]:
    """Read what a wheel holds code for, by ranges; what was read once is kept. Raises NetworkError, DamagedError."""
    reader.watch.start(one.filename, None)
    before = 0

    def tell(fetched: int, _to_fetch: int) -> None:
        nonlocal before
        if reader.stopped.is_set():
            raise Stopped
        reader.watch.advance(one.filename, fetched - before)
        before = fetched

    identity = one.sha256 or hashlib.sha256(one.url.encode()).hexdigest()
    try:
        return architectures(reader.kept.read(one.url, identity, reader.world.fetcher, tell))
    finally:
        reader.watch.finish(one.filename)


def _metadata(one: Offered, index: Index, world: World) -> tuple[tuple[Requirement, ...], str]:
    """Read a remote wheel's requirements, and the member that names its variant."""
    source = RemoteSource(one.url, world.fetcher)
    found = {"METADATA": "", "": ""}
    wanted = read_members(
        source,
        read_directory_place(source),
        lambda name: name == index.variant_member or (name.endswith(".dist-info/METADATA") and name.count("/") == 1),
    )
    for member in wanted:
        key = "" if member.name == index.variant_member else "METADATA"
        found[key] = b"".join(content_chunks(source, member)).decode("utf-8", "replace")
    raw, _ = parse_email(found["METADATA"])
    requires = []
    for text in raw.get("requires_dist", []):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if "extra ==" not in str(requirement.marker or ""):
            requires.append(requirement)
    return tuple(requires), found[""]


def _variant(member: str, requires: Sequence[Requirement]) -> str:
    """Find the CUDA variant in a version.py, else in what the wheel requires; `cpu` where version.py says so."""
    for pattern in (_CUDA, _LOCAL, _BUILT_WITH):
        said = pattern.search(member)
        if said:
            return f"cu{said[1].replace('.', '')}" if pattern is _CUDA else said[1]
    for requirement in requires:
        if requirement.name == "cuda-toolkit" or requirement.name.startswith("nvidia-cuda-runtime"):
            version = _PINNED.search(str(requirement.specifier))
            if version:
                cuda = CudaVersion(int(version[1]), int(version[2]))
                return f"cu{cuda.major}{cuda.minor}"
    return ""


def _torch(one: Offered, requires: Sequence[Requirement]) -> str:
    """Find the torch that an extension was built against: in its local version, else in its requirements."""
    for part in one.version.partition("+")[2].split("."):
        if part.startswith("torch"):
            return one.version.partition("torch")[2]
    for requirement in requires:
        if requirement.name == "torch" and requirement.specifier:
            pinned = _pinned((requirement,), "torch")
            text = pinned or ",".join(sorted(map(str, requirement.specifier), reverse=True))
            with contextlib.suppress(ValueError):
                check_torch(text)
                return text
    return ""


def _pinned(requires: Sequence[Requirement], prefix: str) -> str:
    for requirement in requires:
        for one in requirement.specifier if requirement.name.startswith(prefix) else ():
            if one.operator == "==" and not one.version.endswith("*"):
                return one.version.partition("+")[0]
    return ""
