"""The way back: after a kill, and when somebody wants the state before the last install."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pascal_install.errors import TargetError
from pascal_install.fetch.disk import writing
from pascal_install.installation.hooks import SILENT, Hooks
from pascal_install.installation.journal import HOME, Journal, last_committed, open_journals
from pascal_install.installation.lock import FileLock
from pascal_install.installation.needs import same_version
from pascal_install.installation.preconditions import check_target
from pascal_install.installation.state import Environment, read_environment
from pascal_install.installation.uninterrupted import uninterrupted
from pascal_install.model.interpreter import Target
from pascal_install.value import NamedTuple


@contextmanager
def locked(target: Target, timeout_s: float, hooks: Hooks) -> Iterator[tuple[int, ...]]:
    """Hold the environment's lock; one install at a time. Raises TargetError where another one does not end."""
    home = os.path.join(target.prefix, HOME)
    with writing(home):
        os.makedirs(home, exist_ok=True)
    lock = FileLock(os.path.join(home, "lock"), timeout_s, on_wait=lambda who: hooks.on_phase("wait", who))
    with lock:
        yield (lock.fileno(),)


def recover(target: Target, hooks: Hooks = SILENT, lock_timeout_s: float = 600.0) -> bool:
    """Bring an environment back from a killed install; tell whether there was one."""
    if not open_journals(target):
        return False
    check_target(target)
    with locked(target, lock_timeout_s, hooks):
        return bring_back(target, hooks)


def bring_back(target: Target, hooks: Hooks) -> bool:
    """Undo what killed installs began, with the lock held; tell whether there was anything."""
    open_ones = open_journals(target)
    for journal in open_ones:
        hooks.on_phase("recover")
        journal.on_step = hooks.on_step
        with uninterrupted():
            journal.undo()
    return bool(open_ones)


class WayBack(NamedTuple):
    """What `rollback` would do."""

    created_at: str
    """When the install was, that it would undo."""
    steps: tuple[tuple[str, str, str], ...]
    """(name, version now, version then); empty: not installed."""
    kept_bytes: int
    changed_since: tuple[str, ...]
    """What was changed by others since; with any, `rollback` refuses."""
    was_killed: bool = False
    """The install never came to its end: it is undone, and nothing before it."""


def way_back(target: Target) -> WayBack | None:
    """Tell what `rollback` would do; None where there is nothing to go back to.

    Raises TargetError where an install is at work.
    """
    if open_journals(target):
        with locked(target, 0.0, SILENT):
            for killed in open_journals(target):
                return _way_back_of_killed(killed)
    journal = last_committed(target)
    return _way_back(journal, read_environment(target)) if journal else None


def _way_back_of_killed(journal: Journal) -> WayBack:
    if not journal.step:  # nothing had moved yet, and the manifest may not be whole
        return WayBack("", (), 0, (), was_killed=True)
    manifest = journal.manifest
    steps = tuple((name, after, before) for _, name, before, after, *_ in manifest.steps)
    return WayBack(manifest.created_at, steps, journal.kept_bytes(), (), was_killed=True)


def _way_back(journal: Journal, environment: Environment) -> WayBack:
    manifest = journal.manifest
    steps = tuple((name, after, before) for _, name, before, after, *_ in manifest.steps)
    changed = []
    for name, now, _ in steps:
        here = environment.found.get(name, ())
        versions = ", ".join(one.version for one in here)
        if (len(here) == 1 and same_version(here[0].version, now)) if now else not here:
            continue
        changed.append(f"{name} was {now or 'taken away'}, now it is {versions or 'not installed'}")
    return WayBack(manifest.created_at, steps, journal.kept_bytes(), tuple(changed))


def rollback(target: Target, hooks: Hooks = SILENT, lock_timeout_s: float = 600.0) -> WayBack | None:
    """Undo the last install of this environment and tell what that was.

    Where an install was killed, this brings the environment back from that and no further, and gives None.
    Raises TargetError where there is nothing to go back to, or where others have changed the same packages since.
    """
    check_target(target)
    with locked(target, lock_timeout_s, hooks):
        if bring_back(target, hooks):
            return None
        journal = last_committed(target)
        if journal is None:
            raise TargetError(f"there is no install to undo in {target.prefix}", code="nothing-to-roll-back")
        back = _way_back(journal, read_environment(target))
        if back.changed_since:
            raise TargetError(
                f"the packages of the last install in {target.prefix} were changed by another program",
                code="changed-since",
                cause="\n".join(back.changed_since),
                hints=("install what you need with pascal-install or pip instead",),
            )
        hooks.on_phase("undo")
        journal.on_step = hooks.on_step
        with uninterrupted():
            journal.undo()
        return back


def forget(target: Target, hooks: Hooks = SILENT, lock_timeout_s: float = 600.0) -> int:
    """Give up the way back of the last install and the disk that it takes; return how many bytes that were."""
    check_target(target)
    with locked(target, lock_timeout_s, hooks):
        journal = last_committed(target)
        if journal is None:
            return 0
        freed = journal.kept_bytes()
        journal.drop()
        return freed
