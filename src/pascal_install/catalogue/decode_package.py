"""packages/NAME.toml to a Package, with checks of sense: rows that contradict themselves never reach a plan."""

from __future__ import annotations

import contextlib
from datetime import date

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import InvalidTag, Tag, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pascal_install.catalogue.fields import Fields, Sources
from pascal_install.catalogue.ranking import newest_first
from pascal_install.model.address import redact
from pascal_install.model.build import CONFIDENCE, EXISTENCE, UNREAD, Package, Release, Wheel
from pascal_install.model.coupling import check_torch
from pascal_install.model.cuda import ANY, CodeTarget, variant_cuda
from pascal_install.model.request import Wanted
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

#: How `catalogue refresh` asks an index, and what more it may be told.
UPSTREAMS = ("pypi", "simple", "github")
#: In place of a variant: that of this index's torch of the version that the wheel requires; that of the newest recorded
#: release; those that the wheel's libraries name.
VARIANT_FROM = ("torch", "recorded", "libraries")
#: Where an extension's bounds on torch do not tell the one that it runs with: only a `==` counts, as its C++ fits one
#: torch; or the torches of this index that require it.
TORCH_FROM = (PINNED, REQUIRES_IT) = ("pinned", "requires-it")
_REFRESH = ("upstream", "page", "repository", "variant_member", "variant", "torch")
ROLES = ("torch", "torch-extension", "cuda", "python", "choice")
SYSTEMS = ("linux", "windows")
MACHINES = ("x86_64", "aarch64")
_HEX = frozenset("0123456789abcdef")
_PLACES = ("{name}", "{version}", "{variant}", "{tag}", "{filename}", "{quoted}")
_ADDRESS = "an https or http address without spaces and without a password (netrc and --mirror are for those)"


class Index(NamedTuple):
    """One publisher, with the templates of its addresses."""

    page: str = ""
    file: str = ""
    mirrors: tuple[str, ...] = ()


class Context(NamedTuple):
    """What every release of a file is read with."""

    name: str
    role: str
    indexes: dict[str, Index]
    variants: Collection[str] | None
    sources: Sources


def decode_package(file: Fields, stem: str, variants: Collection[str] | None) -> Package:
    """Read one package.

    `stem` is the file's name, which must be the package's; `variants` are the known ones, None where that is not known.
    """
    name = file.text("name")
    if name != stem:
        file.reject("name", f"the name of the file, {stem!r}")
        name = stem
    context = Context(
        name=name,
        role=file.choice("role", ROLES),
        indexes=_indexes(file),
        variants=variants,
        sources=Sources(file.mapping("sources")),
    )
    releases: dict[tuple[str, ...], Release] = {}
    for row in file.tables("release"):
        for release in _releases(row, context):
            if release.identity in releases:
                identity = " ".join(release.identity)
                row.reject("version", "each build (version, variant, os, machine, index) once", identity)
            releases[release.identity] = release
    return Package(
        name=name,
        role=context.role,
        import_name=file.text("import_name"),
        releases=newest_first(releases.values()),
        never_from_pypi=file.text("never_from_pypi", ""),
        uses=_uses(file, context.role),
        one_of=_one_of(file, context.role),
        checked=_date(file, "checked"),
    )


def _uses(file: Fields, role: str) -> tuple[Wanted, ...]:
    """Read the packages that a pure Python package brings its device code from."""
    texts = file.texts("uses", required=role == "python")
    if texts and role != "python":
        file.reject("uses", "this field with the role 'python' only")
    found = []
    for text in texts:
        try:
            read = Requirement(text)
        except InvalidRequirement:
            file.reject("uses", "requirements like ctranslate2>=4,<5", text)
            continue
        found.append(Wanted(canonicalize_name(read.name), str(read.specifier), text))
    return tuple(found)


def _one_of(file: Fields, role: str) -> tuple[str, ...]:
    """Read the distributions that a name stands for."""
    names = file.texts("one_of", required=role == "choice")
    if names and role != "choice":
        file.reject("one_of", "this field with the role 'choice' only")
    for name in names:
        if name != canonicalize_name(name):
            file.reject("one_of", "normalised names like cupy-cuda12x", name)
    return names


def _indexes(file: Fields) -> dict[str, Index]:
    found: dict[str, Index] = {}
    for row in file.tables("index"):
        name = row.text("id")
        if name in found:
            row.reject("id", "each id once")
        found[name] = _index(row)
    return found


