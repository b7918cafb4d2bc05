"""What every upstream is asked for, and what it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from pascal_install.fetch import Fetcher
from pascal_install.model.address import Mirror
from pascal_install.model.build import CONFIRMED
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from packaging.tags import Tag


class World(NamedTuple):
    """How upstreams are reached."""

    fetcher: Fetcher
    pypi_url: str
    """The index that stands for PyPI, from pip's settings; empty where they forbid it."""
    variants: Sequence[str]
    """The CUDA variants that cuda.toml knows, oldest first."""
    mirrors: Sequence[Mirror] = ()
    """What an address is recorded without."""
    github_token: str = ""
    github_url: str = "https://api.github.com"
    torches: Mapping[tuple[str, str, str, str], str] = {}
    """The CUDA variant of each recorded torch, by index, version, operating system and machine."""


class Index(NamedTuple):
    """One `[[index]]` of a package's file that can be refreshed."""

    package: str
    id: str
    upstream: str
    page: str
    """Template of the page to read; empty for PyPI and GitHub."""
    repository: str
    """For GitHub: `OWNER/NAME`."""
    file: str
    """Template of a file's address; empty for PyPI."""
    variant_member: str
    """The member of a wheel that names its CUDA variant, such as `torch/version.py`."""
    variant: str
    """The variant of every build of this index, where all have the same; or one of VARIANT_FROM."""
    torch: str
    """Where the torch of an extension is found, if not in its own metadata; one of TORCH_FROM, or empty."""
    newest: Mapping[tuple[str, str], Mapping[str, Any]]
    """The newest recorded release for each platform."""
    variants: tuple[str, ...]
    """For a page with `{variant}`: the variants whose pages are asked."""
    recorded_variants: frozenset[str]
    """Those of them that have builds which were seen there, or are surely built: their pages must be there."""


class Offered(NamedTuple):
    """One wheel that an upstream lists now."""

    filename: str
    url: str
    version: str
    tags: frozenset[Tag]
    sha256: str = ""
    size_bytes: int | None = None
    yanked: bool = False
    variant: str = ""
    """Empty where neither the page nor the file's name tells it."""
    release_tag: str = ""
    """For GitHub: the tag of the release."""

    @property
    def platform(self) -> tuple[str, str] | None:
        """Operating system and machine, in the catalogue's words; None for other ones, ("", "") for any."""
        found = {_platform(tag.platform) for tag in self.tags}
        return found.pop() if len(found) == 1 else None

    @property
    def tag(self) -> str:
        """The wheel tag as it stands in the file's name."""
        return "-".join(self.filename.removesuffix(".whl").split("-")[-3:])


def read_filename(filename: str, package: str) -> tuple[str, frozenset[Tag]] | None:
    """Read version and tags from the name of a package's wheel; None for any other file."""
    try:
        name, version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return (_as_written(filename, version), tags) if name == package else None


def variant_in(version: str) -> str:
    """Give the CUDA variant in a local version, or the word that says it is none (`cpu`, `rocm6.2`); else empty."""
    return version.partition("+")[2].partition(".")[0]


def is_cuda(variant: str) -> bool:
    """Tell a CUDA variant by its form."""
    return variant.startswith("cu") and variant[2:].isdigit()


def page_variants(template: str, known: Sequence[str], recorded: frozenset[str]) -> tuple[str, ...]:
    """Choose the variants whose pages are asked: what is recorded, and everything newer."""
    if "{variant}" not in template:
        return ()
    labels = [label for label in known if is_cuda(label)]
    first = min((labels.index(label) for label in recorded if label in labels), default=0)
    return tuple(label for place, label in enumerate(labels) if label in recorded or place > first)


def refreshable(package: Mapping[str, object], known: Sequence[str]) -> tuple[Index, ...]:
    """Give the indexes of a package's file, decoded before, that say how they are refreshed."""
    name = str(package["name"])
    found = []
    rows = package.get("index", [])
    releases = package.get("release", [])
    for row in rows if isinstance(rows, list) else []:
        how = row.get("refresh")
        if not how:
            continue
        of_index = [
            release for release in (releases if isinstance(releases, list) else []) if release["index"] == row["id"]
        ]
        page = how.get("page", "") or (f"{row['page'].rstrip('/')}/{{name}}/" if row.get("page") else "")
        found.append(
            Index(
                package=name,
                id=row["id"],
                upstream=how["upstream"],
                page=page,
                repository=how.get("repository", ""),
                file=row.get("file", ""),
                variant_member=how.get("variant_member", ""),
                variant=how.get("variant", ""),
                torch=how.get("torch", ""),
                newest=_newest(of_index),
                variants=page_variants(page, known, _variants(of_index)),
                recorded_variants=_variants([release for release in of_index if _is_believed(release)]),
            )
        )
    return tuple(found)


def _newest(releases: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    in_order = sorted(releases, key=lambda release: Version(release["version"].partition("+")[0]))
    return {(release["os"], release["machine"]): release for release in in_order}


def _variants(releases: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(label for release in releases for label in release.get("variants") or [release["variant"]])


def _is_believed(release: Mapping[str, Any]) -> bool:
    return any(wheel.get("existence", "proven") in CONFIRMED for wheel in release.get("wheels", ()))


def _as_written(filename: str, version: Version) -> str:
    """Give the version as the name has it: `2.0.0+cu118`, not a form that packaging prefers."""
    written = filename.split("-")[1].replace("_", "-")
    return written if Version(written) == version else str(version)


def _platform(platform: str) -> tuple[str, str] | None:
    if platform == "any":
        return "", ""
    if platform == "win_amd64":
        return "windows", "x86_64"
    for machine in ("x86_64", "aarch64"):
        if platform.startswith(("linux_", "manylinux")) and platform.endswith(f"_{machine}"):
            return "linux", machine
    return None
