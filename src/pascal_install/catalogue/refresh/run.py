"""Packages held against their upstreams, and the result written: each file as a whole."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from pascal_install.catalogue.checking.binaries import Watch
from pascal_install.catalogue.decode import parse_toml
from pascal_install.catalogue.decode_package import REQUIRES_IT, decode_package
from pascal_install.catalogue.fields import Fields
from pascal_install.catalogue.refresh import github, pypi, simple
from pascal_install.catalogue.refresh.compare import Comparison, Row, compare
from pascal_install.catalogue.refresh.edit import edited, identity, new_file
from pascal_install.catalogue.refresh.read_release import NotTaken, Reader, read_release
from pascal_install.catalogue.refresh.required import couple, with_torches
from pascal_install.catalogue.refresh.upstream import Index, Offered, World, refreshable
from pascal_install.catalogue.writing import write_files
from pascal_install.errors import DataError, NetworkError, UsageError
from pascal_install.inspection.kept import KeptReadings
from pascal_install.model.build import UNREAD
from pascal_install.model.coupling import UNKNOWN
from pascal_install.model.cuda import ANY
from pascal_install.model.refreshed import Asked, Change, Failed, Refreshed
from pascal_install.value import NamedTuple

_OFFER: Mapping[str, Callable[[Index, World], Iterator[Offered]]] = {
    "pypi": pypi.offered,
    "simple": simple.offered,
    "github": github.offered,
}
_READERS = 3
_OF_THE_HOST = ("timeout", "not-reachable", "proxy", "tls", "rate-limited")


class Work(NamedTuple):
    """What a refresh needs beside the packages' names."""

    base: str
    """The folder of the catalogue that is refreshed."""
    target: str
    """The folder that results go to; the same, or one that lies over it."""
    world: World
    kept: KeptReadings
    today: str
    watch: Watch
    """Is told what is read."""
    only: Collection[str] = ()
    """Ids of the indexes to ask; empty for all."""
    silent: Mapping[str, NetworkError] = {}
    """Hosts that gave no answer in this run, and what was said of them; they are not waited for again."""
    torch: str = ""
    """The text of torch's file, where this run has found something new and not written it yet."""


class Outcome(NamedTuple):
    """What was found for one package, and the file to write."""

    found: Refreshed
    text: str


def refresh(name: str, work: Work) -> Outcome:
    """Ask the upstreams of one package; nothing is written yet.

    An index that cannot be read is told in the result, and nothing of it changes. Raises DataError.
    """
    path = os.path.join(work.target, "packages", f"{name}.toml")
    below = _read(os.path.join(work.base, "packages", f"{name}.toml"))
    text = _read(path) if work.target != work.base else below
    raw_below, raw = parse_toml(below), parse_toml(text)
    package = {**raw, **raw_below} if raw_below else raw
    package["release"] = _laid_over(raw_below.get("release", []), raw.get("release", []))
    indexes = refreshable(package, work.world.variants)
    if any(index.variant in ("torch", "libraries") or index.torch == REQUIRES_IT for index in indexes):
        work = work._replace(world=work.world._replace(torches=_torches(work)))
    # A row that a person has to complete is written where people write: not over somebody else's file.
    is_own = not raw_below or work.target == work.base
    asked, failed, changes, rows, sources = [], [], [], [], {}
    for index in indexes:
        if work.only and index.id not in work.only:
            continue
        try:
            found = _ask(index, package, work, is_own=is_own)
        except NetworkError as error:
            failed.append(Failed(index.id, index.upstream, error, _host(index, work.world)))
            continue
        asked.append(found.asked)
        changes += found.changes
        rows += found.rows
        if found.rows:
            key, said = _source(index, work.today)
            sources[key] = said
    refreshed = Refreshed(name, tuple(asked), tuple(changes), failed=tuple(failed))
    if not asked or any(change.kind == "alarm" for change in changes):
        return Outcome(refreshed, "")
    fields = {"data_date": work.today} if rows else {}
    if len(asked) == len(indexes):
        fields["checked"] = work.today
    used = {part for row in rows for part in _parts(row)}
    sources |= {key: said for key, said in raw_below.get("sources", {}).items() if key in used}
    known = parse_toml(text).get("sources", {}) if text else {}
    result = edited(
        text or new_file(raw_below), rows, {key: said for key, said in sources.items() if key not in known}, fields
    )
    _check(result, name, work)
    return Outcome(refreshed._replace(path=path if result != text else ""), result)


