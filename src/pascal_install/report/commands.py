"""The commands that a person could type to get what a plan says."""

from __future__ import annotations

from pascal_install.model.address import Mirror, mirrored, redact
from pascal_install.model.companions import numpy_requirement
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pascal_install.model.plan import Pin, Plan


def commands(plan: Plan, mirrors: Sequence[Mirror] = (), installer: str = "pip") -> tuple[tuple[str, ...], ...]:
    """Give the commands, in their order, for pip or uv; none where there is no plan.

    What the PyTorch index publishes comes first, with its NVIDIA libraries and from that index alone. The second
    command takes the rest from the usual index; torch is named there by its exact version, so that nothing replaces it.
    """
    if not plan.pins:
        return ()
    start = _installer(plan, installer)
    of_index: dict[str, list[str]] = {}
    rest: list[str] = []
    for pin in plan.pins:
        page = pin.build.release.index_url
        (of_index.setdefault(page, []) if page else rest).append(_requirement(pin, mirrors))
    found = [(*start, "--index-url", redact(mirrored(page, mirrors)), *pins) for page, pins in of_index.items()]
    torch = plan.pin("torch")
    if torch is not None:
        if torch.build.release.index_url:
            rest.append(f"torch=={torch.build.release.version}")
        rest.append(numpy_requirement(plan))
    rest.extend(plan.others)
    if rest:
        found.append((*start, *rest))
    return tuple(found)


def _installer(plan: Plan, installer: str) -> tuple[str, ...]:
    python = plan.target.executable or "python"
    return ("uv", "pip", "install", "--python", python) if installer == "uv" else (python, "-m", "pip", "install")


def _requirement(pin: Pin, mirrors: Sequence[Mirror]) -> str:
    release, wheel = pin.build
    if not wheel.url:
        return f"{release.name}=={release.version}"
    fragment = f"#sha256={wheel.sha256}" if wheel.sha256 else ""
    return f"{release.name} @ {redact(mirrored(wheel.url, mirrors))}{fragment}"
