"""A plan as a requirements file."""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.model.address import Mirror, mirrored, redact
from pascal_install.model.plan import Plan


def requirements(plan: Plan, mirrors: Sequence[Mirror] = ()) -> str:
    """Give one line a pin, fixed to its file: pip checks the hash behind `#`, and uv does too.

    A build of PyPI is named by version and hash, since its address comes from pip's settings.
    """
    lines = []
    for pin in plan.pins:
        release, wheel = pin.build
        url = redact(mirrored(wheel.url, mirrors))
        if url:
            lines.append(f"{release.name} @ {url}{f'#sha256={wheel.sha256}' if wheel.sha256 else ''}")
        else:
            lines.append(f"{release.name}=={release.version}{f' --hash=sha256:{wheel.sha256}' if wheel.sha256 else ''}")
    return "\n".join([*lines, *plan.others]) + "\n"
