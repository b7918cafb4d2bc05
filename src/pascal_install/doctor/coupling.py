"""Extensions that were compiled against another torch than the one that is installed."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.doctor.case import Case, Symptom
from pascal_install.installation.needs import same_version
from pascal_install.model.build import Package, Release
from pascal_install.model.finding import Finding
from pascal_install.resolve.rules import runs_with


def check(case: Case) -> Iterator[Symptom]:
    """Hold every installed package of the catalogue against the installed torch."""
    torch = case.sound("torch")
    for name, package in sorted(case.context.catalogue.packages.items()):
        installed = case.sound(name)
        if installed is None or package.role != "torch-extension":
            continue
        releases = [one for one in package.releases if same_version(one.version, installed.version)]
        if not releases:
            yield from _from_pypi(package, installed.version, installed.folder)
        elif torch is not None and case.torch_label and not _fits(releases, torch.version, case.torch_label):
            release = releases[0]
            variants = " or ".join(sorted({label for one in releases for label in (one.variant, *one.torch_variants)}))
            yield Symptom(
                Finding(
                    "other-torch",
                    "error",
                    f"{name} {installed.version} was built for another torch",
                    f"it needs torch {release.torch} with {variants}, found torch {torch.version}"
                    f" with {case.torch_label} ({release.source})",
                    f"pascal-install {name}",
                ),
                replace=(name,),
            )


def _fits(releases: list[Release], version: str, label: str) -> bool:
    public = version.partition("+")[0]
    return any(runs_with(release, public, label) for release in releases)


def _from_pypi(package: Package, version: str, folder: str) -> Iterator[Symptom]:
    """Report PyPI's own file of a name whose builds are published elsewhere."""
    if package.never_from_pypi and "+" not in version:
        summary = f"{package.name} {version} is PyPI's own file, which does not run"
        evidence = f"{folder}: {package.never_from_pypi}"
        finding = Finding("wrong-publisher", "error", summary, evidence, f"pascal-install {package.name}")
        yield Symptom(finding, replace=(package.name,))
