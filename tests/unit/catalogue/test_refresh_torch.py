"""The torch of a new extension: read where a file tells it, else left to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pascal_install.catalogue.checking.sense import nonsense
from pascal_install.catalogue.decode import decode
from pascal_install.resolve.search import resolve
from support.catalogue_files import documented_files, write_catalogue
from support.device_code import asset
from support.facts import PASCAL_ARCHS, catalogue, host, release, request, target
from support.refreshing import EXTENSION, LINUX, TODAY, TORCH, Place, device_library, release_row, rows
from support.wheels import make_torch_stub, make_wheel

#: As torch's compiler says which GPUs are too old, in 2.0 and in 2.15.
OLD_SCHEDULER = b"device_props = torch.cuda.get_device_properties(device)\nif device_props.major < 7:\n    raise\n"
SCHEDULER = (
    b"and (device_props := torch.cuda.get_device_properties(device)).major < 7\n):\n    raise GPUTooOldForTriton\n"
)
TRITON = """\
schema = 1
name = "triton"
import_name = "triton"
role = "torch-extension"
data_date = "2026-01-02"

[[index]]
id = "pypi"
refresh = {upstream = "pypi", torch = "requires-it"}

[sources]
seen = "seen in use"

"""


def torch_that_requires(place: Place, version: str, requirement: str, scheduler: bytes = SCHEDULER) -> str:
    """Publish a torch, and give its row."""
    files = {"torch/lib/libtorch_cuda.so": device_library(60, 70), "torch/_inductor/scheduler.py": scheduler}
    content = make_torch_stub(version, "cu124", LINUX, ["sm_60"], requires=[requirement], files=files)
    place.mirror.add_pypi(f"torch-{version}-{LINUX}.whl", content)
    return release_row(version, "cu124", "pypi", [f'tag = "{LINUX}"'])


def triton(place: Place, version: str) -> None:
    content = make_wheel("triton", version, LINUX, files={"triton/_C/libtriton.so": b"no device code"})
    place.mirror.add_pypi(f"triton-{version}-{LINUX}.whl", content)


def triton_row(version: str, torch: str) -> str:
    row = release_row(version, "any", "pypi", [f'tag = "{LINUX}"'], f'torch = "{torch}"\n')
    return row.replace('["sm_60", "sm_70"]', '["jit_70"]')


def coupled(found: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
    return [(row["version"], row["torch"], row.get("torch_also", [])) for row in found]


def test_a_release_that_torch_requires_has_the_torches_that_say_so(place: Place) -> None:
    here = 'platform_system == "Linux" and python_version < "3.13"'
    torches = [
        torch_that_requires(place, "2.9.1", f"triton~=3.5.0; {here}"),
        torch_that_requires(place, "2.9.0", f"triton (==3.5.0); {here}", OLD_SCHEDULER),
        torch_that_requires(place, "2.8.0", "triton==3.4.0"),
    ]
    place.has("torch", TORCH, *torches)
    for version in ("3.4.0", "3.5.0", "3.5.1", "3.6.0"):
        triton(place, version)
    place.has("triton", TRITON, triton_row("3.4.0", "2.8.0"))
    outcome = place.refreshed("triton", in_place=True)
    assert coupled(rows(outcome.text)) == [("3.5.1", "2.9.1", []), ("3.5.0", "2.9.0", []), ("3.4.0", "2.8.0", [])]
    (skipped,) = outcome.found.of_kind("skipped")
    assert (skipped.version, skipped.what.partition(":")[0]) == (
        "3.6.0",
        "no torch of pypi that is recorded requires it",
    )
    newest = rows(outcome.text)[0]
    assert (newest["variant"], newest["architectures"], newest["confidence"]) == ("any", ["jit_70"], "script")
    assert newest["source"] == f"pypi-{TODAY}; METADATA and torch/_inductor/scheduler.py of torch-2.9.1-{LINUX}.whl"
    tables = {"cuda.toml": documented_files()["cuda.toml"]}
    assert decode(str(write_catalogue(place.base, tables))).packages["triton"].releases[0].torch == "2.9.1"


def test_a_new_torch_joins_the_release_that_it_requires(place: Place) -> None:
    torches = [torch_that_requires(place, f"2.9.{patch}", "triton==3.5.0") for patch in (2, 1, 0)]
    place.has("torch", TORCH, *torches)
    triton(place, "3.5.0")
    place.has("triton", TRITON, triton_row("3.5.0", "2.9.0"))
    outcome = place.refreshed("triton", in_place=True)
    assert coupled(rows(outcome.text)) == [("3.5.0", "2.9.2", ["2.9.1", "2.9.0"])]
    assert [(change.kind, change.what) for change in outcome.found.changes] == [
        ("changed", "its hash is known"),
        ("changed", "also required by torch 2.9.2, 2.9.1"),
    ]
    place.mirror.forget()
    assert place.refreshed("triton", in_place=True).found.changes == ()
    assert not [one for one in place.mirror.requests if "/torch" in one.path]  # nothing new: no torch is read


def test_a_torch_for_another_platform_or_python_requires_nothing_here(place: Place) -> None:
    torches = [
        torch_that_requires(place, "2.9.1", 'triton==3.5.0; python_version < "3.12"'),
        torch_that_requires(place, "2.9.0", 'triton==3.5.0; platform_machine == "aarch64"'),
    ]
    place.has("torch", TORCH, *torches)
    triton(place, "3.5.0")
    place.has("triton", TRITON)
    assert rows(place.refreshed("triton", in_place=True).text) == []


def test_which_gpus_are_too_old_is_never_guessed(place: Place) -> None:
    place.has("torch", TORCH, torch_that_requires(place, "2.9.0", "triton==3.5.0", b"raise GPUTooOldForTriton"))
    triton(place, "3.5.0")
    place.has("triton", TRITON)
    (skipped,) = place.refreshed("triton", in_place=True).found.changes
    assert "of torch 2.9.0 does not say for which GPUs it is used: a person has to find out" in skipped.what


def ours(place: Place, requires: str, library: bytes, how: str = ', torch = "pinned"') -> None:
    """Publish and describe an extension, 1.1, that links torch's C++."""
    content = make_wheel("ours", "1.1", LINUX, files={"ours/_C.so": library}, requires=[requires])
    place.mirror.add_pypi(f"ours-1.1-{LINUX}.whl", content)
    text = EXTENSION.replace("exllamav2", "ours")
    place.has(
        "ours", text[: text.index("[[index]]")], f'[[index]]\nid = "pypi"\nrefresh = {{upstream = "pypi"{how}}}\n'
    )


