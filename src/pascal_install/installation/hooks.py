"""What an install tells while it runs. Whoever prints implements this; nothing here prints."""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    from pascal_install.installation.change import Change
    from pascal_install.model.plan import Plan
else:
    Protocol = object


class Hooks(Protocol):
    """Receives what happens."""

    def on_plan(self, plan: Plan) -> None:
        """Hear each plan before it is carried out; another one follows where a wheel is not published after all."""

    def on_phase(self, name: str, detail: str = "") -> None:
        """Hear that a phase begins: `begin` (something is to be done), `wait`, `recover`, `resolve`, `download`, ..."""

    def on_change(self, change: Change) -> None:
        """Hear what will change, before anything does."""

    def on_line(self, text: str) -> None:
        """Hear a line of pip or uv."""

    def on_step(self, name: str) -> None:
        """Hear that the journal has reached a step, as soon as that is safe on disk."""


class Silent:
    """Listens to nothing."""

    def on_plan(self, plan: Plan) -> None:
        """Ignore it."""

    def on_phase(self, name: str, detail: str = "") -> None:
        """Ignore it."""

    def on_change(self, change: Change) -> None:
        """Ignore it."""

    def on_line(self, text: str) -> None:
        """Ignore it."""

    def on_step(self, name: str) -> None:
        """Ignore it."""


SILENT = Silent()