class _OfIndex(NamedTuple):
    """What one index says."""

    asked: Asked
    changes: list[Change]
    rows: list[Row]


def _ask(index: Index, package: Mapping[str, Any], work: Work, *, is_own: bool) -> _OfIndex:
    """Ask one index. Raises NetworkError."""
    key, _ = _source(index, work.today)
    recorded = [release for release in package["release"] if release["index"] == index.id]
    if silent := work.silent.get(_host(index, work.world)):
        raise silent
    offered = tuple(_OFFER[index.upstream](index, work.world))
    compared = compare(index, recorded, offered, key)
    changes = [*compared.changes]
    if index.torch == REQUIRES_IT:
        updated, new = _coupled(index, compared, recorded, key, work, changes)
    else:
        new = _read_new(index, compared, key, str(package["role"]), work, is_own=is_own)
        updated = _read_again(index, compared, recorded, offered, package, work, changes)
    changes += [change for change, _ in new]
    return _OfIndex(Asked(index.id, index.upstream, len(offered)), changes, [*updated, *(row for _, row in new if row)])


def _host(index: Index, world: World) -> str:
    places = {"pypi": world.pypi_url, "github": world.github_url}
    return urlsplit(places.get(index.upstream, index.page)).netloc


def silent_hosts(found: Refreshed) -> dict[str, NetworkError]:
    """Give the hosts that did not answer: waiting for each of their packages again would take minutes."""
    return {one.host: one.error for one in found.failed if one.error.code in _OF_THE_HOST}


