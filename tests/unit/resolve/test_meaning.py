"""Names that stand for others."""

from __future__ import annotations

from pascal_install.model.build import Catalogue, Package
from pascal_install.model.request import Wanted
from pascal_install.resolve.meaning import meanings, others_of
from pascal_install.resolve.search import resolve
from support import facts


def wanted(*texts: str) -> tuple[Wanted, ...]:
    return facts.request(*texts).wanted


def catalogue(**more: Package) -> Catalogue:
    new = facts.release("cupy-cuda13x", "14.0", "sm_75 sm_120", variant="cu130")
    old = facts.release("cupy-cuda12x", "14.0", "sm_60 sm_75", variant="cu128")
    found = facts.catalogue(new, old, roles={"cupy-cuda13x": "cuda", "cupy-cuda12x": "cuda"})
    cupy = Package("cupy", "choice", "cupy", (), one_of=("cupy-cuda13x", "cupy-cuda12x"))
    return found._replace(packages=found.packages | {"cupy": cupy} | more)


def test_a_choice_is_the_first_that_serves() -> None:
    for capability, name in (("7.5", "cupy-cuda13x"), ("6.1", "cupy-cuda12x")):
        plan = resolve(facts.request("cupy"), facts.host(capability), facts.target(), catalogue())
        assert [pin.build.release.name for pin in plan.pins] == [name]
        assert plan.others == ()
        assert [one.name for one in plan.request.wanted] == ["cupy"]


def test_a_choice_that_never_serves_tells_of_the_one_that_reaches_furthest() -> None:
    plan = resolve(facts.request("cupy"), facts.host("5.2"), facts.target(), catalogue())
    assert plan.problem is not None
    assert plan.problem.rule == "kernel-coverage"
    assert "cupy-cuda12x" in plan.problem.why


def test_versions_go_with_the_choice_and_the_same_one_is_taken_everywhere() -> None:
    user = Package("mesh", "python", "mesh", (), uses=wanted("cupy>=13", "numpy"))
    found = [request.wanted for request in meanings(facts.request("mesh", "cupy<15"), catalogue(mesh=user))]
    assert found == [wanted(f"{name}>=13", "numpy", f"{name}<15") for name in ("cupy-cuda13x", "cupy-cuda12x")]


def test_pure_python_and_unknown_names_are_left_to_pip() -> None:
    user = Package("mesh", "python", "mesh", (), uses=wanted("cupy>=13", "shape"))
    below = Package("shape", "python", "shape", (), uses=wanted("numpy>=2"))
    both = catalogue(mesh=user, shape=below)
    request = facts.request("mesh==1", "cupy", "scipy")
    assert [one.text for one in others_of(request, both)] == ["mesh==1", "scipy", "shape", "numpy>=2"]


def test_names_that_stand_for_each_other_come_to_an_end() -> None:
    around = Package("cupy", "choice", "cupy", (), one_of=("mesh", "cupy-cuda12x"))
    user = Package("mesh", "python", "mesh", (), uses=wanted("mesh", "cupy", "cupy-cuda12x"))
    found = list(meanings(facts.request("mesh"), catalogue(mesh=user, cupy=around)))
    assert [[one.name for one in request.wanted] for request in found] == [["cupy-cuda12x", "cupy-cuda12x"]] * 2
    lost = Package("cupy", "choice", "cupy", (), one_of=("cupy",))
    assert resolve(facts.request("cupy"), facts.host("6.1"), facts.target(), catalogue(cupy=lost)).problem


def test_a_package_without_builds_for_the_platform_says_so() -> None:
    vllm = Package("vllm", "torch-extension", "vllm", ())
    plan = resolve(facts.request("vllm"), facts.host("8.0"), facts.target(), catalogue(vllm=vllm))
    assert plan.problem is not None
    assert plan.problem.why == "no build of vllm is known for linux on x86_64"
