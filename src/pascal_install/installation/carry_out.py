"""An install that has something to do: check, lock, gather, then change.

All that the change itself needs is imported here, at the top: it may be our own environment whose files move.
"""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.errors import UsageError, VerificationError
from pascal_install.installation.backend import Backend, Pip, Uv, choose_pip, choose_uv, newest_pip
from pascal_install.installation.change import plan_change
from pascal_install.installation.execute import Options, Outcome
from pascal_install.installation.gather import gather
from pascal_install.installation.hooks import Hooks
from pascal_install.installation.in_place import is_in_place
from pascal_install.installation.lock_reading import check_unread
from pascal_install.installation.needs import markers_for, roots, same_version, unmet
from pascal_install.installation.preconditions import check_space, check_target
from pascal_install.installation.publication import NotPublishedError, unpublished
from pascal_install.installation.rollback import bring_back, locked
from pascal_install.installation.selection import Selected, select, working
from pascal_install.installation.state import Environment, read_environment
from pascal_install.installation.transaction import Transaction, apply
from pascal_install.installation.uv_resolve import would_pip_differ
from pascal_install.installation.verify import Verification, verify
from pascal_install.model.interpreter import Target
from pascal_install.model.plan import Plan


def carry_out(plan: Plan, options: Options, hooks: Hooks) -> Outcome:
    """Do what `execute` promises, where the environment is not yet what the plan says."""
    target = plan.target
    check_target(target)
    pip = choose_pip(target, options.environ)
    backend = _backend(target, pip, options)
    with locked(target, options.lock_timeout_s, hooks) as locks:
        bring_back(target, hooks)
        environment = read_environment(target)
        if is_in_place(plan, environment, options.unwanted):
            return Outcome("in-place")
        return _install(plan, environment, options, Transaction(target, backend, hooks, locks), pip)


def _backend(target: Target, pip: Pip, options: Options) -> Backend:
    if options.installer not in ("pip", "uv"):
        raise UsageError(f"there is no installer {options.installer!r}", hints=("take pip or uv",))
    return choose_uv(target, options.environ) if options.installer == "uv" else pip


def _install(plan: Plan, environment: Environment, options: Options, transaction: Transaction, pip: Pip) -> Outcome:
    target = plan.target
    with options.make_fetcher() as fetcher:
        gone = unpublished(plan, fetcher)
    if gone:
        raise NotPublishedError(gone)
    uv = transaction.backend if isinstance(transaction.backend, Uv) else None
    resolving = newest_pip(target, options.environ, pip)
    with working(plan, environment, options, transaction.hooks, resolving, uv=uv) as work:
        selected = select(work) if options.selected is None else _missing_of(options.selected, environment)
        incoming = gather(selected, work)
        facts = {name: one.facts for name, one in incoming.items()}
        pins = {one.name for one in selected if one.is_pin}
        if uv and options.selected is None and would_pip_differ(facts, pins, target.python, work.markers):
            incoming = gather(select(work._replace(uv=None)), work)
        plan = check_unread(plan, {name: one.path for name, one in incoming.items()})
        change = plan_change(
            {name: one.facts for name, one in incoming.items()}, environment, work.markers, options.unwanted
        )
        unpacked = sum(one.facts.unpacked_bytes for one in incoming.values() if not one.is_linked)
        check_space(target, options.cache_dir, work.folder, 0, unpacked)
        transaction.hooks.on_change(change)
        names = _modules(plan, options)
        proved, kept = apply(
            change, incoming, environment, transaction, lambda compiled: _prove(plan, names, options, compiled)
        )
    return Outcome("installed", change, proved, kept)


def _missing_of(selected: Sequence[Selected], environment: Environment) -> list[Selected]:
    """Leave out what is in place."""
    whole = {one.name: environment.whole(one.name) for one in selected}
    return [one for one in selected if not (found := whole[one.name]) or not same_version(found.version, one.version)]


def _modules(plan: Plan, options: Options) -> tuple[str, ...]:
    """Name the modules to import: torch first, since others need its libraries loaded."""
    names = [pin.build.release.name for pin in plan.pins]
    names.sort(key=lambda name: name != "torch")
    return tuple(options.import_names.get(name, name.replace("-", "_")) for name in names)


def _prove(plan: Plan, names: tuple[str, ...], options: Options, compiled: str) -> Verification:
    """Hold the result against the plan: every file in place, then what `verify` does."""
    needs = unmet(roots(plan), read_environment(plan.target), markers_for(plan.target))
    if needs:
        cause = "\n".join(f"{need.requirement}: {need.why}" for need in needs)
        raise VerificationError("the install is not whole", code="not-whole", cause=cause)
    return verify(plan, names, options.environ, compiled)