def _index(row: Fields) -> Index:
    mirrors = tuple(_template(row, "mirrors", template) for template in row.texts("mirrors"))
    index = Index(_template(row, "page", row.text("page", "")), _template(row, "file", row.text("file", "")), mirrors)
    _check_refresh(row)
    row.close()
    return index


def _check_refresh(row: Fields) -> None:
    """Check how `catalogue refresh` asks an index; a plan needs nothing of it."""
    how = row.mapping("refresh")
    for key in how:
        if key not in _REFRESH:
            row.reject("refresh", f"a table of {', '.join(_REFRESH)}", key)
    if how and how.get("upstream") not in UPSTREAMS:
        row.reject("refresh", f"upstream = {' or '.join(repr(word) for word in UPSTREAMS)}", how.get("upstream"))
    if how.get("upstream") == "github" and how.get("repository", "").count("/") != 1:
        row.reject("refresh", 'repository = "OWNER/NAME"', how.get("repository"))
    variant = how.get("variant", ANY)
    if variant not in (ANY, *VARIANT_FROM) and not (variant.startswith("cu") and variant[2:].isdigit()):
        row.reject("refresh", f"variant = a CUDA variant, or {' or '.join(map(repr, (ANY, *VARIANT_FROM)))}", variant)
    if how.get("torch", PINNED) not in TORCH_FROM:
        row.reject("refresh", f"torch = {' or '.join(map(repr, TORCH_FROM))}", how.get("torch"))
    if how.get("upstream") == "simple" and not (how.get("page") or row.text("page", "")):
        row.reject("refresh", "the address of its page", None)
    _template(row, "refresh", how.get("page", ""))


def _date(file: Fields, key: str) -> str:
    text = file.text(key, "")
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        file.reject(key, "a date like 2026-11-23")
        return ""


def _template(row: Fields, key: str, template: str) -> str:
    if template and not _is_address(template):
        row.reject(key, _ADDRESS, redact(template))
    left = _fill(template, "", "", "", "", "")
    if "{" in left or "}" in left:
        row.reject(key, f"an address with {', '.join(_PLACES)} and no other braces", template)
    return template


def _is_address(text: str) -> bool:
    """Tell what may stand in plans and be fetched from anywhere: a folder of this machine is named with --mirror."""
    scheme, _, rest = text.partition("://")
    is_plain = text.isprintable() and " " not in text
    return scheme in ("https", "http") and is_plain and "@" not in rest.partition("/")[0]


def _fill(template: str, name: str, version: str, variant: str, tag: str, filename: str) -> str:
    values = (name, version, variant, tag, filename, filename.replace("+", "%2B"))
    for place, value in zip(_PLACES, values, strict=True):
        template = template.replace(place, value)
    return template


def _releases(row: Fields, context: Context) -> Iterator[Release]:
    """Give a row's release, once for each of its CUDA variants: some wheels carry one library for each."""
    variants = row.texts("variants")
    if not variants:
        yield _release(row, context, "")
        return
    first = _release(row, context, variants[0])
    for label in variants:
        if context.variants is not None and label not in context.variants:
            row.reject("variants", "CUDA variants of cuda.toml", label)
        yield first._replace(variant=label)


def _release(row: Fields, context: Context, of_several: str) -> Release:
    """Read one row; `of_several` is the first CUDA variant of a row that holds for several."""
    publisher = row.choice("index", tuple(context.indexes) or ("",))
    index = context.indexes.get(publisher, Index())
    version = row.text("version")
    if of_several:
        variant = of_several
        if row.text("variant", "") or "{variant}" in f"{index.page}{index.file}{index.mirrors}":
            row.reject("variants", "variant or variants, and no {variant} in the index's addresses")
    else:
        variant = row.text("variant") if context.variants is None else row.choice("variant", context.variants)
    _check_version(row, version, variant)
    release = Release(
        name=context.name,
        version=version,
        variant=variant,
        os=row.choice("os", SYSTEMS),
        machine=row.choice("machine", MACHINES),
        publisher=publisher,
        index_url=index.page and _fill(index.page, context.name, version, variant, "", ""),
        architectures=_architectures(row, row.text("confidence", "")),
        confidence=row.choice("confidence", CONFIDENCE),
        source=context.sources.expand(row),
        wheels=(),
        torch=row.text("torch", None if context.role == "torch-extension" else ""),
        torch_variants=row.texts("torch_variants"),
        cxx11_abi=row.boolean("cxx11_abi"),
        cudnn=row.text("cudnn", ""),
        note=row.text("note", ""),
        torch_also=row.texts("torch_also"),
    )
    _check_torch(row, release)
    if release.confidence == "disputed" and not release.note:
        row.reject("note", "both sides of the dispute")
    tag, wheels = row.text("tag", ""), {}
    for wheel_row in row.tables("wheels"):
        wheel = _wheel(wheel_row, release, index, tag, context.sources)
        if wheel.filename in wheels:
            wheel_row.reject("tag", "each file once", wheel.filename)
        wheels[wheel.filename] = wheel
    row.close()
    return release._replace(wheels=tuple(wheels.values()))