def write(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Write what was found, all files or none; give their paths. Raises InstallerError: nothing changed."""
    return write_files({outcome.found.path: outcome.text for outcome in outcomes if outcome.found.path})


def package_names(base: str, target: str) -> tuple[str, ...]:
    """Name the packages of both folders."""
    found = set()
    for folder in (base, target):
        with contextlib.suppress(OSError):
            files = os.listdir(os.path.join(folder, "packages"))
            found |= {name.removesuffix(".toml") for name in files if name.endswith(".toml")}
    return tuple(sorted(found))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}", code="bad-catalogue", cause=str(error)) from error


def _laid_over(below: Sequence[Row], above: Sequence[Row]) -> list[Row]:
    return list({**{identity(row): row for row in below}, **{identity(row): row for row in above}}.values())


def _source(index: Index, today: str) -> tuple[str, str]:
    """Give the key and the words of the source that this refresh is."""
    place = {"pypi": "PyPI's page", "github": f"github.com/{index.repository} releases"}.get(index.upstream, index.page)
    return f"{index.id}-{today}", f"{place.replace('{name}', index.package)}, read on {today}"


def _read_new(
    index: Index, compared: Comparison, key: str, role: str, work: Work, *, is_own: bool
) -> list[tuple[Change, Row | None]]:
    """Read the releases that are not recorded, a few at a time."""
    reader = Reader(work.world, work.kept, role, work.today, work.watch, threading.Event(), is_own)

    def one(group: Sequence[Offered]) -> list[tuple[Change, Row | None]]:
        return _told(index, group, read_release(index, group, key, reader))

    if not compared.groups:
        return []
    sizes = [group[0].size_bytes or 0 for group in compared.groups]
    work.watch.announce(len(sizes), sum(sizes), is_exact=False)
    with ThreadPoolExecutor(_READERS) as pool:
        try:
            return [found for of_group in pool.map(one, compared.groups) for found in of_group]
        finally:
            reader.stopped.set()  # an interrupt must not wait for gigabytes
            work.watch.close()


def _told(index: Index, group: Sequence[Offered], read: Sequence[Row] | NotTaken) -> list[tuple[Change, Row | None]]:
    """Tell of one release that is not recorded: what was found of it, or why it is not taken over."""
    names = tuple(offered.filename for offered in group)
    platform = " ".join(group[0].platform or ())
    if isinstance(read, NotTaken):
        change = Change("skipped", index.id, group[0].version, group[0].variant, platform, names, read.why)
        return [(change, None)] if read.is_news else []
    return [
        (Change("new", index.id, row["version"], _variants(row), platform, names, _words(row)), row) for row in read
    ]


def _coupled(
    index: Index, compared: Comparison, recorded: Sequence[Row], key: str, work: Work, changes: list[Change]
) -> tuple[list[Row], list[tuple[Change, Row | None]]]:
    """Find the torches that require new releases, and new torches that require recorded ones."""
    found = couple(index, recorded, compared.groups, key, work.world)
    updated = {identity(row): row for row in compared.updated}
    for release, torches in found.updated:
        updated[identity(release)] = with_torches(updated.get(identity(release), release), torches, key)
        platform = f"{release['os']} {release['machine']}"
        what = f"also required by torch {', '.join(torches)}"
        changes.append(Change("changed", index.id, release["version"], release["variant"], platform, (), what))
    new = [
        told for group, row in found.new for told in _told(index, group, row if isinstance(row, NotTaken) else (row,))
    ]
    return list(updated.values()), new


def _variants(row: Row) -> str:
    return " ".join(row.get("variants") or [row["variant"]])


def _torches(work: Work) -> dict[tuple[str, str, str, str], str]:
    """Give the CUDA variant of each recorded torch, by index, version and platform."""
    texts = [_read(os.path.join(folder, "packages", "torch.toml")) for folder in (work.base, work.target)]
    rows = [row for text in (*texts, work.torch) for row in parse_toml(text).get("release", [])]
    return {
        (row["index"], row["version"], row["os"], row["machine"]): row["variant"] for row in rows if "variant" in row
    }


def _words(row: Row) -> str:
    if row["confidence"] == UNREAD:
        return str(row["note"])
    words = f"{' '.join(row['architectures'])}, read from the wheel"
    if row.get("torch") == UNKNOWN:
        return f"{words}; no plan picks it before a person completes it: {row['note']}"
    return words if row["confidence"] == "binary" else f"{' '.join(row['architectures'])}, with torch {row['torch']}"


def _read_again(
    index: Index,
    compared: Comparison,
    recorded: Sequence[Row],
    offered: Sequence[Offered],
    package: Mapping[str, Any],
    work: Work,
    changes: list[Change],
) -> list[Row]:
    """Try the releases again whose device code could not be read when they were found."""
    updated = {identity(row): row for row in compared.updated}
    by_name = {one.filename: one for one in offered}
    reader = Reader(work.world, work.kept, str(package["role"]), work.today, work.watch, threading.Event(), True)
    for release in recorded:
        if release["confidence"] != UNREAD:
            continue
        wheels = [by_name[name] for name in by_name if by_name[name].version == release["version"]]
        wheels = [one for one in wheels if one.platform == (release["os"], release["machine"])]
        read = read_release(index, wheels, _source(index, work.today)[0], reader) if wheels else ()
        if isinstance(read, NotTaken) or len(read) != 1 or read[0]["confidence"] == UNREAD:
            continue
        row = read[0]
        after = {**updated.get(identity(release), release)}
        after |= {field: row[field] for field in ("architectures", "confidence", "source")}
        after.pop("note", None)
        updated[identity(release)] = after
        names = tuple(one.filename for one in wheels)
        platform = f"{release['os']} {release['machine']}"
        changes.append(
            Change("changed", index.id, release["version"], release["variant"], platform, names, _words(row))
        )
    return list(updated.values())


def _parts(row: Row) -> set[str]:
    texts = [row.get("source", ""), *(wheel.get("source", "") for wheel in row["wheels"])]
    return {part for text in texts for part in text.split("; ")}


def _check(text: str, name: str, work: Work) -> None:
    """Decode what is about to be written: it must never be something that cannot be read back."""
    problems: list[str] = []
    fields = Fields(parse_toml(text), f"packages/{name}.toml:", problems)
    decode_package(fields, name, {*work.world.variants, "cpu", ANY})
    if problems:
        raise DataError(f"what was found for {name} makes no sense", code="bad-catalogue", cause="\n".join(problems))


def check_names(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise UsageError for packages that the catalogue does not have."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"not in the catalogue: {', '.join(unknown)}",
            code="unknown-package",
            hints=("pascal-install catalogue list names what it holds",),
        )
