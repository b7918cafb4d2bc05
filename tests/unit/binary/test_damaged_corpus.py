"""Files that break their format: each ends in the answer that the table tells, with little memory and few steps."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from assets.damaged import make
from pascal_install.binary.library import read_library
from pascal_install.binary.source import DamagedError, UnsupportedError
from pascal_install.cli.main import main
from pascal_install.inspection.pairs import check_pair
from pascal_install.inspection.wheel import library_members, read_wheel
from support.damaged_cases import DAMAGED, READ, SKIPPED, Case
from support.device_code import DAMAGED as FOLDER
from support.device_code import counts
from support.fuzzing import READERS, StrictSource, seeds, symbols_told

_MEMORY = 6 << 20


def kept() -> list[Case]:
    """Read the table, and the files that it names."""
    lines = (line.split("\t") for line in (FOLDER / make.TABLE).read_text().splitlines()[1:])
    return [
        Case(name, (FOLDER / name).read_bytes(), outcome, int(offset), says) for name, _, outcome, offset, says in lines
    ]


CASES = kept()


def outcome(case: Case) -> tuple[str, int, str]:
    """Read a file with the reader that it is for."""
    source = StrictSource(case.content)
    try:
        if case.name.startswith("symbols-"):
            return READ, -1, symbols_told(case.content)
        if case.name.startswith("wheel-"):
            report = read_wheel(case.name, source, library_members(source))
            for error in report.damaged:
                return DAMAGED, error.offset, error.cause
            for skipped in report.skipped:
                return SKIPPED, -1, skipped.why
            found = report.binaries[0].library
        else:
            found = read_library(source)
    except UnsupportedError as error:
        return SKIPPED, -1, error.summary
    except DamagedError as error:
        return DAMAGED, error.offset, error.cause
    return READ, -1, " ".join(f"{target}:{number}" for target, number in counts(found).items())


def test_the_files_are_those_that_the_cases_make() -> None:
    made = make.cases()
    assert (FOLDER / make.TABLE).read_text() == make.table(made)
    files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    for name in ("make.py", "README.md", make.TABLE):
        del files[name]
    assert files == {case.name: case.content for case in made}
    assert sum(map(len, files.values())) < 400_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_damaged_file_ends_as_the_table_tells(case: Case) -> None:
    tracemalloc.start()
    try:
        kind, offset, says = outcome(case)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (kind, offset) == (case.outcome, case.offset), says
    assert case.says == says if kind == READ else case.says in says
    assert peak < _MEMORY


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_reader_is_harmed_by_it(case: Case) -> None:
    for read in READERS.values():
        read(case.content)


def test_the_command_tells_them_apart_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(FOLDER)
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    # Dynamic sections are not read without --against.
    for case in (case for case in CASES if not case.name.startswith("symbols-")):
        code = main(["inspect", f"./{case.name}", "--gpu", "6.1", "--format", "json"], environ)
        out, err = capsys.readouterr()
        assert code == (6 if case.outcome == DAMAGED else 0), case.name
        assert (f"is damaged at offset {case.offset}\n" in err) == (case.outcome == DAMAGED), (case.name, err)
        assert json.loads(out)["schema"] == 1


def test_a_damaged_dynamic_section_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / "libc10.so").write_bytes((FOLDER / "symbols-sound.so").read_bytes())
    for case in (case for case in CASES if case.name.startswith("symbols-")):
        pair = check_pair(str(FOLDER / case.name), str(tmp_path))
        found = [finding.id for finding in pair.findings]
        # What a library defines is not asked where it is the one that wants.
        told = case.outcome == DAMAGED and "definition" not in case.name
        assert ("damaged-library" in found) == told, (case.name, pair)


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_seeds_of_the_fuzzers_are_sound(name: str) -> None:
    for content in seeds(name):
        READERS[name](content)
