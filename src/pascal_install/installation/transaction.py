"""The change itself: set aside, install offline, prove, commit; on any failure back to what was there."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pascal_install.errors import PascalInstallError
from pascal_install.installation.backend import Backend, Uv, uv_lock
from pascal_install.installation.change import Change
from pascal_install.installation.hooks import Hooks
from pascal_install.installation.journal import Journal, begin, tidy
from pascal_install.installation.manifest import Manifest, make_manifest
from pascal_install.installation.state import Environment, record
from pascal_install.installation.uninterrupted import uninterrupted
from pascal_install.installation.verify import Verification
from pascal_install.installation.wheelfile import WheelFacts, paths_written
from pascal_install.model.interpreter import Target
from pascal_install.value import NamedTuple

#: What pip and uv take for a file to install, where a folder is named as --find-links.
_OFFERED = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".html")


class Incoming(NamedTuple):
    """One wheel that lies on disk, checked, ready to be installed."""

    path: str
    """The file; where uv's cache has it, the folder in there that it is unpacked in."""
    facts: WheelFacts
    source: str
    """Where it came from, without credentials."""
    sha256: str
    from_cache: bool
    entry: str = ""
    """Where uv's cache has it: the entry of a lock by which uv finds it there."""
    is_linked: bool = False
    """Its files are links into uv's cache, so that they take no more room."""


class Transaction(NamedTuple):
    """What a change works with."""

    target: Target
    backend: Backend
    hooks: Hooks
    locks: tuple[int, ...]
    """Descriptors of the held lock, for the installer to inherit."""


def apply(
    change: Change,
    incoming: Mapping[str, Incoming],
    environment: Environment,
    transaction: Transaction,
    prove: Callable[[str], Verification],
) -> tuple[Verification, int]:
    """Change the environment, or leave it exactly as it was.

    `prove` verifies the result; it gets a folder for what Python compiles meanwhile. Returns what was proved and how
    many bytes the way back takes. Whatever goes wrong, Ctrl-C too, is undone and goes on as it came.
    """
    target, hooks = transaction.target, transaction.hooks
    journal = begin(target, _manifest(change, incoming, environment, target), hooks.on_step)
    try:
        hooks.on_phase("set-aside", str(len(change.outgoing)))
        journal.set_aside()
        journal.reach("install")
        if incoming:
            hooks.on_phase("install", str(len(incoming)))
            _install(journal, incoming, change, transaction)
        journal.reach("verify")
        hooks.on_phase("verify")
        compiled = os.path.join(journal.folder, "compiled")
        verification = prove(compiled)
        _adopt_compiled(compiled, journal.manifest.brought)
        with uninterrupted():
            journal.commit()
    except BaseException as error:
        hooks.on_phase("undo")
        with uninterrupted():
            journal.undo()
        if isinstance(error, PascalInstallError):
            error.hints = (*error.hints, "nothing has changed: the environment is as it was before")
        raise
    with uninterrupted():
        tidy(target)
    return verification, journal.kept_bytes()


def _manifest(change: Change, incoming: Mapping[str, Incoming], environment: Environment, target: Target) -> Manifest:
    brought = [path for one in incoming.values() for path in paths_written(one.facts, target)]
    owned = _owned_by_staying(change, environment)
    whole: list[str] = []
    debris = list(change.debris)
    for one in change.outgoing:
        files = [row.path for row in record(one) if row.path not in owned]
        inside = list(_files_below(one.folder))
        files += [path for path in inside if path not in owned]
        is_whole = environment.whole(one.name) is not None
        (whole if is_whole else debris).extend(files)
        if not inside:  # what a killed uv leaves of the version that it replaced
            debris.append(one.folder)
        if not is_whole and not record(one) and one.name in incoming:
            debris += _unlisted(incoming[one.name].facts, environment, owned)
    roots = (*environment.sites, os.path.realpath(target.scripts), os.path.realpath(target.prefix))
    whole, debris, brought = (_within(paths, roots) for paths in (whole, debris, brought))
    steps = [
        (
            step.kind,
            step.name,
            step.before if environment.whole(step.name) else "",  # nothing broken comes back
            step.after,
            incoming[step.name].source if step.name in incoming else "",
        )
        for step in change.steps
    ]
    created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return make_manifest(created_at, steps, aside=whole, debris=debris, brought=brought, roots=roots)


