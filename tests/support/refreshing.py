"""A small catalogue, and the indexes that it is refreshed from, played on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pascal_install.catalogue.decode import parse_toml
from pascal_install.catalogue.refresh.run import Outcome, Work, refresh, write
from pascal_install.catalogue.refresh.upstream import World
from pascal_install.errors import NetworkError
from pascal_install.fetch import Fetcher
from pascal_install.inspection.kept import KeptReadings
from pascal_install.report.progress import SILENT
from support import index_pages
from support.device_code import CUBIN, pack_elf, pack_entry, pack_fatbin
from support.index_pages import Shown
from support.mirror import GITHUB_API, PYTORCH, PYTORCH_CDN, Mirror
from support.wheels import make_extension_stub, make_torch_stub, wheel_filename

VARIANTS = ("cu118", "cu124", "cu126", "cu128")
TODAY = "2026-11-24"
LINUX = "cp312-cp312-manylinux_2_28_x86_64"

TORCH = """\
schema = 1
name = "torch"
import_name = "torch"
role = "torch"
data_date = "2026-01-02"   # the day of the last fact
checked = "2026-01-02"

[[index]]
id = "pytorch"
page = "https://download.pytorch.org/whl/{variant}"
file = "https://download.pytorch.org/whl/{variant}/{quoted}"
refresh = {upstream = "simple"}

[[index]]
id = "pypi"
refresh = {upstream = "pypi", variant_member = "torch/version.py"}

[sources]
seen = "seen in use"

# The newest one first.
"""

RELEASE = """\
[[release]]
version = "{version}"
variant = "{variant}"
os = "linux"
machine = "x86_64"
index = "{index}"
architectures = ["sm_60", "sm_70"]
confidence = "binary"   # read by hand
source = "seen"
{more}wheels = [
{wheels}]

"""

EXTENSION = """\
schema = 1
name = "exllamav2"
import_name = "exllamav2"
role = "torch-extension"
data_date = "2026-01-02"
checked = "2026-01-02"

[[index]]
id = "github"
file = "https://github.com/turboderp-org/exllamav2/releases/download/{tag}/{filename}"
refresh = {upstream = "github", repository = "turboderp-org/exllamav2"}

[sources]
seen = "seen in use"

"""


def release_row(version: str, variant: str, index: str, wheels: Sequence[str], more: str = "") -> str:
    lines = "".join(f"  {{{wheel}}},\n" for wheel in wheels)
    return RELEASE.format(version=version, variant=variant, index=index, wheels=lines, more=more)


def rows(text: str) -> list[dict[str, Any]]:
    """Read the releases of a package's file."""
    found: list[dict[str, Any]] = parse_toml(text).get("release", [])
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def device_library(*architectures: int) -> bytes:
    """Make a library with one fatbin for these architectures."""
    return pack_elf({".nv_fatbin": pack_fatbin(*(pack_entry(CUBIN, number) for number in architectures))})


def torch_wheel(version: str, variant: str, tag: str = LINUX, library: bytes = b"") -> bytes:
    """Make a torch with real device code in the library that decides."""
    files = {"torch/lib/libtorch_cuda.so": library or device_library(60, 70)}
    return make_torch_stub(version, variant, tag, ["sm_60", "sm_70"], files=files)


def extension_wheel(version: str, tag: str = LINUX) -> bytes:
    return make_extension_stub("exllamav2", version, tag, files={"exllamav2_ext.so": device_library(60, 61)})


def publish(mirror: Mirror, version: str, variant: str, tag: str = LINUX, library: bytes = b"") -> bytes:
    """Put a torch on the index that plays PyPI."""
    content = torch_wheel(version, variant, tag, library)
    mirror.add_pypi(wheel_filename("torch", version, tag), content)
    return content


