"""What the libraries themselves say: device code for each GPU, symbols that the installed torch has, a CPU build."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from pascal_install.doctor.case import Case, Symptom
from pascal_install.inspection.verify import verify_environment
from pascal_install.installation.needs import active
from pascal_install.model.finding import Finding


def check(case: Case) -> Iterator[Symptom]:
    """Read torch and all that is built against it. Where torch is not whole, nothing can be said."""
    if case.sound("torch") is None:
        return
    host = case.context.host
    for name in _packages(case):
        findings = verify_environment(
            case.environment.sites,
            (name,),
            case.context.capabilities,
            driver_cuda=host.driver.cuda if host.driver else None,
            search_path=case.environ.get("LD_LIBRARY_PATH", ""),
        )
        for finding in findings:
            is_curable = finding.severity == "error" and case.is_known(name)
            told = finding if finding.remedy else finding._replace(remedy=_remedy(finding, name, is_curable=is_curable))
            if told.id == "damaged-library":
                yield Symptom(told, repair=(name,) if is_curable else ())
            else:
                yield Symptom(told, replace=(name,) if is_curable else ())


def _packages(case: Case) -> list[str]:
    """Name torch and every whole distribution that is in the catalogue or requires torch."""
    found = [
        name
        for name in sorted(case.environment.found)
        if name != "torch" and (one := case.sound(name)) is not None
        if case.is_known(name)
        or any(canonicalize_name(need.name) == "torch" for need in active(case.requires(one), case.markers))
    ]
    return ["torch", *found]


def _remedy(finding: Finding, name: str, *, is_curable: bool) -> str:
    if is_curable:
        return f"pascal-install {name}"
    return "" if finding.severity == "warning" else f"install a build of {name} that was made for this GPU and torch"
