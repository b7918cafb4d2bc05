"""The install: nothing where all is in place and whole, else what is missing, in one step that can be taken back."""

from __future__ import annotations

from pascal_install.installation.hooks import SILENT, Hooks
from pascal_install.installation.in_place import is_in_place
from pascal_install.installation.journal import open_journals
from pascal_install.installation.state import read_environment
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pascal_install.fetch import Fetcher
    from pascal_install.installation.change import Change
    from pascal_install.installation.selection import Selected
    from pascal_install.installation.verify import Verification
    from pascal_install.model.address import Mirror
    from pascal_install.model.plan import Plan
    from pascal_install.report.progress import Progress


class Options(NamedTuple):
    """How to install, beside what."""

    environ: Mapping[str, str]
    cache_dir: str
    make_fetcher: Callable[[], Fetcher]
    """Called only when something is to be fetched, for the pins; dependencies are fetched as pip's settings say."""
    mirrors: tuple[Mirror, ...] = ()
    installer: str = "pip"
    import_names: Mapping[str, str] = {}
    """Package to module, where they differ."""
    workers: int = 4
    lock_timeout_s: float = 600.0
    offline: bool = False
    selected: tuple[Selected, ...] | None = None
    """The files, where a lock or a wheelhouse has chosen them already: then nothing is resolved."""
    progress: Progress | None = None
    """Passed on to the downloads."""
    unwanted: tuple[str, ...] = ()
    """Distributions, by normalised name, that go with the same change."""


class Outcome(NamedTuple):
    """What came of it."""

    status: str
    """`in-place` (nothing to do) or `installed`."""
    change: Change | None = None
    verification: Verification | None = None
    kept_bytes: int = 0
    """What the way back takes on the environment's disk."""


def execute(plan: Plan, options: Options, hooks: Hooks = SILENT) -> Outcome:
    """Bring the plan's environment to what the plan says, or leave it as it is.

    Raises NotPublishedError where a wheel of the plan turns out not to exist (resolve again without it), and the
    families of `errors`, each with the environment as it was before.
    """
    target = plan.target
    if (
        target.executable
        and not open_journals(target)
        and is_in_place(plan, read_environment(target), options.unwanted, options.cache_dir)
    ):
        return Outcome("in-place")
    hooks.on_phase("begin")
    # What follows loads requests and more: finding all in place must not cost that.
    from pascal_install.installation.carry_out import carry_out

    return carry_out(plan, options, hooks)
