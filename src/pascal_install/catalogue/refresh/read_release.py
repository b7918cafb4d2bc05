"""A release that nobody has recorded yet: its facts, read from one of its wheels by ranges."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Collection, Sequence

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement

from pascal_install.binary.coverage import Binary, architectures, cuda_labels, deciding, partly_served
from pascal_install.binary.cubin import toolkits
from pascal_install.binary.source import DamagedError
from pascal_install.binary.wheelzip import content_chunks, read_directory_place, read_members
from pascal_install.catalogue.checking.binaries import Watch
from pascal_install.catalogue.decode_package import PINNED, VARIANT_FROM
from pascal_install.catalogue.refresh.compare import Row, wheel_row
from pascal_install.catalogue.refresh.upstream import Index, Offered, World, is_cuda
from pascal_install.errors import NetworkError
from pascal_install.fetch import Stopped
from pascal_install.inspection.kept import KeptReadings
from pascal_install.inspection.remote import BLOCK, RemoteSource
from pascal_install.model.build import UNREAD
from pascal_install.model.coupling import UNKNOWN, check_torch
from pascal_install.model.cuda import JIT, CodeTarget, CudaVersion
from pascal_install.value import NamedTuple

_CUDA = re.compile(r"^cuda(?:_version)?\b[^=\n]*=\s*['\"](\d+\.\d+)['\"]", re.MULTILINE)
_LOCAL = re.compile(r"__version__\b[^=\n]*=\s*['\"][^'\"+]*\+([a-z]+[0-9]*)")
_BUILT_WITH = re.compile(r"\+(cu\d{2,3})\b")
_LIBC10 = "torch/lib/libc10.so"
#: The constructor of c10::Error takes a std::string: `Ss` is the old one, in the name of the symbol.
_CXX11_ABI = re.compile(rb"_ZN3c105ErrorC[12]ENS_14SourceLocationE(Ss|NSt7__cxx11)")
_PINNED = re.compile(r"==\s*(\d+)\.(\d+)")
#: Of a library: that much holds cubins, or it has none that tell their toolkit.
_MOST_FOR_TOOLKIT = 1 << 26


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
    keeps_unfinished: bool = False
    """Whether a row is written whose torch a person has to say. Not where it would lie over other people's rows."""


def read_release(index: Index, group: Sequence[Offered], source: str, reader: Reader) -> tuple[Row, ...] | NotTaken:
    """Make the rows of a release: one, or one for each list of architectures where its libraries differ in CUDA.

    What its wheel does not show is left out, and never guessed. Where its device code cannot be read, the row says so
    (`confidence = "unread"`) and is passed over by every plan until a later refresh reads it; where nothing tells its
    torch, it says `torch = "unknown"`, and is passed over until a person says it.
    """
    one = chosen(group)
    try:
        inside = look_inside(one, index, reader.world)
    except (NetworkError, DamagedError) as error:
        return NotTaken(f"its metadata cannot be read: {error.args[0]}")
    requires = inside.requires
    named = _named(one, index, requires, inside.member, reader.world)
    if isinstance(named, NotTaken):
        return named
    variant, note = named
    os_name, machine = one.platform or ("", "")
    row: Row = {"version": one.version, "variant": variant, "os": os_name, "machine": machine, "index": index.id}
    found: list[tuple[tuple[str, ...], tuple[CodeTarget, ...]]] = []
    try:
        binaries = _binaries(one, reader)
        if not architectures(binaries):
            return _without_code(one, index)
        labels = _labels(one, index, binaries, variant, reader)
        unknown = [label for label in labels if is_cuda(label) and label not in reader.world.variants]
        if unknown:
            return _unknown_variant(unknown[-1])
        variant = variant or labels[0]
        known = () if reader.role == "torch" else index.newest.get((os_name, machine), {}).get("architectures", ())
        found = _by_code(binaries, labels, known)
        row["architectures"] = []
        row["confidence"] = "binary"
        row["source"] = f"{source}; device code of {one.filename}, read whole on {reader.today}"
    except (NetworkError, DamagedError) as error:
        found = [((variant,), ())]
        row["architectures"] = []
        row["confidence"] = UNREAD
        row["source"] = source
        note = f"its device code could not be read on {reader.today}: {error.args[0]}"
    if not all(found[0][0]):
        return NotTaken(f"nothing tells its CUDA variant{f' ({note})' if note else ''}: see `refresh` in docs/data.md")
    torch = _torch(one, requires, only_pinned=index.torch == PINNED) if reader.role == "torch-extension" else ""
    if reader.role == "torch-extension" and not torch:
        why = _no_torch(requires)
        if not reader.keeps_unfinished:
            built = f" (all else is read: {found[0][0][0]}, {_listed(found[0][1])})"
            return NotTaken(f"{why}: a person has to say which it runs with{built}")
        torch, note = UNKNOWN, "; ".join(filter(None, (note, f"{why}: say in `torch` which it runs with")))
    if note:
        row["note"] = note
    cudnn = _pinned(requires, "nvidia-cudnn-") if reader.role == "torch" else ""
    if inside.cxx11_abi is not None:
        row["cxx11_abi"] = inside.cxx11_abi
    row |= {key: value for key, value in (("torch", torch), ("cudnn", cudnn), ("tag", one.release_tag)) if value}
    row["wheels"] = [wheel_row(wheel._replace(variant=variant), index.package, index.file, source) for wheel in group]
    return tuple(_with_code(row, labels, targets) for labels, targets in found)


