"""A person's own wheel, by path or address: read before it is installed, and then a build like any other.

Nobody publishes what such a wheel carries, so its device code is read out of it. From then on the rules hold as ever.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from email.parser import HeaderParser
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pascal_install.errors import DataError, NetworkError, UsageError, VerificationError
from pascal_install.fetch import Fetcher
from pascal_install.inspection.remote import list_url
from pascal_install.inspection.subject import Carried, wheel_code
from pascal_install.installation.needs import Markers, active
from pascal_install.installation.prefetch import File, prefetch
from pascal_install.installation.state import requires_dist
from pascal_install.installation.wheelfile import read_wheel
from pascal_install.installation.wheelstore import sha256_of
from pascal_install.model.address import redact
from pascal_install.model.build import Package, Release, Wheel
from pascal_install.model.coupling import check_torch
from pascal_install.model.cuda import ANY
from pascal_install.model.interpreter import Target
from pascal_install.model.request import Wanted
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_TORCH_INDEX = "https://download.pytorch.org/whl/{variant}"
# What builders write into the local version: `cu124.torch2.6.0` (exllamav2), `cu12torch2.6cxx11abiFALSE` (flash-attn).
_CUDA = re.compile(r"cu(\d{2,3})(?!\d)")
_TORCH = re.compile(r"torch(\d+(?:\.\d+){1,2})")
_ABI = re.compile(r"cxx11abi(true|false)")


class Named(NamedTuple):
    """A wheel as a person names it."""

    text: str
    name: str
    """The name that was written before `@`, normalised; empty without one."""
    place: str
    """A path, or an https address."""
    sha256: str
    """From `#sha256=...`; empty without one."""

    @property
    def is_remote(self) -> bool:
        """Whether it has to be fetched."""
        return "://" in self.place


class Own(NamedTuple):
    """What was read of one."""

    wanted: tuple[Wanted, ...]
    """The wheel itself, and the versions of torch that it requires."""
    package: Package


class _Read(NamedTuple):
    name: str
    version: str
    requires: tuple[str, ...]
    members: tuple[str, ...]
    code: Carried
    size_bytes: int
    sha256: str


def named_wheel(text: str) -> Named | None:
    """Read an argument that names a wheel itself: `./some.whl`, an address, `name @ address`; None for any other.

    Raises UsageError for what names a file, but none that can be taken.
    """
    name, place = "", text.strip()
    if not place.partition("#")[0].partition("?")[0].endswith(".whl") or "@" in place.partition("://")[0]:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            if "://" not in text and not text.startswith((".", "/", "~")):
                return None
            raise _refused(text, "it is no wheel: names of wheels end in .whl") from None
        if not requirement.url:
            return None
        if requirement.marker or requirement.extras:
            raise _refused(text, "markers and extras have no place beside an address")
        name, place = str(canonicalize_name(requirement.name)), requirement.url
    place, _, fragment = place.partition("#")
    key, _, sha256 = fragment.partition("=")
    if fragment and (key != "sha256" or not re.fullmatch("[0-9a-f]{64}", sha256)):
        raise _refused(text, "after `#` only sha256= and 64 lower-case hex digits are read")
    return Named(redact(text), name, _place(text, place), sha256)


def _place(text: str, place: str) -> str:
    """Give the absolute path, or the address that may be shown and asked. Raises UsageError."""
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        place = url2pathname(parts.path)
    elif "://" in place:
        if parts.scheme not in ("https", "http"):
            raise _refused(text, f"{parts.scheme} is not a scheme that wheels are taken by")
        if "@" in parts.netloc or parts.query:
            raise _refused(text, "it holds a password or a signature", "use netrc, or download the file first")
    if not place.endswith(".whl"):
        raise _refused(text, "it is no wheel: names of wheels end in .whl")
    if "://" in place:
        return place
    path = os.path.abspath(os.path.expanduser(place))
    if not os.path.isfile(path):
        raise UsageError(f"{place} does not exist", code="not-found")
    return path


def _refused(text: str, why: str, hint: str = "give the path of a wheel, or its https address") -> UsageError:
    return UsageError(f"{redact(text)!r} cannot be taken", code="bad-requirement", cause=why, hints=(hint,))


def read_own_wheel(
    named: Named, target: Target, markers: Markers, store: str, make_fetcher: Callable[[], Fetcher]
) -> Own:
    """Read name, version, requirements and device code, and make a package with this one build.

    `store` is the folder of fetched wheels: a host that gives no parts of a file is asked for all of it. Raises
    DataError and DamagedError for what is no whole wheel, NetworkError, VerificationError for another hash.
    """
    filename = os.path.basename(unquote(urlsplit(named.place).path) if named.is_remote else named.place)
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise UsageError(f"{filename} is not the name of a wheel", code="bad-requirement", cause=str(error)) from error
    read = _read_remote(named, filename, store, make_fetcher) if named.is_remote else _read_local(named)
    if (read.name, read.version) != (str(name), str(version)) or named.name not in ("", str(name)):
        wanted = named.name or f"{name} {version}"
        raise DataError(f"{filename} is not {wanted}", code="bad-wheel", cause=f"it is {read.name} {read.version}")
    return _own(named, filename, read, active(read.requires, markers), target)


def _read_local(named: Named) -> _Read:
    sha256 = sha256_of(named.place)
    if named.sha256 and named.sha256 != sha256:
        raise VerificationError(
            f"{named.place} is not the file that was meant",
            code="hash-mismatch",
            cause=f"expected sha256 {named.sha256}, found {sha256}",
        )
    code = wheel_code(named.place)
    try:
        facts = read_wheel(named.place)
    except VerificationError as error:
        raise DataError(error.summary, code=error.code, cause=error.cause) from error
    size_bytes = os.path.getsize(named.place)
    return _Read(facts.name, _normal(facts.version), facts.requires, facts.members, code, size_bytes, sha256)


def _read_remote(named: Named, filename: str, store: str, make_fetcher: Callable[[], Fetcher]) -> _Read:
    with make_fetcher() as fetcher:
        try:
            listing = list_url(named.place, fetcher)
            code = wheel_code(named.place, fetcher)
        except NetworkError as error:
            if error.code != "no-ranges":
                raise
            fetched = prefetch([File(filename, (named.place,), named.sha256)], store, fetcher)[filename]
            return _read_local(named._replace(place=fetched.path))._replace(sha256=named.sha256)
    text = listing.metadata.decode("utf-8", "replace")
    headers = HeaderParser().parsestr(text)
    return _Read(
        str(canonicalize_name(headers.get("Name", ""))),
        _normal(headers.get("Version", "")),
        requires_dist(io.StringIO(text)),
        tuple(member.name for member in listing.members),
        code,
        listing.size_bytes,
        named.sha256,
    )


def _normal(version: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(version))
    except InvalidVersion:
        return version


def _own(named: Named, filename: str, read: _Read, requires: Sequence[Requirement], target: Target) -> Own:
    local = read.version.partition("+")[2].replace(".", "").lower()
    spelled = read.version.partition("+")[2].lower()
    cuda, abi = _CUDA.search(spelled), _ABI.search(local)
    variant = "cpu" if spelled.startswith("cpu") else ANY
    if cuda:
        variant = f"cu{cuda[1]}" if len(cuda[1]) == 3 else f"cu{cuda[1]}x"
    bounds = [one.specifier for one in requires if str(canonicalize_name(one.name)) == "torch"]
    torch = _torch(spelled, bounds)
    is_torch = read.name == "torch"
    if is_torch and not read.code.architectures:
        variant = "cpu"
    release = Release(
        name=read.name,
        version=read.version,
        variant=variant,
        os=target.os,
        machine=target.machine,
        publisher="own",
        index_url=_TORCH_INDEX.format(variant=variant) if is_torch and cuda else "",
        architectures=read.code.architectures,
        confidence="binary",
        source=f"read from {redact(named.place)}",
        wheels=(
            Wheel(
                tag="-".join(filename.removesuffix(".whl").split("-")[-3:]),
                filename=filename,
                url=named.place if named.is_remote else f"file://{named.place}",
                sha256=read.sha256,
                size_bytes=read.size_bytes,
                source=redact(named.place),
            ),
        ),
        torch="" if is_torch else torch,
        cxx11_abi=abi[1] == "true" if abi else None,
        rank=1,
        ptx_cuda=read.code.ptx_cuda,
    )
    role = "torch" if is_torch else "torch-extension" if release.torch else "cuda"
    wanted = [Wanted(read.name, f"=={read.version}", named.text)]
    wanted += [Wanted("torch", str(specifier), f"torch{specifier}") for specifier in bounds if str(specifier)]
    return Own(tuple(wanted), Package(read.name, role, _module(read), (release,)))


def _torch(local: str, bounds: Sequence[SpecifierSet]) -> str:
    """Give the torch that it was built for: as its version spells it, else as it requires; empty without torch."""
    found = _TORCH.search(local)
    if found:
        return found[1] if found[1].count(".") == 2 else f"{found[1]}.*"
    if not bounds:
        return ""
    for text in (str(bounds[0]).removeprefix("=="), str(bounds[0])):
        try:
            check_torch(text)
        except ValueError:
            continue
        return text
    return ">=0"  # the request holds the bounds as they are written


def _module(read: _Read) -> str:
    """Name the module that proves it: the one of its name, else the first that it brings."""
    wanted = read.name.replace("-", "_")
    tops = [member.partition("/")[0].partition(".")[0] for member in read.members if _is_module(member)]
    return next((top for top in tops if top.lower() == wanted), tops[0] if tops else wanted)


def _is_module(member: str) -> bool:
    folder, slash, rest = member.partition("/")
    return rest == "__init__.py" if slash else folder.endswith((".py", ".so", ".pyd"))
