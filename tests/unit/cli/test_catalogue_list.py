"""`catalogue list` on the data that ships, and on a person's own beside it."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import pytest

from pascal_install.cli.main import main
from pascal_install.model.overview import Part
from pascal_install.report.overview import overview, overview_document
from support.catalogue_files import documented_files, write_catalogue


def run(*arguments: str) -> int:
    return main(["catalogue", *arguments], os.environ)


@pytest.fixture
def own(tmp_path: Path) -> str:
    """The catalogue of docs/data.md: one release of torch with two wheels."""
    return str(write_catalogue(tmp_path / "own", documented_files()))


def test_every_package_and_table_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("package")
    torch = next(line for line in lines if line.startswith("torch "))
    assert "1.13.0 to 2." in torch
    assert "binary " in torch
    assert "built-in" in torch
    assert [line.split()[0] for line in lines[-3:]] == ["advice.toml", "cuda.toml", "gpus.toml"]


def test_own_builds_stand_beside_ours(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "torch", "--catalogue", own, "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["layers"] == ["built-in", own]
    ours, mine = document["parts"]
    assert (ours["origin"], mine["origin"]) == ("built-in", own)
    assert ours["builds"] > mine["builds"] == 2
    assert mine["confidence"] == {"binary": 1}
    assert (mine["oldest"], mine["newest"]) == ("2.6.0", "2.6.0")


def test_age_is_counted_in_days() -> None:
    parts = [
        Part("torch", "built-in", "2026-11-23", "torch", 2, 5, "1.13.0", "2.6.0", (("binary", 2),)),
        Part("cuda.toml", "built-in", ""),
    ]
    text = overview(parts, [], date(2026, 11, 24), color=False)
    assert "2026-11-23 (1 day old)" in text
    assert text.splitlines()[-1].split() == ["cuda.toml", "built-in", "not", "told"]
    ages = [part["age_days"] for part in overview_document(parts, [], date(2027, 1, 2))["parts"]]
    assert ages == [40, None]


def test_the_order_of_several_layers_is_told() -> None:
    part = Part("torch", "built-in", "2026-01-02", "torch")
    today = date(2026, 1, 1)  # where it is still the day before
    told = overview([part], ["built-in", "plugin recipes-1.0", "/own"], today, color=False).splitlines()
    assert told[1].endswith("2026-01-02 (0 days old)")
    assert told[3:] == [
        "from below to above: built-in, plugin recipes-1.0, /own",
        "a row replaces the same row of what lies below it",
    ]


def test_age_is_that_of_the_last_look_where_it_is_known() -> None:
    part = Part("torch", "built-in", "2026-01-02", "torch", checked="2026-11-20")
    assert "2026-01-02 (looked up 4 days ago)" in overview([part], [], date(2026, 11, 24), color=False)
    assert overview_document([part], [], date(2026, 11, 24))["parts"][0]["age_days"] == 4


def test_a_name_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "no-such-thing") == 2
    assert "no-such-thing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["lisst"], ["--format", "json"]])
def test_a_sub_command_is_needed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "catalogue --help" in capsys.readouterr().err


def test_help_names_every_sub_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--help")
    assert caught.value.code == 0
    assert "  list " in capsys.readouterr().out
