"""Shows an install while it runs, on stderr; stdout is for the answer."""

from __future__ import annotations

import sys

from pascal_install.report import text
from pascal_install.report.fit import columns_of, fit
from pascal_install.report.progress import make_progress
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.installation.change import Change
    from pascal_install.model.plan import Plan

_PHASES = {
    "wait": "waiting until another pascal-install has ended, which works in this environment",
    "recover": "an earlier install was killed here: bringing the environment back",
    "resolve": "finding out what these need",
    "uv-fetch": "uv fetches into its cache",
    "uv-short": "uv did not get all of them: fetching the rest without it",
    "set-aside": "setting aside what is replaced",
    "install": "installing",
    "verify": "verifying: files, imports, architectures",
    "undo": "putting back what was there",
    "not-published": "not published after all: the next candidate is taken",
    "first-use": "no hash is published for this file: what comes now is trusted, and its hash recorded",
    "torch-source": "PyTorch's host cannot be reached, taking torch from PyPI",
}


class Watch:
    """Receives what happens and prints it, one line each; the installer's own lines only when asked."""

    def __init__(self, *, quiet: bool, verbose: bool, color: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._style = text.Style(color=color)
        self._columns = columns_of(sys.stderr)
        self._is_first_plan = True
        self.progress = make_progress(sys.stderr, quiet=quiet, verbose=verbose)

    def on_plan(self, plan: Plan) -> None:
        """Show what was found and what was picked."""
        if plan.problem is not None:
            return
        facts = [*text.facts(plan.host, plan.target, self._style), ""] if self._is_first_plan else []
        self._say("\n".join([*facts, *text.picks(plan.pins, self._style, self._columns)]))
        passed = text.passed_over(plan) if self._is_first_plan else ""
        if passed:
            self._say(f"\npassed over  {passed}")
        self._say("")
        self._is_first_plan = False

    def on_phase(self, name: str, detail: str = "") -> None:
        """Show a phase by its words; those without words are too short to matter."""
        if name == "begin":
            from pascal_install.cli.signals import interrupt_when_told_to_end

            interrupt_when_told_to_end()
        if name in _PHASES and detail != "0":
            self._say(f"{_PHASES[name]}{f' ({text.clean(detail)})' if detail else ''}")

    def on_change(self, change: Change) -> None:
        """Show what will change, before anything does."""
        words = {"install": "+", "replace": "~", "repair": "!", "remove": "-"}
        for step in change.steps:
            versions = f"{step.before} -> {step.after}" if step.before and step.after else step.before or step.after
            line = f"{step.name} {versions}{f'  ({step.why})' if step.why else ''}"
            self._say(f"  {words.get(step.kind, '?')} {text.clean(line)}")
        for conflict in change.conflicts:
            self._say(f"  warning: {text.clean(conflict)}")

    def on_line(self, text_line: str) -> None:
        """Show a line of pip or uv."""
        if self._verbose:
            self._say(f"    {text.clean(text_line)}")

    def on_step(self, name: str) -> None:
        """Steps of the journal are for machines."""

    def _say(self, line: str) -> None:
        if not self._quiet:
            sys.stderr.write(fit(line + "\n", self._columns))
            sys.stderr.flush()
