"""All checks, in the order in which a person should read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pascal_install.doctor import (
    binaries,
    coupling,
    families,
    killed,
    machine,
    requirements,
    running,
    surroundings,
    whole,
)
from pascal_install.doctor.case import Case, Symptom

Check = Callable[[Case], Iterable[Symptom]]

#: What does not depend on what is installed being whole.
_ALWAYS: tuple[Check, ...] = (machine.check, surroundings.check, killed.check_journal)

_INSTALLED: tuple[Check, ...] = (
    killed.check_leftovers,
    whole.check,
    requirements.check,
    families.check_families,
    families.check_cudnn,
    coupling.check,
    binaries.check,
)


def examine(case: Case) -> tuple[Symptom, ...]:
    """Run every check. Nothing is changed.

    Below an open journal lies a half-done change: what is installed is judged only after it was undone. Where nothing
    is wrong with the files, torch has to show that it runs.
    """
    found = [symptom for check in _ALWAYS for symptom in check(case)]
    if not any(symptom.recover for symptom in found):
        found += [symptom for check in _INSTALLED for symptom in check(case)]
    # It takes the seconds of importing torch, and would only tell the effects of what is known to be wrong.
    if not any(symptom.finding.severity == "error" for symptom in found):
        found += running.check(case)
    return tuple(found)