def html_page(
    mirror: Mirror, variant: str, wheels: Sequence[tuple[str, bytes, bool]], more: str = "", *, rewritten: bool = True
) -> None:
    """Give PyTorch's page of a variant as it is, in HTML: old files beside the page, new ones on the second host.

    The mirror has several hosts in folders, and links are `rewritten` to them, or passed on as they are.
    """
    shown = []
    for filename, content, is_new in wheels:
        host = PYTORCH_CDN if is_new else PYTORCH
        mirror.add_file(host, f"whl/{variant}/{filename}", content)
        quoted = filename.replace("+", "%2B")
        place = (
            f"{mirror.base(host)}/whl/{variant}/{quoted}"
            if is_new
            else f"{f'/{PYTORCH}' if rewritten else ''}/whl/{variant}/{quoted}"
        )
        shown.append(Shown(filename, place, sha256(content), sha256(b"metadata"), ">=3.9", len(content)))
    page, _ = index_pages.project("torch", shown, as_json=False)
    body = page.replace(b"</body>", more.encode() + b"</body>")
    mirror.add_page(PYTORCH, f"whl/{variant}/torch/", body, {"Content-Type": "text/html"})


def asset(mirror: Mirror, tag: str, filename: str, content: bytes, *, digest: bool = True) -> dict[str, Any]:
    """Publish an asset of a release, and describe it as GitHub's REST API does."""
    url = mirror.add_release("turboderp-org/exllamav2", tag, filename, content)
    return {
        "name": filename,
        "state": "uploaded",
        "size": len(content),
        "digest": f"sha256:{sha256(content)}" if digest else None,
        "browser_download_url": url,
    }


def release_page(mirror: Mirror, number: int, releases: Sequence[dict[str, Any]], *, has_next: bool = False) -> None:
    """Give a page of GitHub's list of releases, with the Link header that leads on."""
    path = "repos/turboderp-org/exllamav2/releases"
    query = "per_page=100" + (f"&page={number}" if number > 1 else "")
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if has_next:
        following = f"{mirror.base(GITHUB_API)}/{path}?per_page=100&page={number + 1}"
        headers["Link"] = f'<{following}>; rel="next", <{following}>; rel="last"'
    mirror.add_page(GITHUB_API, f"{path}?{query}", json.dumps(list(releases)).encode(), headers)


class Place:
    """A catalogue in a folder, a folder over it, and the way to the indexes."""

    def __init__(self, root: Path, mirror: Mirror) -> None:
        self.root = root
        self.mirror = mirror
        self.base, self.over = root / "base", root / "over"
        (self.base / "packages").mkdir(parents=True)
        self.fetcher = Fetcher(mirrors=mirror.mirrors, timeout_s=0.5, deadline_s=2, pause_s=0.01)
        self.token = ""

    def has(self, name: str, *parts: str) -> Path:
        """Write a package's file into the catalogue."""
        path = self.base / "packages" / f"{name}.toml"
        path.write_text("".join(parts), encoding="utf-8")
        return path

    def work(self, *, in_place: bool = False, only: Sequence[str] = ()) -> Work:
        world = World(self.fetcher, self.mirror.pypi_url, VARIANTS, self.mirror.mirrors, self.token)
        target = self.base if in_place else self.over
        return Work(str(self.base), str(target), world, KeptReadings(str(self.root / "cache")), TODAY, SILENT, only)

    def refreshed(self, name: str, *, in_place: bool = False, only: Sequence[str] = ()) -> Outcome:
        """Refresh a package and write what is found."""
        outcome = refresh(name, self.work(in_place=in_place, only=only))
        write([outcome])
        return outcome

    def fails(self, name: str, *, in_place: bool = False, only: Sequence[str] = ()) -> NetworkError:
        """Refresh a package of which one index cannot be read, and give what is said of that."""
        found = self.refreshed(name, in_place=in_place, only=only).found
        assert (found.asked, found.changes, found.path) == ((), (), "")
        (failed,) = found.failed
        return failed.error

    def files(self) -> dict[str, str]:
        """Give every file of both folders."""
        found = (path for folder in (self.base, self.over) for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_text(encoding="utf-8") for path in found}
