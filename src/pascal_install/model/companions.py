"""What belongs into an environment with a plan's pins, although nobody asked for it."""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from pascal_install.model.plan import Plan


def numpy_requirement(plan: Plan) -> str:
    """Give the numpy that belongs to the plan's torch: importing torch without one warns. Empty without torch.

    torch before 2.3 was compiled against NumPy 1 and breaks with NumPy 2 (release notes of torch 2.3).
    A lock already says what belongs to it.
    """
    pin = plan.pin("torch")
    if pin is None or plan.is_complete:
        return ""
    major, minor = (int(part) for part in pin.build.release.version.split(".")[:2])
    return "numpy<2" if (major, minor) < (2, 3) else "numpy"
