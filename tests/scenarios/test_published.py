"""The scenarios of published.toml and packages.toml: real machines against the real catalogue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pascal_install.api import parse_requirement
from pascal_install.catalogue.load import load, load_gpus
from pascal_install.facts.host import detect_host
from pascal_install.facts.tags import describe_platform
from pascal_install.model.plan import Plan
from pascal_install.model.request import Request
from pascal_install.resolve.search import names_needed, resolve

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCENARIOS = [
    scenario
    for name in ("published.toml", "packages.toml")
    for scenario in tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))["scenario"]
]


def answer(scenario: dict[str, Any], cache: str) -> Plan:
    request = Request(
        tuple(parse_requirement(text) for text in scenario["packages"]),
        scenario.get("torch_source", "pytorch"),
        scenario.get("allow_unconfirmed", False),
    )
    target = describe_platform(scenario.get("platform", "linux_x86_64"), scenario["python"], "", cache_dir=cache)
    gpus = load_gpus(cache_dir=cache)
    host = detect_host(
        gpus=scenario["gpus"],
        driver=scenario["driver"],
        environ={},
        os_name=target.os,
        machine=target.machine,
        lookup_pci=gpus.lookup_pci,
        names=gpus,
        root="/nonexistent",
    )
    catalogue = load(names_needed(request), target.os, target.machine, overlay="", cache_dir=cache)
    return resolve(request, host, target, catalogue)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_published(scenario: dict[str, Any], cache: str) -> None:
    plan = answer(scenario, cache)
    told = plan.problem.why + "\n" + "\n".join(plan.problem.suggest) if plan.problem else ""
    picked = {pin.build.release.name: pin.build.release.version for pin in plan.pins}
    if "picks" in scenario:
        assert picked == (scenario["picks"] if scenario.get("only") else picked | scenario["picks"]), told
        assert list(plan.others) == scenario.get("others", [])
        assert all(found.kind in ("cubin", "ptx", "jit") for pin in plan.pins for _, found in pin.coverage)
        for word in scenario.get("notes", ()):
            assert any(word in note for note in plan.notes), plan.notes
    else:
        assert not picked
        assert plan.problem is not None
        assert plan.problem.rule == scenario["rule"], told
        for word in scenario["says"]:
            assert word in told
