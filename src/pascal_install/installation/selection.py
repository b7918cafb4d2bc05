"""Which files are to come: the pins and all that they require, each with address and hash, before a body is fetched."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from pascal_install.errors import NetworkError
from pascal_install.fetch import Fetcher, from_any
from pascal_install.installation.backend import Pip, Uv, connection_environ
from pascal_install.installation.dependencies import (
    Chosen,
    Resolver,
    Settled,
    choose_family,
    choose_rest,
    settings_environ,
)
from pascal_install.installation.execute import Options
from pascal_install.installation.hooks import Hooks
from pascal_install.installation.index_page import check_pages, find_on_indexes
from pascal_install.installation.needs import Markers, markers_for, same_version
from pascal_install.installation.pip_settings import PipSettings, pip_settings
from pascal_install.installation.preconditions import check_space
from pascal_install.installation.prefetch import File, prefetch
from pascal_install.installation.remote_metadata import remote_requires
from pascal_install.installation.state import Environment, requires
from pascal_install.installation.uv_resolve import UvResolver
from pascal_install.installation.wheelfile import read_wheel
from pascal_install.installation.wheelstore import WheelStore
from pascal_install.model.address import Mirror, mirrored
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Pin, Plan
from pascal_install.report.progress import Progress
from pascal_install.value import NamedTuple


class Work(NamedTuple):
    """What the search and the downloads work with."""

    plan: Plan
    environment: Environment
    """What is installed and may stay."""
    markers: Markers
    pip: Pip
    fetcher: Fetcher
    settings: PipSettings
    environ: Mapping[str, str]
    mirrors: tuple[Mirror, ...]
    store: WheelStore
    folder: str
    """A temporary folder that lives as long as the install."""
    workers: int
    progress: Progress | None
    hooks: Hooks
    offline: bool = False
    pip_options: tuple[str, ...] = ()
    """Further options of the dry runs: a lock looks past what is installed."""
    uv: Uv | None = None
    """Where uv installs, it also resolves and fetches what it can."""


class Selected(NamedTuple):
    """One file that is to come."""

    name: str
    version: str
    file: File
    index_url: str
    """The index that it was found on; empty for the person's own and for addresses without an index."""
    is_pin: bool = False

    @property
    def is_wheel(self) -> bool:
        """Tell a wheel from a source distribution."""
        return self.file.filename.endswith(".whl")


def person_fetcher(
    settings: PipSettings, mirrors: tuple[Mirror, ...], *, offline: bool = False, cache_dir: str = ""
) -> Fetcher:
    """Make a fetcher that reaches the person's own indexes as their pip does.

    An index is a place of theirs: plain http or a folder is their choice, and the credentials of its address are sent
    with what it links to on the same host.
    """
    return Fetcher(
        mirrors=(*mirrors, *(_own_place(url) for url in settings.index_urls)),
        offline=offline,
        cert=settings.cert,
        client_cert=settings.client_cert,
        proxy=settings.proxy,
        trusted_hosts=settings.trusted_hosts,
        cache_dir=cache_dir,
    )


def _own_place(url: str) -> Mirror:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url.rstrip("/"), url.rstrip("/")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}", f"{parts.scheme}://{parts.netloc}"


def person_settings(target: Target, environ: Mapping[str, str]) -> PipSettings:
    """Read what the person set for pip; where the target has no pip, ours reads all of it but the target's own file."""
    return pip_settings(target.executable if target.pip_version else sys.executable, environ)


@contextmanager
def working(
    plan: Plan,
    environment: Environment,
    options: Options,
    hooks: Hooks,
    pip: Pip,
    pip_options: tuple[str, ...] = (),
    uv: Uv | None = None,
) -> Iterator[Work]:
    """Read the person's settings and keep a fetcher and a temporary folder while the block runs."""
    settings = person_settings(plan.target, options.environ)
    with (
        tempfile.TemporaryDirectory(prefix="pascal-install-") as folder,
        person_fetcher(settings, options.mirrors, offline=options.offline, cache_dir=options.cache_dir) as fetcher,
    ):
        check_space(plan.target, "", folder, 0, 0)
        yield Work(
            plan=plan,
            environment=environment,
            markers=markers_for(plan.target),
            pip=pip,
            fetcher=fetcher,
            settings=settings,
            environ=options.environ,
            mirrors=options.mirrors,
            store=WheelStore(os.path.join(options.cache_dir, "wheels")),
            folder=folder,
            workers=options.workers,
            progress=options.progress,
            hooks=hooks,
            offline=options.offline,
            pip_options=pip_options,
            uv=uv,
        )


