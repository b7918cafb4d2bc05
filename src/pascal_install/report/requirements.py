"""A plan as a requirements file."""

from __future__ import annotations

from collections.abc import Sequence

from pascal_install.model.address import Mirror, mirrored, redact
from pascal_install.model.plan import Plan


def requirements(plan: Plan, mirrors: Sequence[Mirror] = ()) -> str:
    """Give one line a pin, fixed to its file: pip checks the hash behind `#`, and uv does too.

    A build of PyPI is named by its version, since its address comes from pip's settings. Its hash stands in a comment:
    pip takes `--hash` only where every requirement of the whole tree has one.
    """
    lines = []
    if any(pin.build.wheel.sha256 and not pin.build.wheel.url for pin in plan.pins):
        lines.append("# pip takes --hash only where everything has one: `pascal-install lock` writes such a file")
    for pin in plan.pins:
        release, wheel = pin.build
        url = redact(mirrored(wheel.url, mirrors))
        if url:
            lines.append(f"{release.name} @ {url}{f'#sha256={wheel.sha256}' if wheel.sha256 else ''}")
        else:
            comment = f"  # --hash=sha256:{wheel.sha256}" if wheel.sha256 else ""
            lines.append(f"{release.name}=={release.version}{comment}")
    return "\n".join([*lines, *plan.others]) + "\n"