def _within(paths: Iterable[str], roots: Sequence[str]) -> list[str]:
    """Leave out what lies outside of the environment: a RECORD may name any file of the machine as its own."""
    starts = tuple(root.rstrip(os.sep) + os.sep for root in roots)
    return [path for path in map(os.path.normpath, paths) if path.startswith(starts)]


def _owned_by_staying(change: Change, environment: Environment) -> set[str]:
    """Collect the files of distributions that stay: shared ones are theirs."""
    going = {one.folder for one in change.outgoing}
    return {
        row.path
        for distributions in environment.found.values()
        for one in distributions
        if one.folder not in going
        for row in record(one)
    }


def _files_below(folder: str) -> Iterator[str]:
    for current, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(current, name)


def _unlisted(facts: WheelFacts, environment: Environment, owned: set[str]) -> list[str]:
    """Find what lies in the packages of a broken distribution that lost the list of its files."""
    tops = {member.partition("/")[0] for member in facts.members if "/" in member}
    folders = [os.path.join(site, top) for site in environment.sites for top in sorted(tops)]
    return [path for folder in folders for path in _files_below(folder) if path not in owned]


def _install(journal: Journal, incoming: Mapping[str, Incoming], change: Change, transaction: Transaction) -> None:
    repaired = {step.name for step in change.steps if step.kind == "repair"}
    linked = os.path.join(journal.folder, "wheels")
    os.makedirs(linked, exist_ok=True)
    folders = [linked]
    cached = {name: one for name, one in incoming.items() if one.entry}
    files = {name: one for name, one in incoming.items() if not one.entry}
    for one in files.values():
        path = os.path.abspath(one.path)
        # uv knows a wheel that it has unpacked by its folder. What is broken in the environment may be a link to that
        # unpacked copy, and as broken there: it gets a folder that uv has never seen.
        if one.facts.name not in repaired and _lies_alone(path):
            folders.append(os.path.dirname(path))
            continue
        try:
            os.symlink(path, os.path.join(linked, os.path.basename(path)))
        except OSError:  # Windows without the right to make links
            shutil.copy2(path, linked)
    lines = [f"{one.facts.name}=={one.facts.version}" for _, one in sorted(files.items())]
    if lines:
        transaction.backend.install(lines, folders, transaction.hooks.on_line, transaction.locks)
    if cached and isinstance(transaction.backend, Uv):
        lock = os.path.join(linked, "pylock.toml")
        with open(lock, "w", encoding="utf-8") as file:
            file.write(uv_lock(one.entry for _, one in sorted(cached.items())))
        transaction.backend.install_cached(lock, transaction.hooks.on_line, transaction.locks)
    shutil.rmtree(linked)


def _lies_alone(path: str) -> bool:
    """Tell whether a folder offers an installer nothing but this wheel, as those of our cache do."""
    folder, name = os.path.split(path)
    return all(entry == name or not entry.endswith(_OFFERED) for entry in os.listdir(folder))


def _adopt_compiled(compiled: str, brought: Iterable[str]) -> None:
    """Put what the proof compiled of the brought modules beside them, so that the next import need not do it again."""
    folders = {os.path.dirname(path) for path in brought if path.endswith(".py")}
    names = {path[:-3] for path in brought if path.endswith(".py")}
    for folder in folders:
        origin = os.path.join(compiled, os.path.splitdrive(folder)[1].lstrip(os.sep))
        with contextlib.suppress(OSError):
            for entry in os.listdir(origin):
                if entry.endswith(".pyc") and os.path.join(folder, entry.partition(".")[0]) in names:
                    cache = os.path.join(folder, "__pycache__")
                    os.makedirs(cache, exist_ok=True)
                    shutil.move(os.path.join(origin, entry), os.path.join(cache, entry))
    shutil.rmtree(compiled, ignore_errors=True)