def select(work: Work) -> tuple[Selected, ...]:
    """Find all that is missing. Nothing of the environment changes."""
    work.hooks.on_phase("resolve")
    pins = [_selected_pin(pin, work) for pin in work.plan.pins if not _in_place(pin, work.environment)]
    settled = {one.name: Settled(one.version, _requires(one.file, work)) for one in pins}
    for pin in work.plan.pins:
        kept = work.environment.whole(pin.build.release.name)
        if pin.build.release.name not in settled and kept:
            settled[kept.name] = Settled(kept.version, requires(kept))
    index_url = _torch_index(work.plan)
    resolver = _resolver(work, mirrored(index_url, work.mirrors))
    family = choose_family(settled, mirrored(index_url, work.mirrors), resolver) if index_url else {}
    rest = choose_rest(work.plan, settled, family, resolver)
    found = (*(_selected(one, index_url) for one in family.values()), *(_selected(one, "") for one in rest))
    return (*pins, *found)


def _in_place(pin: Pin, environment: Environment) -> bool:
    whole = environment.whole(pin.build.release.name)
    return whole is not None and same_version(whole.version, pin.build.release.version)


def _torch_index(plan: Plan) -> str:
    """Give the index that torch's NVIDIA libraries come from; empty where that is the person's own."""
    pin = plan.pin("torch")
    return pin.build.release.index_url if pin else ""


def _selected_pin(pin: Pin, work: Work) -> Selected:
    release, wheel = pin.build
    urls = (wheel.url, *wheel.mirrors)
    if not wheel.url:
        urls = (find_on_indexes(work.fetcher, release.name, wheel, work.settings.index_urls),)
    file = File(wheel.filename, urls, wheel.sha256, wheel.size_bytes)
    return Selected(release.name, release.version, file, release.index_url, is_pin=True)


def _requires(file: File, work: Work) -> tuple[str, ...]:
    """Read what a pin requires: from the file where it is here, else from its end; else it has to come whole."""
    if file.urls[0].startswith("file:"):
        return read_wheel(url2pathname(urlsplit(file.urls[0]).path)).requires
    kept = work.store.find(file)
    if kept is None:
        try:
            return from_any(work.fetcher, file.urls, remote_requires)
        except NetworkError as error:
            if error.code != "no-ranges":
                raise
        kept = prefetch([file], work.store.folder, work.fetcher, progress=work.progress)[file.filename]
    return read_wheel(kept.path).requires


def _resolver(work: Work, torch_index: str) -> Resolver:
    own = settings_environ(work.environ)
    bare = {key: value for key, value in own.items() if not key.startswith("PIP_")}
    bare.update(PIP_CONFIG_FILE=os.devnull, PIP_USER="0", **work.settings.connection_environ())
    if work.offline:
        own, bare = {**own, "PIP_NO_INDEX": "1"}, {**bare, "PIP_NO_INDEX": "1"}

    def check(index: str, name: str) -> None:
        urls = (torch_index,) if index == "torch" else work.settings.index_urls
        check_pages(work.fetcher.in_haste(), urls, name)  # pip has tried long enough

    is_elsewhere = not work.plan.target.executable
    faster = None
    if work.uv and not work.offline:
        environ = connection_environ(work.settings, work.environ)
        faster = UvResolver(work.uv, work.settings, environ, torch_index, work.folder, work.environment, work.markers)
    return Resolver(
        work.pip, own, bare, work.folder, work.markers, work.environment, check, work.pip_options, is_elsewhere, faster
    )


def _selected(chosen: Chosen, index_url: str) -> Selected:
    filename = unquote(urlsplit(chosen.url).path.rpartition("/")[2])
    return Selected(
        chosen.name, chosen.version, File(filename, (chosen.url,), chosen.sha256, chosen.size_bytes), index_url
    )


def with_sizes(files: Sequence[File], work: Work) -> list[File]:
    """Ask how large files are that nobody told the size of, so that disk space and time left can be reckoned."""

    def size(file: File) -> File:
        if file.size_bytes is not None or work.store.find(file) is not None:
            return file
        try:
            found = from_any(work.fetcher, file.urls, lambda fetcher, url: fetcher.head(url))
            return file._replace(size_bytes=found.size_bytes)
        except NetworkError as error:
            if error.code in ("timeout", "not-reachable", "server-error", "offline"):
                raise  # asking once more for the file itself would only wait as long again
            return file

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(size, files))
