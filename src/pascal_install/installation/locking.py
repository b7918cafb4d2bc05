"""What is made of a plan instead of an install: a lock, or a wheelhouse for machines without a network."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pascal_install.errors import UsageError
from pascal_install.fetch import disk
from pascal_install.installation.backend import Pip, choose_pip, newest_pip
from pascal_install.installation.execute import Options
from pascal_install.installation.gather import fetch_files, gather
from pascal_install.installation.hooks import SILENT, Hooks
from pascal_install.installation.lock_reading import parse_lock
from pascal_install.installation.lockfile import Naming, lock_text
from pascal_install.installation.pip_settings import pip_command
from pascal_install.installation.publication import NotPublishedError, unpublished
from pascal_install.installation.selection import Selected, Work, select, working
from pascal_install.installation.state import Environment
from pascal_install.installation.wheelstore import File
from pascal_install.model.address import mirrored, redact
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Plan

MANIFEST = "pylock.toml"
REQUIREMENTS = "requirements.txt"

#: Nothing is installed where a lock is for.
_NOTHING = Environment((), {}, (), {})


def lock(plan: Plan, options: Options, hooks: Hooks = SILENT, known: Mapping[str, str] | None = None) -> str:
    """Give the lock of a plan as TOML. The same plan and the same indexes give the same bytes.

    A file whose hash nobody published is fetched to learn it; the hooks hear `first-use` for each. `known` holds the
    hashes, by address, that an earlier lock recorded: a file must still have them. Raises NotPublishedError as an
    install does.
    """
    with _selecting(plan, options, hooks) as (selected, work):
        first_use = _tell_first_use(selected, hooks)
        hashed = _with_hashes(selected, known or {}, work)
        return lock_text(plan, hashed, Naming(work.settings.index_url, options.mirrors, {}, first_use))


def recorded_hashes(text: str, where: str) -> dict[str, str]:
    """Read from a lock the SHA-256 of every file, by address. Raises DataError where it is none."""
    files = [
        file
        for package in parse_lock(text, where).packages
        for file in (*(package.wheels or ()), package.sdist)
        if file
    ]
    return {file.url: file.hashes.get("sha256", "") for file in files if file.url}


def download(folder: str, plan: Plan, options: Options, hooks: Hooks = SILENT) -> tuple[str, ...]:
    """Fill a folder with all wheels of a plan, and give their file names.

    Beside them lie a lock whose paths name them, from which `install --from` works without a network, and a
    requirements.txt with hashes for pip itself. What is published as source only is built.
    """
    with _selecting(plan, options, hooks) as (selected, work):
        first_use = _tell_first_use(selected, hooks)
        incoming = gather(selected, work)
        with disk.writing(folder):
            os.makedirs(folder, exist_ok=True)
        placed = []
        for one in selected:
            path = incoming[one.name].path
            name = os.path.basename(path)
            with disk.writing(os.path.join(folder, name)):
                _place(path, os.path.join(folder, name))
            file = File(name, (one.file.urls[0],), incoming[one.name].sha256, os.path.getsize(path))
            placed.append(one._replace(file=file))
        names = {one.file.filename: one.file.filename for one in placed}
        naming = Naming(work.settings.index_url, options.mirrors, names, first_use)
        _write(folder, MANIFEST, lock_text(plan, placed, naming))
        lines = sorted(f"{one.name}=={one.version} --hash=sha256:{one.file.sha256}\n" for one in placed)
        _write(folder, REQUIREMENTS, "".join(lines))
    return tuple(sorted(names))


def _place(source: str, path: str) -> None:
    """Copy a file in one step: a killed download leaves no half wheel under its own name."""
    shutil.copyfile(source, f"{path}.part")
    os.replace(f"{path}.part", path)


def _tell_first_use(selected: Sequence[Selected], hooks: Hooks) -> frozenset[str]:
    names = [one.file.filename for one in selected if not one.file.sha256]
    for name in names:
        hooks.on_phase("first-use", name)
    return frozenset(names)


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

    For another machine our own pip is told its tags. It still reads markers for the Python that runs it, which
    `dependencies` puts right.
    """
    if target.executable:
        chosen = choose_pip(target, options.environ)
        return newest_pip(target, options.environ, chosen), ("--ignore-installed",)
    tags = [tag.split("-") for tag in target.tags]
    platforms = dict.fromkeys(platform for _, _, platform in tags if platform != "any")
    abis = dict.fromkeys(abi for _, abi, _ in tags if abi != "none")
    version = ".".join(str(part) for part in target.version[:2])
    given = [f"--platform={platform}" for platform in platforms] + [f"--abi={abi}" for abi in (*abis, "none")]
    fixed = ("--ignore-installed", f"--python-version={version}", "--implementation=cp", "--target=.")
    return Pip(pip_command(sys.executable), options.environ), (*fixed, "--only-binary=:all:", *given)


def _with_hashes(selected: Sequence[Selected], known: Mapping[str, str], work: Work) -> list[Selected]:
    """Learn the hashes that nobody published from the files themselves."""
    for one in selected:
        if one.file.urls[0].startswith("file:"):
            raise UsageError(
                f"a lock cannot name a file of this machine: {redact(one.file.urls[0])}",
                code="local-file",
                hints=("use `pascal-install download`, which takes the file along",),
            )
    unknown = {
        one.file.filename: one.file._replace(sha256=known.get(redact(mirrored(one.file.urls[0], work.mirrors)), ""))
        for one in selected
        if not one.file.sha256
    }
    fetched = fetch_files(list(unknown.values()), work) if unknown else {}
    return [
        one._replace(file=one.file._replace(sha256=fetched[one.file.filename].sha256)) if not one.file.sha256 else one
        for one in selected
    ]
