"""The plan that mends what the checks found: as little as will do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pascal_install.doctor.case import Case, Symptom
from pascal_install.installation.needs import same_version
from pascal_install.model.plan import Plan
from pascal_install.model.request import Request, Wanted
from pascal_install.resolve.search import resolve
from pascal_install.value import NamedTuple


class Mend(NamedTuple):
    """What `doctor --fix` would do."""

    recover: bool = False
    """Undo a killed install, and look again."""
    plan: Plan | None = None
    """What to install; with a `problem` where nothing published serves. None: nothing is to be changed."""
    remove: tuple[str, ...] = ()
    needs_gpu: bool = False
    """Builds would have to change, but no GPU is known to choose them for."""

    @property
    def is_possible(self) -> bool:
        """Tell whether there is something that can be done."""
        return self.recover or (self.plan is not None and self.plan.problem is None)


def plan_mend(symptoms: Sequence[Symptom], case: Case, base: Request) -> Mend:
    """Find what mends the symptoms; `base` says where torch comes from.

    What works stays as it is where a plan allows that; else everything of the catalogue may move.
    """
    if any(symptom.recover for symptom in symptoms):
        return Mend(recover=True)
    replace = _collect(symptom.replace for symptom in symptoms)
    repair = [name for name in _collect(symptom.repair for symptom in symptoms) if name not in replace]
    others = _collect(symptom.install for symptom in symptoms)
    remove = _collect(symptom.remove for symptom in symptoms)
    needs_gpu = bool(replace or repair) and not case.context.gpus
    if needs_gpu:
        replace, repair = [], []
    if not (replace or repair or others or remove or any(symptom.sweep for symptom in symptoms)):
        return Mend(needs_gpu=needs_gpu)
    if replace or repair:
        plan = _plan_builds(replace, case, base)
    else:
        plan = Plan(base, case.context.host, case.target, (), (), ())
    return Mend(False, plan._replace(others=tuple(others)), tuple(remove), needs_gpu)


def _collect(lists: Iterable[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(text for texts in lists for text in texts))


def _plan_builds(replace: Sequence[str], case: Case, base: Request) -> Plan:
    packages = case.context.catalogue.packages
    names = [name for name in packages if (name in case.environment.found and case.is_known(name)) or name in replace]
    kept = {name: _known_version(name, case) for name in names if name not in replace}
    firm = tuple(
        Wanted(name, f"=={kept[name]}" if kept.get(name) else "", name)
        for name in names
        if name in replace or kept[name] or name == "torch"
    )
    is_from_pypi = bool(kept.get("torch")) and "+" not in kept["torch"]
    source = "pypi" if is_from_pypi else base.torch_source
    facts = (case.context.host, case.target, case.context.catalogue)
    plan = resolve(base._replace(wanted=firm, torch_source=source), *facts)
    if plan.problem is None:
        return plan
    return resolve(base._replace(wanted=tuple(Wanted(name, "", name) for name in names)), *facts)


def _known_version(name: str, case: Case) -> str:
    """Give the installed version where the catalogue holds it: with another one nothing can be planned."""
    versions = {one.version for one in case.environment.found[name]}
    releases = case.context.catalogue.packages[name].releases
    known = [release.version for release in releases for version in versions if same_version(release.version, version)]
    return known[0] if known else ""