def compiled_with(number: int) -> bytes:
    """Give a library whose cubins name this CUDA."""
    told = bytes.fromhex("04370400")
    return asset("libpascal.so").replace(told + (129).to_bytes(4, "little"), told + number.to_bytes(4, "little"))


def test_the_cuda_that_device_code_names_is_the_variant(place: Place) -> None:
    ours(place, "torch==2.6.0", compiled_with(124))
    (row,) = rows(place.refreshed("ours", in_place=True).text)
    assert (row["variant"], row["torch"], "note" in row) == ("cu124", "2.6.0", False)


def test_a_toolkit_without_known_drivers_is_not_taken(place: Place) -> None:
    ours(place, "torch==2.6.0", compiled_with(129))
    (skipped,) = place.refreshed("ours").found.changes
    assert skipped.what == "cuda.toml does not know cu129: add its oldest driver there first"


@pytest.mark.parametrize(
    ("requires", "why"),
    [
        ("torch>=2.5.1", "its metadata asks for torch>=2.5.1, which does not tell the one that it was built with"),
        ("torch", "its metadata names no torch version"),
        ("numpy", "its metadata names no torch version"),
    ],
)
def test_a_torch_that_nothing_tells_is_left_to_a_person(place: Place, requires: str, why: str) -> None:
    ours(place, requires, compiled_with(124))
    path = place.base / "packages" / "ours.toml"

    # In a folder over ours, a row that nobody completes would lie over the one that a later release of ours completes.
    outcome = place.refreshed("ours")
    (skipped,) = outcome.found.changes
    assert rows(outcome.text) == []
    assert skipped.what.startswith(f"{why}: a person has to say which it runs with (all else is read: cu124, sm_60")

    # Where people write the data, they get everything but that one word; forgetting it is a problem that `check` tells.
    (row,) = rows(place.refreshed("ours", in_place=True).text)
    assert (row["torch"], row["variant"], row["confidence"]) == ("unknown", "cu124", "binary")
    assert row["note"] == f"{why}: say in `torch` which it runs with"
    place.has("torch", TORCH, release_row("2.6.0", "cu124", "pypi", [f'tag = "{LINUX}"']))
    folder = str(write_catalogue(place.base, {"cuda.toml": documented_files()["cuda.toml"]}))
    (problem,) = [one for one in nonsense(folder, decode(folder), None) if "unknown" in one]
    assert "release[0].torch: expected a torch cu124" in problem
    path.write_text(path.read_text(encoding="utf-8").replace('torch = "unknown"', 'torch = "2.6.0"'), encoding="utf-8")
    assert not [one for one in nonsense(folder, decode(folder), None) if ".torch: " in one]


def test_libraries_for_a_cuda_that_torch_never_had_there_do_not_count(place: Place) -> None:
    torches = [("2.6.0", "cu124"), ("2.6.1", "cu126")]
    place.has("torch", TORCH, *(release_row(version, cuda, "pypi", [f'tag = "{LINUX}"']) for version, cuda in torches))
    files = {f"ours/libours_cuda{digits}.so": device_library(60) for digits in ("118", "124", "126", "128")}
    content = make_wheel("ours", "1.1", LINUX, files=files, requires=["torch>=2.4,<3"])
    place.mirror.add_pypi(f"ours-1.1-{LINUX}.whl", content)
    text = EXTENSION.replace("exllamav2", "ours")
    how = 'refresh = {upstream = "pypi", variant = "libraries"}\n'
    place.has("ours", text[: text.index("[[index]]")], '[[index]]\nid = "pypi"\n', how)
    (row,) = rows(place.refreshed("ours", in_place=True).text)
    assert row["variants"] == ["cu128", "cu126", "cu124"]  # torch may follow with cu128


def test_bounds_count_where_no_word_says_otherwise(place: Place) -> None:
    ours(place, "torch>=2.4,<3", compiled_with(124), "")
    (row,) = rows(place.refreshed("ours", in_place=True).text)
    assert row["torch"] == ">=2.4,<3"


def test_no_plan_picks_a_release_whose_torch_nobody_has_said() -> None:
    torch = release("torch", "2.6.0+cu124", PASCAL_ARCHS)
    known = release("exllamav2", "0.2.0+cu124", PASCAL_ARCHS, torch="2.6.0", rank=1)
    unknown = release("exllamav2", "0.3.0+cu124", PASCAL_ARCHS, torch="unknown", rank=2)
    plan = resolve(request("exllamav2"), host("6.1"), target(), catalogue(torch, known, unknown))
    assert [pin.build.release.version for pin in plan.pins] == ["2.6.0+cu124", "0.2.0+cu124"]
    (passed_over,) = plan.rejected
    assert passed_over.why == "needs the torch that it runs with, found unknown: a person has to say it"