def _check_version(row: Fields, version: str, variant: str) -> None:
    try:
        local = Version(version).local or "" if version else ""
    except InvalidVersion:
        row.reject("version", "a version like 2.6.0+cu124")
        return
    label = local.split(".")[0]
    if variant and label.startswith("cu") and label[2:].isdigit() and label != variant:
        row.reject("variant", f"the variant of the version, {label!r}")


def _check_torch(row: Fields, release: Release) -> None:
    for key, versions in (("torch", (release.torch,)), ("torch_also", release.torch_also)):
        for version in versions:
            try:
                if version:
                    check_torch(version)
            except ValueError:
                row.reject(key, "torch versions without local part, like 2.6.0, 2.6.* or >=2.4,<3", version)
    for label in release.torch_variants:
        try:
            variant_cuda(f"{label[:-1]}0" if label.endswith("x") else label)
        except ValueError:
            row.reject("torch_variants", "CUDA variants like cu124, or cu12x for all of CUDA 12", label)


def is_version(text: str) -> bool:
    """Tell whether a text is a version (PEP 440)."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _architectures(row: Fields, confidence: str) -> tuple[CodeTarget, ...]:
    found = []
    for text in row.texts("architectures", required=confidence != UNREAD):
        try:
            found.append(CodeTarget.parse(text))
        except ValueError:
            row.reject("architectures", "code targets like sm_60, sm_90a, compute_90 or jit_70", text)
    return tuple(found)


def _wheel(row: Fields, release: Release, index: Index, release_tag: str, sources: Sources) -> Wheel:
    tag = row.text("tag")
    filename = row.text("filename", f"{release.name.replace('-', '_')}-{release.version}-{tag}.whl")
    _check_file(row, release, tag, filename)

    def address(template: str) -> str:
        return _fill(template, release.name, release.version, release.variant, release_tag, filename)

    url = row.text("url", "")
    if url and not _is_address(url):
        row.reject("url", _ADDRESS, redact(url))
    sha256 = row.text("sha256", "")
    if sha256 and not (len(sha256) == 64 and set(sha256) <= _HEX):
        row.reject("sha256", "64 lower-case hex digits")
    wheel = Wheel(
        tag=tag,
        filename=filename,
        url=url or (index.file and address(index.file)),
        sha256=sha256,
        size_bytes=row.integer("size"),
        existence=row.choice("existence", EXISTENCE, "proven"),
        source=sources.expand(row, release.source),
        mirrors=() if url else tuple(address(template) for template in index.mirrors),
    )
    row.close()
    return wheel


def _check_file(row: Fields, release: Release, tag: str, filename: str) -> None:
    tags: frozenset[Tag] = frozenset()
    if tag.count("-") == 2 and all(tag.split("-")):
        with contextlib.suppress(InvalidTag):
            tags = parse_tag(tag)
    if not tags:
        row.reject("tag", "a wheel tag like cp312-cp312-linux_x86_64")
        return
    platforms = ("any", "win") if release.os == "windows" else ("any", "linux", "manylinux", "musllinux")
    machine = "amd64" if release.os == "windows" and release.machine == "x86_64" else release.machine
    for one in tags if release.os and release.machine else ():
        if not one.platform.startswith(platforms) or not one.platform.endswith(("any", machine)):
            row.reject("tag", f"a tag for {release.os} on {release.machine}")
            return
    try:
        name, version, _, file_tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        if is_version(release.version):  # else its own problem was told
            row.reject("filename", "the name of a wheel", filename)
        return
    same_version = not is_version(release.version) or version == Version(release.version)
    if name != release.name or not same_version or file_tags != tags:
        row.reject("filename", f"a wheel of {release.name} {release.version} with the tag {tag}", filename)
