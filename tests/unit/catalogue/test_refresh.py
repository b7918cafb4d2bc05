"""What indexes publish now, brought into the catalogue: by the formats of the real ones."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pascal_install.catalogue.decode import decode, parse_toml
from pascal_install.catalogue.refresh.run import refresh, write
from pascal_install.errors import DataError, InstallerError
from pascal_install.model.build import UNREAD
from pascal_install.resolve.search import resolve
from support.catalogue_files import documented_files, write_catalogue
from support.facts import PASCAL_ARCHS, catalogue, host, release, request, target
from support.mirror import PYTORCH, Mirror
from support.refreshing import (
    EXTENSION,
    LINUX,
    TODAY,
    TORCH,
    VARIANTS,
    Place,
    asset,
    device_library,
    extension_wheel,
    html_page,
    publish,
    release_page,
    release_row,
    rows,
    sha256,
    torch_wheel,
)
from support.wheels import make_torch_stub, make_wheel

AARCH64 = LINUX.replace("x86_64", "aarch64")


def known_torch(place: Place, *, digest: str = "") -> str:
    """Publish torch 2.6.0, and record it."""
    content = publish(place.mirror, "2.6.0", "cu124")
    row = release_row("2.6.0", "cu124", "pypi", [f'tag = "{LINUX}", sha256 = "{digest or sha256(content)}"'])
    place.has("torch", TORCH, row)
    return row


def test_a_new_release_is_read_from_its_wheels(place: Place) -> None:
    known_torch(place)
    before = place.files()
    new = publish(place.mirror, "2.7.0", "cu126")
    publish(place.mirror, "2.7.0", "cu126", AARCH64, device_library(80, 90))
    publish(place.mirror, "2.7.0", "cpu", "cp312-cp312-win_amd64")
    publish(place.mirror, "2.8.0rc1", "cu128")
    outcome = place.refreshed("torch", only=["pypi"])
    assert [change.kind for change in outcome.found.changes] == ["new", "new"]
    assert {name: text for name, text in place.files().items() if name.startswith("base")} == before
    arm, intel = sorted(rows(outcome.text), key=lambda row: row["machine"])
    assert arm["architectures"] == ["sm_80", "sm_90"]
    assert intel | {"source": "", "wheels": []} == {
        "version": "2.7.0",
        "variant": "cu126",
        "os": "linux",
        "machine": "x86_64",
        "index": "pypi",
        "architectures": ["sm_60", "sm_70"],
        "confidence": "binary",
        "cudnn": "9.1.0.70",
        "source": "",
        "wheels": [],
    }
    assert intel["wheels"] == [{"tag": LINUX, "sha256": sha256(new), "size": len(new), "source": f"pypi-{TODAY}"}]
    assert decode(str(place.over), ["cu124", "cu126"]).packages["torch"].releases[0].wheels[0].url == ""


@pytest.mark.parametrize(("text", "abi"), [("Ss", False), ("NSt7__cxx1112basic_stringIcEE", True), ("i", None)])
def test_the_abi_of_a_new_torch_is_that_of_its_symbols(place: Place, text: str, abi: bool | None) -> None:
    known_torch(place)
    symbol = f"_ZN3c105ErrorC2ENS_14SourceLocationE{text}".encode()
    files = {"torch/lib/libtorch_cuda.so": device_library(60, 70), "torch/lib/libc10.so": b"\x7fELF\0" + symbol + b"\0"}
    content = make_torch_stub("2.7.0", "cu126", LINUX, ["sm_60", "sm_70"], files=files)
    place.mirror.add_pypi(f"torch-2.7.0-{LINUX}.whl", content)
    newest, _ = rows(place.refreshed("torch", in_place=True, only=["pypi"]).text)
    assert newest.get("cxx11_abi") is abi


def test_once_more_finds_nothing_and_writes_nothing(place: Place) -> None:
    known_torch(place)
    publish(place.mirror, "2.7.0", "cu126")
    assert place.refreshed("torch", only=["pypi"]).found.path
    again = place.refreshed("torch", only=["pypi"])
    assert (again.found.changes, again.found.path) == ((), "")


def test_only_new_lines_change_in_a_file_that_people_wrote(place: Place) -> None:
    row = known_torch(place)
    path = place.base / "packages" / "torch.toml"
    before = path.read_text(encoding="utf-8")
    publish(place.mirror, "2.7.0", "cu126")
    publish(place.mirror, "2.6.0", "cu124", LINUX.replace("cp312", "cp313"))
    place.refreshed("torch", in_place=True, only=["pypi"])
    after = path.read_text(encoding="utf-8")
    removed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith("- ")]
    assert removed == ['- data_date = "2026-01-02"   # the day of the last fact']
    assert f'data_date = "{TODAY}"   # the day of the last fact' in after
    assert [one["version"] for one in rows(after)] == ["2.7.0", "2.6.0"]
    assert '# The newest one first.\n[[release]]\nversion = "2.7.0"' in after
    assert row.rstrip().removesuffix("]") in after  # its lines stand as they were, the new wheel behind them
    assert len(rows(after)[1]["wheels"]) == 2


def test_the_pytorch_index_confirms_rows_and_gives_their_hashes(place: Place) -> None:
    wheel, newer = torch_wheel("2.6.0+cu124", "cu124"), torch_wheel("2.7.1+cu126", "cu126")
    html_page(place.mirror, "cu124", [(f"torch-2.6.0+cu124-{LINUX}.whl", wheel, False)])
    html_page(place.mirror, "cu126", [(f"torch-2.7.1+cu126-{LINUX}.whl", newer, True)])
    place.has(
        "torch",
        TORCH,
        release_row("2.6.0+cu124", "cu124", "pytorch", [f'tag = "{LINUX}", existence = "matrix", source = "seen"']),
    )
    outcome = place.refreshed("torch", in_place=True, only=["pytorch"])
    assert [(change.kind, change.version) for change in outcome.found.changes] == [
        ("changed", "2.6.0+cu124"),
        ("new", "2.7.1+cu126"),
    ]
    new, known = rows(outcome.text)
    assert known["wheels"] == [{"tag": LINUX, "sha256": sha256(wheel), "source": f"seen; pytorch-{TODAY}"}]
    assert (new["variant"], new["wheels"][0]["sha256"], "url" in new["wheels"][0]) == ("cu126", sha256(newer), False)


def test_a_mirror_that_passes_pages_on_as_they_are(place: Place) -> None:
    known, new = torch_wheel("2.6.0+cu124", "cu124"), torch_wheel("2.7.0+cu124", "cu124")
    html_page(
        place.mirror,
        "cu124",
        [(f"torch-2.7.0+cu124-{LINUX}.whl", new, False), (f"torch-2.6.0+cu124-{LINUX}.whl", known, False)],
        rewritten=False,
    )
    place.has("torch", TORCH, release_row("2.6.0+cu124", "cu124", "pytorch", [f'tag = "{LINUX}"']))
    newest, _ = rows(place.refreshed("torch", in_place=True, only=["pytorch"]).text)
    assert (newest["version"], newest["architectures"]) == ("2.7.0+cu124", ["sm_60", "sm_70"])
    assert newest["wheels"] == [{"tag": LINUX, "sha256": sha256(new), "source": f"pytorch-{TODAY}"}]


def test_a_page_of_five_megabytes_is_read(place: Place) -> None:
    wheel = torch_wheel("2.6.0+cu124", "cu124")
    links = "".join(f'<a href="torch-1.{number}.0+cpu-{LINUX}.whl">x</a><br>\n' for number in range(70_000))
    html_page(place.mirror, "cu124", [(f"torch-2.6.0+cu124-{LINUX}.whl", wheel, False)], more=links)
    row = release_row("2.6.0+cu124", "cu124", "pytorch", [f'tag = "{LINUX}", sha256 = "{sha256(wheel)}"'])
    place.has("torch", TORCH, row)
    assert len(links) > 5_000_000
    assert place.refreshed("torch", only=["pytorch"]).found.changes == ()


def test_another_hash_is_an_alarm_and_nothing_is_written(place: Place) -> None:
    known_torch(place, digest="ab" * 32)
    publish(place.mirror, "2.7.0", "cu126")
    before = place.files()
    outcome = place.refreshed("torch", only=["pypi"])
    (alarm,) = outcome.found.of_kind("alarm")
    assert f"recorded sha256 {'ab' * 32}, listed " in alarm.what
    assert place.files() == before


def test_what_is_no_longer_listed_is_marked_and_stays(place: Place) -> None:
    contents = [publish(place.mirror, "2.6.0", "cu124", LINUX.replace("12", digits)) for digits in ("12", "13")]
    tags = [LINUX, LINUX.replace("12", "13"), LINUX.replace("12", "11")]
    hashes = [*map(sha256, contents), "cd" * 32]
    wheels = [f'tag = "{tag}", sha256 = "{digest}"' for tag, digest in zip(tags, hashes, strict=True)]
    place.has("torch", TORCH, release_row("2.6.0", "cu124", "pypi", wheels))
    outcome = place.refreshed("torch", only=["pypi"])
    (gone,) = outcome.found.changes
    assert (gone.kind, gone.filenames) == ("gone", (f"torch-2.6.0-{tags[2]}.whl",))
    (row,) = rows(outcome.text)
    assert [wheel.get("existence") for wheel in row["wheels"]] == [None, None, "dropped"]
    assert row["wheels"][2]["sha256"] == hashes[2]


def test_a_page_that_lacks_most_of_what_is_known_is_broken(place: Place) -> None:
    publish(place.mirror, "2.5.0", "cu124")
    wheels = [f'tag = "{LINUX}", sha256 = "{"ab" * 32}"']
    place.has("torch", TORCH, release_row("2.6.0", "cu124", "pypi", wheels))
    assert "lists only 0 of the 1 known wheels" in place.fails("torch", only=["pypi"]).summary


def test_one_broken_page_among_good_ones_drops_nothing(place: Place) -> None:
    versions = [("2.6.0", "cu124"), ("2.5.0", "cu118"), ("2.7.0", "cu126")]
    text = ""
    for version, variant in versions:
        filename = f"torch-{version}+{variant}-{LINUX}.whl"
        html_page(place.mirror, variant, [(filename, torch_wheel(f"{version}+{variant}", variant), False)])
        text += release_row(f"{version}+{variant}", variant, "pytorch", [f'tag = "{LINUX}"'])
    place.has("torch", TORCH, text)
    page = b"<html><body>You are being watched. Please call the help desk.</body></html>"
    place.mirror.add_page(PYTORCH, "whl/cu124/torch/", page, {"Content-Type": "text/html"})
    before = place.files()
    error = place.fails("torch", in_place=True, only=["pytorch"])
    assert "lists only 0 of the 1 known wheels of torch for cu124" in error.summary
    assert "https://download.pytorch.org/whl/cu124/torch/" in error.hints[0]
    assert place.files() == before


def test_what_cannot_be_read_says_so_and_is_read_by_a_later_refresh(place: Place) -> None:
    known_torch(place)
    content = publish(place.mirror, "2.7.0", "cu126", library=b"\x7fELF and then nothing that makes sense")
    outcome = place.refreshed("torch", only=["pypi"])
    (row,) = rows(outcome.text)
    assert (row["architectures"], row["confidence"]) == ([], UNREAD)
    assert "could not be read" in row["note"]
    assert row["wheels"][0]["sha256"] == sha256(content)
    assert decode(str(place.over), ["cu126"]).packages["torch"].releases[0].architectures == ()

    mended = publish(place.mirror, "2.7.0", "cu126")
    text = outcome.text.replace(sha256(content), sha256(mended)).replace(str(len(content)), str(len(mended)))
    Path(outcome.found.path).write_text(text, encoding="utf-8")
    place.refreshed("torch", only=["pypi"])
    (row,) = rows(Path(outcome.found.path).read_text(encoding="utf-8"))
    assert (row["architectures"], row["confidence"], "note" in row) == (["sm_60", "sm_70"], "binary", False)


def test_a_variant_without_known_drivers_is_not_taken(place: Place) -> None:
    known_torch(place)
    publish(place.mirror, "2.7.0", "cu134")
    outcome = place.refreshed("torch", only=["pypi"])
    (skipped,) = outcome.found.changes
    assert (skipped.kind, rows(outcome.text)) == ("skipped", [])
    assert "cuda.toml does not know cu134" in skipped.what


def on_pypi(place: Place, how: str, row: str, members: dict[str, bytes], requires: Sequence[str] = ()) -> list[Any]:
    """Refresh a package with one new wheel, 1.1, whose variant is found by `how`; give its new rows."""
    content = make_wheel("ours", "1.1", LINUX, files=members, requires=requires)
    place.mirror.add_pypi(f"ours-1.1-{LINUX}.whl", content)
    role = "torch-extension" if requires else "cuda"
    text = EXTENSION.replace("exllamav2", "ours").replace("torch-extension", role)
    text = (
        text[: text.index("[[index]]")]
        + f'[[index]]\nid = "pypi"\nrefresh = {{upstream = "pypi", variant = "{how}"}}\n\n'
    )
    place.has("ours", text, '[sources]\nseen = "seen in use"\n\n', row)
    outcome = place.refreshed("ours", in_place=True)
    return [one for one in rows(outcome.text) if one["version"] == "1.1"] or [one.what for one in outcome.found.changes]


def test_an_extension_on_pypi_has_the_variant_of_the_torch_there(place: Place) -> None:
    members = {"ours/_C.so": device_library(60, 61)}
    found = on_pypi(place, "torch", "", members, ["torch==2.7.0"])
    assert found == ["no torch 2.7.0 of pypi is recorded: refresh torch first"]
    known_torch(place)
    publish(place.mirror, "2.7.0", "cu126")
    outcome = refresh("torch", place.work(in_place=True, only=["pypi"]))
    assert outcome.found.changes
    together = refresh("ours", place.work(in_place=True)._replace(torch=outcome.text))
    assert [(row["variant"], row["torch"]) for row in rows(together.text)] == [("cu126", "2.7.0")]
    write([outcome])
    (row,) = on_pypi(place, "torch", "", members, ["torch==2.7.0"])
    assert (row["variant"], row["architectures"]) == ("cu126", ["sm_60", "sm_61"])


def test_a_variant_that_no_wheel_tells_is_that_of_the_release_before_and_says_so(place: Place) -> None:
    digest = f'tag = "{LINUX}", sha256 = "{"ab" * 32}", existence = "dropped"'
    row = release_row("1.0", "cu124", "pypi", [digest])
    (found,) = on_pypi(place, "recorded", row, {"ours/_C.so": device_library(60)})
    assert found["variant"] == "cu124"
    assert found["note"] == "nothing in the wheel tells its CUDA: taken to be that of 1.0"


def test_libraries_that_name_their_cuda_make_a_row_for_each_list_of_architectures(place: Place) -> None:
    members = {
        f"ours/libours_cuda{digits}.so": device_library(*architectures)
        for digits, architectures in {"118": (60, 70), "124": (60, 70), "128": (70, 75)}.items()
    }
    found = on_pypi(place, "libraries", "", members | {"ours/libours_cpu.so": device_library()})
    assert [(one.get("variant"), one.get("variants"), one["architectures"]) for one in found] == [
        ("cu128", None, ["sm_70", "sm_75"]),
        (None, ["cu124", "cu118"], ["sm_60", "sm_70"]),
    ]
    assert {one["wheels"][0]["sha256"] for one in found} == {found[0]["wheels"][0]["sha256"]}
    decode(str(write_catalogue(place.base, {"cuda.toml": documented_files()["cuda.toml"]})), VARIANTS)


def test_what_an_extension_serves_in_some_libraries_counts_where_it_did_before(place: Place) -> None:
    digest = f'tag = "{LINUX}", sha256 = "{"ab" * 32}", existence = "dropped"'
    row = release_row("1.0", "cu124", "pypi", [digest])  # sm_60, sm_70
    members = {"ours/_C.so": device_library(60, 61, 70), "ours/_moe.so": device_library(70)}
    (found,) = on_pypi(place, "recorded", row, members)
    assert found["architectures"] == ["sm_60", "sm_70"]


def test_what_is_compiled_on_the_machine_is_told_and_not_taken(place: Place) -> None:
    digest = f'tag = "{LINUX}", sha256 = "{"ab" * 32}", existence = "dropped"'
    row = release_row("1.0", "any", "pypi", [digest]).replace('["sm_60", "sm_70"]', '["jit_70"]')
    (what,) = on_pypi(place, "any", row, {"ours/__init__.py": b""})
    assert what == "its code is compiled on the machine, so no wheel shows it: copy the row of 1.0"


def test_github_releases_over_several_pages(place: Place) -> None:
    version, next_version = "0.3.2+cu124.torch2.6.0", "0.3.3+cu126.torch2.7.0"
    old, new = extension_wheel(version), extension_wheel(next_version)
    first = {"tag_name": "v0.3.3", "draft": False, "assets": []}
    first["assets"] = [asset(place.mirror, "v0.3.3", f"exllamav2-{next_version}-{LINUX}.whl", new)]
    second = [asset(place.mirror, "v0.3.2", f"exllamav2-{version}-{LINUX}.whl", old, digest=False)]
    release_page(place.mirror, 1, [first], has_next=True)
    release_page(place.mirror, 2, [{"tag_name": "v0.3.2", "draft": False, "assets": second}])
    wheels = [f'tag = "{LINUX}", existence = "tag-workflow"', 'tag = "cp311-cp311-linux_x86_64", existence = "matrix"']
    place.has(
        "exllamav2", EXTENSION, release_row(version, "cu124", "github", wheels, 'torch = "2.6.0"\ntag = "v0.3.2"\n')
    )
    place.token = "a-secret"
    outcome = place.refreshed("exllamav2", in_place=True)
    newest, known = rows(outcome.text)
    assert (newest["torch"], newest["variant"], newest["tag"]) == ("2.7.0", "cu126", "v0.3.3")
    assert newest["architectures"] == ["sm_60", "sm_61"]
    assert newest["wheels"][0]["sha256"] == sha256(new)
    assert "existence" not in known["wheels"][0]
    assert known["wheels"][1]["existence"] == "matrix"
    asked = [one for one in place.mirror.requests if one.host == "api.github.com"]
    assert {one.authorization for one in asked} == {"Bearer a-secret"}
    assert not any(one.authorization for one in place.mirror.requests if one.host != "api.github.com")
    assert "a-secret" not in outcome.text
    assert parse_toml(outcome.text)["checked"] == TODAY


def test_the_token_does_not_go_along_to_another_host(place: Place) -> None:
    with Mirror() as other:
        release_page(other, 1, [])
        place.has("exllamav2", EXTENSION)
        there = {"Location": f"{other.base('api.github.com')}/repos/turboderp-org/exllamav2/releases?per_page=100"}
        place.mirror.fault("302", "api.github.com/*", headers=there, times=None)
        place.token = "a-secret"
        error = place.fails("exllamav2")
        assert (error.code, other.requests) == ("other-host", ())
        assert "a-secret" not in f"{error} {error.cause} {error.hints}"


@pytest.mark.parametrize(
    ("fault", "headers", "code", "says"),
    [
        ("404", {}, "not-found", ""),
        ("403", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4000000000"}, "rate-limited", "until 2096-10-02"),
        ("500", {}, "server-error", ""),
        ("cut", {}, "cut-off", ""),
        ("login-page", {}, "login-page", ""),
        ("redirect-loop", {}, "redirect-loop", ""),
        ("reset", {}, "not-reachable", ""),
        ("hang", {}, "timeout", ""),
    ],
)
def test_a_fault_is_named_and_nothing_is_written(
    place: Place, fault: str, headers: dict[str, str], code: str, says: str
) -> None:
    release_page(place.mirror, 1, [{"tag_name": "v1", "assets": []}], has_next=True)
    release_page(place.mirror, 2, [{"tag_name": "v0", "assets": []}])
    known_torch(place)
    place.has("exllamav2", EXTENSION)
    before = place.files()
    for name, pattern in (("exllamav2", "api.github.com/*"), ("torch", "*/simple/torch/")):
        place.mirror.mend()
        place.mirror.fault(fault, pattern, headers=headers, times=None)
        error = place.fails(name, only=["pypi", "github"])
        assert error.code == code
        assert says in error.summary
    assert place.files() == before


def test_html_that_ends_in_the_middle_is_no_page(place: Place) -> None:
    wheel = torch_wheel("2.6.0+cu124", "cu124")
    html_page(place.mirror, "cu124", [(f"torch-2.6.0+cu124-{LINUX}.whl", wheel, False)])
    place.has("torch", TORCH, release_row("2.6.0+cu124", "cu124", "pytorch", [f'tag = "{LINUX}"']))
    place.mirror.fault("cut-unannounced", "*/whl/cu124/torch/", times=None)
    assert place.fails("torch", only=["pytorch"]).code == "cut-off"


def test_a_page_of_recorded_builds_must_be_there(place: Place) -> None:
    place.has("torch", TORCH, release_row("2.6.0+cu124", "cu124", "pytorch", [f'tag = "{LINUX}"']))
    assert place.fails("torch", only=["pytorch"]).code == "forbidden"


def test_a_page_of_builds_that_only_a_matrix_lists_may_be_missing(place: Place) -> None:
    wheel = torch_wheel("2.6.0+cu124", "cu124")
    html_page(place.mirror, "cu124", [(f"torch-2.6.0+cu124-{LINUX}.whl", wheel, False)])
    seen = release_row("2.6.0+cu124", "cu124", "pytorch", [f'tag = "{LINUX}"'])
    listed = release_row("2.6.0+cu126", "cu126", "pytorch", [f'tag = "{LINUX}", existence = "matrix"'])
    place.has("torch", TORCH, listed + seen)
    outcome = place.refreshed("torch", in_place=True, only=["pytorch"])
    assert [change.kind for change in outcome.found.changes] == ["changed"]
    assert [row["wheels"][0].get("existence") for row in rows(outcome.text)] == ["matrix", None]


def test_several_files_are_written_together_or_not_at_all(place: Place) -> None:
    known_torch(place)
    publish(place.mirror, "2.7.0", "cu126")
    outcome = refresh("torch", place.work(only=["pypi"]))
    blocked = outcome._replace(
        found=outcome.found._replace(path=str(place.root / "base" / "packages" / "torch.toml" / "x"))
    )
    before = place.files()
    with pytest.raises(InstallerError):
        write([outcome, blocked])
    assert place.files() == before


def test_a_file_that_cannot_be_edited_is_left_alone(place: Place) -> None:
    known_torch(place)
    path = place.base / "packages" / "torch.toml"
    text = path.read_text(encoding="utf-8").replace("[[release]]\nversion", "  [[ release ]]\nversion")
    path.write_text(text, encoding="utf-8")
    publish(place.mirror, "2.6.0", "cu124", LINUX.replace("cp312", "cp313"))
    with pytest.raises(DataError):
        place.refreshed("torch", in_place=True, only=["pypi"])
    assert path.read_text(encoding="utf-8") == text


def test_an_unread_release_is_passed_over_with_its_reason() -> None:
    newest = release("torch", "2.9.0+cu126", "", rank=2, confidence=UNREAD)
    known = release("torch", "2.6.0+cu124", PASCAL_ARCHS, rank=1)
    plan = resolve(request("torch"), host("6.1"), target(), catalogue(newest, known))
    assert plan.pins[0].build.release.version == "2.6.0+cu124"
    assert [(one.version, one.rule) for one in plan.rejected] == [("2.9.0+cu126", "unread")]
    alone = resolve(request("torch"), host("6.1"), target(), catalogue(newest)).problem
    assert alone is not None
    assert "nobody has read" in alone.why
