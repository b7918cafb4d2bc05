"""Requirements of installed distributions that nothing installed meets, as `pip check` finds them."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import Requirement  # noqa: TC002
from packaging.utils import canonicalize_name

from pascal_install.doctor.case import Case, Symptom
from pascal_install.installation.change import is_nvidia_family
from pascal_install.installation.needs import active, meets
from pascal_install.model.finding import Finding


def check(case: Case) -> Iterator[Symptom]:
    """Report each requirement that is not met. What is not whole is another check's."""
    for name, here in sorted(case.environment.found.items()):
        for requirement in active(case.requires(here[-1]), case.markers):
            wanted = str(canonicalize_name(requirement.name))
            there = case.environment.found.get(wanted, ())
            if there and any(meets(one.version, requirement) for one in there):
                continue
            found = f"{', '.join(one.version for one in there)} is installed" if there else "it is not installed"
            cure = _cure(case, name, wanted, requirement)
            yield cure._replace(
                finding=Finding(
                    "unmet-requirement",
                    "error",
                    f"{name} {here[-1].version} needs {_line(requirement)}",
                    f"{found}; METADATA in {here[-1].folder}",
                    cure.finding.remedy,
                )
            )


def _cure(case: Case, name: str, wanted: str, requirement: Requirement) -> Symptom:
    empty = Finding("", "", "")
    if case.is_known(wanted):
        if wanted not in case.environment.found:
            remedy = f"pascal-install {wanted}"
            return Symptom(empty._replace(remedy=remedy), replace=(wanted,))
        remedy = f"another build of {name} or of {wanted}"
        return Symptom(empty._replace(remedy=remedy), replace=(name,) if case.is_known(name) else ())
    if is_nvidia_family(wanted) and "torch" in case.environment.found and case.is_known("torch"):
        remedy = "pascal-install doctor --fix takes it from torch's own index"
        return Symptom(empty._replace(remedy=remedy), repair=("torch",))
    remedy = f"pip install '{_line(requirement)}'"
    return Symptom(empty._replace(remedy=remedy), install=(_line(requirement),))


def _line(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"
