"""Environment variables that make a sound environment behave like a broken one."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

from pascal_install.doctor.case import Case, Symptom
from pascal_install.model.finding import Finding

_TORCHS_OWN = ("libtorch", "libc10")


def check(case: Case) -> Iterator[Symptom]:
    """Report what shadows torch's libraries or modules, and what hides GPUs."""
    yield from _library_path(case)
    yield from _python_path(case)
    yield from _hidden(case)


def _library_path(case: Case) -> Iterator[Symptom]:
    """LD_LIBRARY_PATH comes before the run path of a library (ld.so(8)): what lies there is loaded instead."""
    own = {
        os.path.basename(path): path
        for site in case.environment.sites
        for pattern in ("torch/lib", "nvidia/*/lib", "cusparselt/lib")
        for path in glob.glob(os.path.join(glob.escape(site), *pattern.split("/"), "lib*.so*"))
    }
    for folder in filter(None, case.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)):
        shadows = [
            name
            for name, path in sorted(own.items())
            if os.path.isfile(there := os.path.join(folder, name)) and not os.path.samefile(there, path)
        ]
        if shadows:
            is_torchs = any(name.startswith(_TORCHS_OWN) for name in shadows)
            yield Symptom(
                Finding(
                    "library-path",
                    "error" if is_torchs else "warning",
                    f"LD_LIBRARY_PATH puts other libraries before {'torch' if is_torchs else 'the environment'}'s own",
                    f"{folder} has {', '.join(shadows[:4])}{' and more' if len(shadows) > 4 else ''}",
                    f"take {folder} out of LD_LIBRARY_PATH",
                )
            )


def _python_path(case: Case) -> Iterator[Symptom]:
    """PYTHONPATH comes before site-packages: a module that lies there is imported instead."""
    sites = {os.path.realpath(site) for site in case.environment.sites}
    modules = [
        package.import_name
        for name, package in sorted(case.context.catalogue.packages.items())
        if name in case.environment.found
    ]
    for folder in filter(None, case.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if os.path.realpath(folder) in sites:
            continue
        for module in modules:
            place = os.path.join(folder, module)
            found = next((path for path in (place, f"{place}.py") if os.path.exists(path)), "")
            if found:
                yield Symptom(
                    Finding(
                        "python-path",
                        "error",
                        f"PYTHONPATH puts another {module} before the installed one",
                        found,
                        f"take {folder} out of PYTHONPATH",
                    )
                )


def _hidden(case: Case) -> Iterator[Symptom]:
    hidden = [gpu for gpu in case.context.host.gpus if not gpu.visible]
    if hidden and case.context.host.visible_gpus:
        steps = [step for step in case.context.host.steps if step.method.endswith("_VISIBLE_DEVICES")]
        yield Symptom(
            Finding(
                "gpu-hidden",
                "warning",
                f"{', '.join(f'GPU {gpu.ordinal} ({gpu.name})' for gpu in hidden)} is hidden and counts for nothing",
                "; ".join(f"{step.method}={step.detail}" for step in steps),
                "unset the variable where that GPU is to be used",
            )
        )