def _named(
    one: Offered, index: Index, requires: Sequence[Requirement], member: str, world: World
) -> tuple[str, str] | NotTaken:
    """Find the CUDA variant of a wheel, empty where nothing tells it, and what is to be said of how it was found."""
    fixed = "" if index.variant in VARIANT_FROM else index.variant
    variant = one.variant or fixed or _variant(member, requires)
    if variant and variant != fixed:
        if not is_cuda(variant):
            return NotTaken(f"it is built for {variant}", is_news=False)
        if variant not in world.variants:
            return _unknown_variant(variant)
    platform = one.platform or ("", "")
    if not variant and index.variant == "torch":
        pinned = _pinned(requires, "torch")
        variant = world.torches.get((index.id, pinned, *platform), "")
        if not variant:
            return NotTaken(f"no torch {pinned or 'that it requires'} of {index.id} is recorded: refresh torch first")
    if not variant and index.variant == "recorded" and platform in index.newest:
        known = index.newest[platform]
        return str(
            known.get("variant", "")
        ), f"nothing in the wheel tells its CUDA: taken to be that of {known['version']}"
    return variant, ""


def _with_code(row: Row, labels: tuple[str, ...], targets: tuple[CodeTarget, ...]) -> Row:
    """Give the row for some of a wheel's CUDA variants, newest first."""
    named = {"variant": labels[0]} if len(labels) == 1 else {"variants": list(labels)}
    row = {"version": row["version"], **named, **{key: row[key] for key in row if key not in ("version", "variant")}}
    return row | {"architectures": [str(target) for target in targets]}


def _by_code(
    binaries: Sequence[Binary], labels: Sequence[str], known: Collection[str]
) -> list[tuple[tuple[str, ...], tuple[CodeTarget, ...]]]:
    """Gather the CUDA variants whose libraries have the same code, newest first.

    What an extension serves in a good part of its libraries only (vllm) counts where it is `known` of the release
    before, as it does for `check --binaries`.
    """
    newest_first = sorted(labels, key=_by_age, reverse=True)
    by_code: dict[tuple[CodeTarget, ...], list[str]] = {}
    for label in newest_first:
        more = {target for target in partly_served(binaries, label) if str(target) in known}
        targets = sorted({*architectures(binaries, label), *more}, key=lambda target: (target.ptx, target))
        by_code.setdefault(tuple(targets), []).append(label)
    return [(tuple(of_code), targets) for targets, of_code in by_code.items()] or [(("",), ())]


def _labels(one: Offered, index: Index, binaries: Sequence[Binary], variant: str, reader: Reader) -> tuple[str, ...]:
    """Give the CUDA variants of a wheel: those of its libraries where they differ, the known one, else its code's."""
    if index.variant != "libraries":
        return (variant if variant or index.variant else _compiled_with(one, binaries, reader.world),)
    labels = cuda_labels(binaries)
    if reader.role == "torch-extension":
        # Not what torch never had on this platform; newer ones stay, since torch may be about to follow.
        torches = reader.world.torches.items()
        has = {label for (_, _, *platform), label in torches if tuple(platform) == one.platform and is_cuda(label)}
        newest = max(map(_by_age, has), default=(0, ""))
        labels = tuple(label for label in labels if label in has or _by_age(label) > newest) or labels
    return labels or ("",)


