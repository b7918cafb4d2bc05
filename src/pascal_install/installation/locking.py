"""What is made of a plan instead of an install: a lock, or a wheelhouse for machines without a network."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pascal_install.errors import UsageError
from pascal_install.installation.backend import Pip, choose_pip, newest_pip
from pascal_install.installation.execute import Options
from pascal_install.installation.gather import fetch_files, gather
from pascal_install.installation.hooks import SILENT, Hooks
from pascal_install.installation.lockfile import lock_text
from pascal_install.installation.publication import NotPublishedError, unpublished
from pascal_install.installation.selection import Selected, Work, select, working
from pascal_install.installation.state import Environment
from pascal_install.installation.wheelstore import File
from pascal_install.model.address import redact
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Plan

MANIFEST = "pylock.toml"
REQUIREMENTS = "requirements.txt"

#: Nothing is installed where a lock is for.
_NOTHING = Environment((), {}, (), {})


def lock(plan: Plan, options: Options, hooks: Hooks = SILENT) -> str:
    """Give the lock of a plan as TOML. The same plan and the same indexes give the same bytes.

    A file whose hash nobody published is fetched to learn it; the hooks hear `first-use` for each. Raises
    NotPublishedError as an install does.
    """
    with _selecting(plan, options, hooks) as (selected, work):
        return lock_text(plan, _with_hashes(selected, work), work.settings.index_url)


def download(plan: Plan, options: Options, folder: str, hooks: Hooks = SILENT) -> tuple[str, ...]:
    """Fill a folder with all wheels of a plan, and give their file names.

    Beside them lie a lock whose paths name them, from which `install --from` works without a network, and a
    requirements.txt with hashes for pip itself. What is published as source only is built.
    """
    with _selecting(plan, options, hooks) as (selected, work):
        incoming = gather(selected, work)
        os.makedirs(folder, exist_ok=True)
        placed = []
        for one in selected:
            path = incoming[one.name].path
            name = os.path.basename(path)
            shutil.copyfile(path, os.path.join(folder, name))
            file = File(name, (one.file.urls[0],), incoming[one.name].sha256, os.path.getsize(path))
            placed.append(one._replace(file=file))
        names = {one.file.filename: one.file.filename for one in placed}
        _write(folder, MANIFEST, lock_text(plan, placed, work.settings.index_url, names))
        lines = sorted(f"{one.name}=={one.version} --hash=sha256:{one.file.sha256}\n" for one in placed)
        _write(folder, REQUIREMENTS, "".join(lines))
    return tuple(sorted(names))


def _write(folder: str, name: str, text: str) -> None:
    path = os.path.join(folder, name)
    with open(f"{path}.part", "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


@contextmanager
def _selecting(plan: Plan, options: Options, hooks: Hooks) -> Iterator[tuple[tuple[Selected, ...], Work]]:
    with options.make_fetcher() as fetcher:
        gone = unpublished(plan, fetcher)
    if gone:
        raise NotPublishedError(gone)
    pip, pip_options = _looking_past_what_is_installed(plan.target, options)
    with working(plan, _NOTHING, options, hooks, pip, pip_options) as work:
        yield select(work), work


def _looking_past_what_is_installed(target: Target, options: Options) -> tuple[Pip, tuple[str, ...]]:
    """Choose the pip that resolves, with the options that make it do so for this target.

    For another machine our own pip is told its tags. Markers deep inside the dependencies it reads for the Python that
    runs it, which is why another operating system is refused.
    """
    if target.executable:
        chosen = choose_pip(target, options.environ)
        return newest_pip(target, options.environ, chosen), ("--ignore-installed",)
    if target.os != ("windows" if os.name == "nt" else sys.platform):
        raise UsageError(
            f"a lock for {target.os} cannot be made on this operating system",
            code="other-system",
            hints=(f"run the same command on a {target.os} machine",),
        )
    tags = [tag.split("-") for tag in target.tags]
    platforms = dict.fromkeys(platform for _, _, platform in tags if platform != "any")
    abis = dict.fromkeys(abi for _, abi, _ in tags if abi != "none")
    version = ".".join(str(part) for part in target.version[:2])
    given = [f"--platform={platform}" for platform in platforms] + [f"--abi={abi}" for abi in (*abis, "none")]
    fixed = ("--ignore-installed", f"--python-version={version}", "--implementation=cp", "--target=.")
    return Pip((sys.executable, "-m", "pip"), options.environ), (*fixed, "--only-binary=:all:", *given)


def _with_hashes(selected: Sequence[Selected], work: Work) -> list[Selected]:
    """Learn the hashes that nobody published from the files themselves."""
    for one in selected:
        if one.file.urls[0].startswith("file:"):
            raise UsageError(
                f"a lock cannot name a file of this machine: {redact(one.file.urls[0])}",
                code="local-file",
                hints=("use `pascal-install download`, which takes the file along",),
            )
    unknown = [one.file for one in selected if not one.file.sha256]
    for file in unknown:
        work.hooks.on_phase("first-use", file.filename)
    fetched = fetch_files(unknown, work) if unknown else {}
    return [
        one._replace(file=one.file._replace(sha256=fetched[one.file.filename].sha256)) if not one.file.sha256 else one
        for one in selected
    ]
