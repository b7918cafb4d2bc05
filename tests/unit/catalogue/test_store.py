"""Where the files are found, and the compiled form that a checkout keeps in the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pascal_install.catalogue import locate
from pascal_install.catalogue.store import compiled
from pascal_install.errors import DataError
from support.catalogue_files import REAL, documented_files, write_catalogue


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_given_folder_goes_before_the_packaged_copy_before_the_checkout(tmp_path: Path) -> None:
    package = tmp_path / "src" / "pascal_install"
    given = write_catalogue(tmp_path / "given", documented_files())
    with pytest.raises(DataError, match="files are missing"):
        locate.data_dir(package=str(package))
    checkout = write_catalogue(tmp_path / "resolver_data", documented_files())
    assert locate.data_dir(package=str(package)) == str(checkout)
    packaged = write_catalogue(package / "resolver_data", documented_files())
    assert locate.data_dir(package=str(package)) == str(packaged)
    assert locate.data_dir(str(given), str(package)) == str(given)


def test_our_own_data_is_found() -> None:
    packaged = Path(locate.__file__).parents[1] / "resolver_data"
    installed = packaged.is_dir()
    assert Path(locate.data_dir()) == (packaged if installed else REAL)
    assert bool(locate.compiled_dir()) == installed


def test_the_compiled_form_is_made_once(tmp_path: Path) -> None:
    folder, cache = write_catalogue(tmp_path / "data", documented_files()), tmp_path / "cache"
    first = compiled(str(folder), str(cache)).read("meta.json")
    (name,) = kept(cache)
    marker = cache / name / "meta.json"
    marker.write_text('{"kept": true}', encoding="utf-8")
    assert compiled(str(folder), str(cache)).read("meta.json") == {"kept": True}
    assert list(first["packages"]) == ["torch"]


def test_a_changed_file_is_compiled_again(tmp_path: Path) -> None:
    folder, cache = write_catalogue(tmp_path / "data", documented_files()), tmp_path / "cache"
    compiled(str(folder), str(cache))
    advice = folder / "advice.toml"
    advice.write_text(advice.read_text(encoding="utf-8").replace("one or two", "three"), encoding="utf-8")
    assert compiled(str(folder), str(cache)).read("tables.json")["advice"][0][1] == "three lines"
    assert len(kept(cache)) == 2


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    folder = write_catalogue(tmp_path / "data", documented_files())
    (tmp_path / "file").write_text("", encoding="utf-8")
    store = compiled(str(folder), str(tmp_path / "file" / "cache"))
    assert store.read("torch.linux_x86_64.json")["releases"]
    with pytest.raises(DataError):
        store.read("no-such.json")
    assert compiled(str(folder), str(tmp_path / "file" / "cache")) is store  # and not for each time that it is opened
    advice = folder / "advice.toml"
    advice.write_text(advice.read_text(encoding="utf-8").replace("one or two", "three"), encoding="utf-8")
    again = compiled(str(folder), str(tmp_path / "file" / "cache"))
    assert again.read("tables.json")["advice"][0][1] == "three lines"


def test_nothing_half_written_is_left_where_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = write_catalogue(tmp_path / "data", documented_files()), tmp_path / "cache"

    def refuse(source: str, target: str) -> None:
        raise OSError(28, f"No space left: {source} to {target}")

    monkeypatch.setattr(os, "rename", refuse)
    assert compiled(str(folder), str(cache)).read("meta.json")["packages"]
    assert kept(cache) == []


def test_forms_that_nobody_used_for_long_are_removed(tmp_path: Path) -> None:
    folder, cache = write_catalogue(tmp_path / "data", documented_files()), tmp_path / "cache"
    for name in ("catalogue-old", "other-old"):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (0, 0))
    compiled(str(folder), str(cache))
    assert "catalogue-old" not in kept(cache)
    assert "other-old" in kept(cache)


def test_a_damaged_compiled_file_is_told(tmp_path: Path) -> None:
    folder, cache = write_catalogue(tmp_path / "data", documented_files()), tmp_path / "cache"
    store = compiled(str(folder), str(cache))
    (name,) = kept(cache)
    (cache / name / "tables.json").write_text('{"variants": [', encoding="utf-8")
    with pytest.raises(DataError, match=r"damaged: .*tables\.json"):
        store.read("tables.json")
