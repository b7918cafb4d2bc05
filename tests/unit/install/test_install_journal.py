"""The way back, broken off at every single move and started again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pascal_install.errors import DataError
from pascal_install.installation.journal import Journal, begin, journals, last_committed, open_journals, tidy
from pascal_install.installation.manifest import Manifest, make_manifest
from pascal_install.model.interpreter import Target

OLD = {
    "site/torch/__init__.py": "old",
    "site/torch/gone.py": "old",
    "site/torch/__pycache__/gone.cpython-312.pyc": "compiled",
    "site/torch-2.15.0.dist-info/RECORD": "r",
    "site/nvidia/shared.so": "thirteen",
    "bin/torchrun": "old",
    "site/kept/__init__.py": "kept",
}
ASIDE = [path for path in OLD if "kept" not in path and "__pycache__" not in path]
NEW = {
    "site/torch/__init__.py": "new",
    "site/torch/come.py": "new",
    "site/torch/deep/er/x.so": "new",
    "site/torch-2.6.0.dist-info/RECORD": "r",
    "site/nvidia/shared.so": "twelve",
    "bin/torchrun": "new",
}
#: What a killed pip leaves beside the files that its wheels name.
JUNK = {"site/torch-2.6.0.dist-info/RECORDxyz.tmp": "half", "site/torch/deep/.tmp1": "half"}


class PulledPlugError(BaseException):
    """Stands for the end of the process: nothing may catch it."""


@contextmanager
def pulling_plug(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[int]]:
    """Let so many moves and deletions happen, and end at the next."""
    done = [0]

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object, **options: object) -> None:
            if done[0] == after:
                raise PulledPlugError
            done[0] += 1
            real(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(os, name, counted(getattr(os, name)))
        yield done


def lay(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def listing(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else "folder"
        for path in sorted(root.rglob("*"))
        if ".pascal-install" not in path.parts
    }


def environment(root: Path) -> Target:
    lay(root, OLD)
    (root / "site/empty").mkdir()
    (root / "site/~orch").mkdir()
    (root / "site/~orch/half.py").write_text("leftover")
    return Target("x", "cpython", (3, 12, 1), "cp312", "linux", "x86_64", (), prefix=str(root))


def manifest(root: Path) -> Manifest:
    return make_manifest(
        "2026-01-01T00:00:00Z",
        [("replace", "torch", "2.15.0", "2.6.0", "https://host/torch.whl")],
        aside=[str(root / path) for path in ASIDE],
        debris=[str(root / "site/~orch")],
        brought=[str(root / path) for path in NEW],
        roots=[str(root / "site"), str(root / "bin"), str(root)],
    )


def change(root: Path, target: Target) -> Journal:
    journal = begin(target, manifest(root), lambda _: None)
    journal.set_aside()
    journal.reach("install")
    lay(root, NEW)
    lay(root, JUNK)
    return journal


def test_undo_gives_back_every_file_and_folder(tmp_path: Path) -> None:
    target = environment(tmp_path)
    before = listing(tmp_path)
    change(tmp_path, target).undo()
    assert listing(tmp_path) == before
    assert journals(target) == ()


def test_a_kill_anywhere_and_another_kill_in_the_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = 0
    for first in range(1000):
        root = tmp_path / str(first)
        target = environment(root)
        before = listing(root)
        with pulling_plug(monkeypatch, first) as done:
            try:
                change(root, target)
                complete = True
            except PulledPlugError:
                complete = False
        for second in range(done[0] + 100):
            copy = tmp_path / "copy"
            shutil.copytree(root, copy, symlinks=True)
            root.rename(tmp_path / "parked")
            copy.rename(root)
            with pulling_plug(monkeypatch, second):
                try:
                    for journal in open_journals(target):
                        journal.undo()
                    ended = True
                except PulledPlugError:
                    ended = False
            for journal in open_journals(target):
                journal.undo()
            assert listing(root) == before, (first, second)
            shutil.rmtree(root)
            (tmp_path / "parked").rename(root)
            points += 1
            if ended:
                break
        shutil.rmtree(root)
        if complete:
            break
    assert points > 100


def test_a_kill_in_the_commit_leaves_one_of_the_two_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for after in range(100):
        root = tmp_path / str(after)
        target = environment(root)
        old = listing(root)
        journal = change(root, target)
        new = listing(root)
        with pulling_plug(monkeypatch, after):
            try:
                journal.commit()
                ended = True
            except PulledPlugError:
                ended = False
        for opened in open_journals(target):
            opened.undo()
        tidy(target)
        assert listing(root) in (old, new)
        if last_committed(target):
            assert listing(root) == new
            assert not (root / ".pascal-install/journal-1/debris").exists()
        if ended:
            return
    pytest.fail("the commit never ended")


def test_rollback_after_a_commit_leaves_files_of_others_alone(tmp_path: Path) -> None:
    target = environment(tmp_path)
    before = listing(tmp_path)
    journal = change(tmp_path, target)
    journal.commit()
    lay(tmp_path, {"site/torch/deep/plugin.py": "of somebody else"})
    journal.undo()
    after = listing(tmp_path)
    assert after.pop("site/torch/deep/plugin.py") == "of somebody else"
    for path in ("site/torch/deep", "site/torch/deep/.tmp1"):
        after.pop(path)
    # What was broken is not brought back.
    assert after == {path: text for path, text in before.items() if "~orch" not in path}


def test_only_the_last_way_back_is_kept(tmp_path: Path) -> None:
    target = environment(tmp_path)
    for _ in range(2):
        change(tmp_path, target).commit()
    tidy(target)
    assert [journal.number for journal in journals(target)] == [2]


def test_a_journal_of_another_version_is_not_followed(tmp_path: Path) -> None:
    target = environment(tmp_path)
    journal = change(tmp_path, target)
    Path(journal.folder, "manifest.json").write_text('{"schema": 2}')
    with pytest.raises(DataError, match="not a journal of this version"):
        journal.undo()