def _by_age(label: str) -> tuple[int, str]:
    return len(label), label


def _unknown_variant(variant: str) -> NotTaken:
    return NotTaken(f"cuda.toml does not know {variant}: add its oldest driver there first")


def _without_code(one: Offered, index: Index) -> NotTaken:
    """Tell of a release without device code, unless that is what such wheels are: builds for the CPU only."""
    known = index.newest.get(one.platform or ("", ""), {})
    if any(text.startswith(f"{JIT}_") for text in known.get("architectures", ())):
        return NotTaken(
            f"its code is compiled on the machine, so no wheel shows it: copy the row of {known['version']}"
        )
    return NotTaken("it holds no device code", is_news=False)


def chosen(group: Sequence[Offered]) -> Offered:
    """Pick the wheel to read: they share their device code; CPython 3.12's is there for most releases."""
    return next((one for one in group if one.tag.startswith("cp312-")), group[0])


def _binaries(one: Offered, reader: Reader) -> tuple[Binary, ...]:
    """Read a wheel's libraries, by ranges; what was read once is kept. Raises NetworkError, DamagedError."""
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
        return tuple(reader.kept.read(one.url, identity, reader.world.fetcher, tell))
    finally:
        reader.watch.finish(one.filename)


class Inside(NamedTuple):
    """What a wheel holds beside its device code."""

    requires: tuple[Requirement, ...]
    member: str
    """The text of the member that names its variant."""
    cxx11_abi: bool | None
    """Of torch on Linux."""


def look_inside(one: Offered, index: Index, world: World) -> Inside:
    """Read the small members of a remote wheel."""
    source = RemoteSource(one.url, world.fetcher)
    found: dict[str, bytes] = {}
    is_wanted = {index.variant_member, _LIBC10 if index.package == "torch" else ""}
    wanted = read_members(
        source,
        read_directory_place(source),
        lambda name: name in is_wanted or (name.endswith(".dist-info/METADATA") and name.count("/") == 1),
    )
    for member in wanted:
        key = member.name if member.name in is_wanted else "METADATA"
        found[key] = b"".join(content_chunks(source, member))
    raw, _ = parse_email(found.get("METADATA", b"").decode("utf-8", "replace"))
    abi = _CXX11_ABI.search(found.get(_LIBC10, b""))
    requires = []
    for text in raw.get("requires_dist", []):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if "extra ==" not in str(requirement.marker or ""):
            requires.append(requirement)
    member_text = found.get(index.variant_member, b"").decode("utf-8", "replace")
    return Inside(tuple(requires), member_text, abi[1] != b"Ss" if abi else None)


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


def _compiled_with(one: Offered, binaries: Sequence[Binary], world: World) -> str:
    """Find the CUDA variant in the device code itself; empty where its cubins do not agree, or are compressed."""
    source = RemoteSource(one.url, world.fetcher)
    names = {binary.member for alternatives in deciding(binaries) for binary in alternatives}
    members = read_members(source, read_directory_place(source), names.__contains__)
    source.read_ahead(BLOCK, members)
    found: set[CudaVersion] = set()
    for member in members:
        content = bytearray()
        for chunk in content_chunks(source, member):
            content += chunk
            if len(content) > _MOST_FOR_TOOLKIT:
                break
        found |= toolkits(bytes(content))
    return f"cu{min(found).major}{min(found).minor}" if len(found) == 1 else ""


def _no_torch(requires: Sequence[Requirement]) -> str:
    """Say why the metadata does not tell the torch."""
    named = next((requirement for requirement in requires if requirement.name == "torch"), None)
    if named is None or not named.specifier:
        return "its metadata names no torch version"
    return f"its metadata asks for torch{named.specifier}, which does not tell the one that it was built with"


def _listed(targets: Sequence[CodeTarget]) -> str:
    return " ".join(map(str, targets)) or "no architectures"


def _torch(one: Offered, requires: Sequence[Requirement], *, only_pinned: bool) -> str:
    """Find the torch that an extension was built against: in its local version, else in its requirements."""
    for part in one.version.partition("+")[2].split("."):
        if part.startswith("torch"):
            return one.version.partition("torch")[2]
    for requirement in requires:
        if requirement.name == "torch" and requirement.specifier:
            pinned = _pinned((requirement,), "torch")
            bounds = "" if only_pinned else ",".join(sorted(map(str, requirement.specifier), reverse=True))
            text = pinned or bounds
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
