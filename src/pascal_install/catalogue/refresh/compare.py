"""Recorded rows against what an upstream lists now. Hashes are never changed, only added; rows are never removed."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from packaging.version import Version

from pascal_install.catalogue.refresh.upstream import Index, Offered, is_cuda
from pascal_install.errors import NetworkError
from pascal_install.model.build import CONFIRMED
from pascal_install.model.refreshed import Change
from pascal_install.value import NamedTuple

Row = dict[str, Any]
"""A `[[release]]`, or one of its wheels, as it stands in the file."""


class Comparison(NamedTuple):
    """What one index says of one package."""

    changes: tuple[Change, ...]
    updated: tuple[Row, ...]
    """Recorded releases with what changed in them, whole."""
    groups: tuple[tuple[Offered, ...], ...]
    """Wheels of releases that are not recorded, one group for each release."""


def compare(index: Index, recorded: Sequence[Row], offered: Iterable[Offered], source: str) -> Comparison:
    """Compare the releases that are recorded for an index with all wheels that it lists. `source` names the listing.

    Raises NetworkError for a page that lacks more than half of what is known to be there: that is no news, but a
    broken page.
    """
    listed = {_key(index, one.variant, one.filename): one for one in offered}
    changes: list[Change] = []
    updated: dict[int, Row] = {}
    seen: set[tuple[str, str]] = set()
    proven: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for place, release in enumerate(recorded):
        after = copy.deepcopy(release)
        for wheel in after.get("wheels", ()):
            filename = filename_of(index.package, release, wheel)
            key = _key(index, release.get("variant", ""), filename)
            seen.add(key)
            was_proven = wheel.get("existence", "proven") == "proven"
            change = _compare_wheel(wheel, listed.get(key), source)
            proven[key[0]] += was_proven
            if change:
                gone[key[0]] += change[0] == "gone" and was_proven
                changes.append(_change(change[0], index, release, (filename,), change[1]))
        if after != release:
            updated[place] = after
    for variant, count in proven.items():
        if gone[variant] * 2 > count:
            raise _broken_page(index, variant, count - gone[variant], count)
    unknown = [one for key, one in listed.items() if key not in seen and not one.yanked and _is_for_us(one)]
    left = _join(index, recorded, unknown, updated, changes, source)
    return Comparison(tuple(changes), tuple(updated.values()), _groups(left, recorded))


def _broken_page(index: Index, variant: str, listed: int, known: int) -> NetworkError:
    of_variant = f" for {variant}" if variant else ""
    page = index.page.replace("{variant}", variant).replace("{name}", index.package)
    return NetworkError(
        f"{index.id} lists only {listed} of the {known} known wheels of {index.package}{of_variant}",
        code="unexpected-answer",
        cause="so many do not vanish at once: the page is broken, or it is another one",
        hints=(
            f"open {page or 'the page'} in a browser; a mirror may not hold old files",
            'where they were really taken away, say existence = "dropped" in their rows',
        ),
    )


def filename_of(package: str, release: Row, wheel: Row) -> str:
    """Give the name of a recorded wheel's file."""
    given = wheel.get("filename")
    return str(given) if given else f"{package.replace('-', '_')}-{release['version']}-{wheel['tag']}.whl"


def wheel_row(one: Offered, package: str, file: str, source: str) -> Row:
    """Make the row of a listed wheel; its address is left out where the index's template gives it."""
    row: Row = {"tag": one.tag}
    if one.filename != f"{package.replace('-', '_')}-{one.version}-{one.tag}.whl":
        row["filename"] = one.filename
    if file and not _fits(file, one, package):
        row["url"] = one.url
    if one.sha256:
        row["sha256"] = one.sha256
    if one.size_bytes is not None:
        row["size"] = one.size_bytes
    row["source"] = source
    return row


def _fits(template: str, one: Offered, package: str) -> bool:
    """Tell whether a template gives the file's address. Another host with the same path is another copy of it."""
    values = (
        ("{name}", package), ("{version}", one.version), ("{variant}", one.variant), ("{tag}", one.release_tag),
        ("{filename}", one.filename), ("{quoted}", one.filename.replace("+", "%2B")),
    )  # fmt: skip
    for place, value in values:
        template = template.replace(place, value)
    return _path(template) == _path(one.url)


def _path(url: str) -> str:
    return url.partition("://")[2].partition("/")[2].replace("%2B", "+")


def _key(index: Index, variant: str, filename: str) -> tuple[str, str]:
    return (variant if index.variants else "", filename)


def _compare_wheel(wheel: Row, one: Offered | None, source: str) -> tuple[str, str] | None:
    """Bring a recorded wheel up to date, and tell the kind of the change and its words."""
    existence = wheel.get("existence", "proven")
    if one is None:
        if existence not in CONFIRMED:
            return None
        wheel["existence"] = "dropped" if existence == "proven" else "matrix"
        _cite(wheel, source)
        return "gone", "no longer listed" if existence == "proven" else "the workflow builds it, but it is not listed"
    for what, was, now in (
        ("sha256", wheel.get("sha256"), one.sha256),
        ("size", wheel.get("size"), one.size_bytes),
    ):
        if was and now and was != now:
            return "alarm", f"recorded {what} {was}, listed {now}"
    said = []
    if one.yanked:
        if existence not in CONFIRMED:
            return None
        wheel["existence"] = "dropped"
        _cite(wheel, source)
        return "gone", "yanked by its publisher"
    if existence != "proven":
        del wheel["existence"]
        said.append(f"is listed (was {existence})")
    if one.sha256 and not wheel.get("sha256"):
        wheel["sha256"] = one.sha256
        said.append("its hash is known")
    if not said:
        return None
    _cite(wheel, source)
    return "changed", ", ".join(said)


def _cite(wheel: Row, source: str) -> None:
    wheel["source"] = "; ".join(filter(None, (wheel.get("source"), source)))


def _is_for_us(one: Offered) -> bool:
    """Wheels of CPython for a system that the catalogue knows, of releases, with CUDA as far as the name tells."""
    is_python = any(tag.interpreter.startswith(("cp", "py")) for tag in one.tags)
    is_final = not Version(one.version).is_prerelease
    return (
        bool(one.platform and one.platform[0]) and is_python and is_final and (not one.variant or is_cuda(one.variant))
    )


def _join(
    index: Index,
    recorded: Sequence[Row],
    unknown: Iterable[Offered],
    updated: dict[int, Row],
    changes: list[Change],
    source: str,
) -> list[Offered]:
    """Add new wheels to the releases that they belong to; give those that belong to none."""
    left = []
    joined: dict[int, list[Offered]] = {}
    for one in unknown:
        place = next((place for place, release in enumerate(recorded) if _belongs(one, release)), None)
        if place is None:
            left.append(one)
        else:
            joined.setdefault(place, []).append(one)
    for place, wheels in joined.items():
        after = updated.setdefault(place, copy.deepcopy(recorded[place]))
        for one in sorted(wheels, key=lambda one: one.filename):
            after["wheels"].append(wheel_row(one, index.package, index.file, source))
        names = tuple(sorted(one.filename for one in wheels))
        changes.append(_change("new", index, recorded[place], names, f"{_count(len(names))} of a recorded release"))
    return left


def _belongs(one: Offered, release: Row) -> bool:
    variants = release.get("variants") or [release.get("variant", "")]
    same_release = one.version == release["version"] and one.platform == (release["os"], release["machine"])
    return same_release and (not one.variant or one.variant in variants)


def _groups(left: Iterable[Offered], recorded: Sequence[Row]) -> tuple[tuple[Offered, ...], ...]:
    """Gather wheels by release; older ones than the newest recorded were left out when that was recorded."""
    newest = max((Version(release["version"].partition("+")[0]) for release in recorded), default=Version("0"))
    groups: dict[tuple[object, ...], list[Offered]] = {}
    for one in left:
        if Version(one.version.partition("+")[0]) >= newest:
            groups.setdefault((one.version, one.variant, one.platform, one.release_tag), []).append(one)
    return tuple(tuple(sorted(group, key=lambda one: one.filename)) for group in groups.values())


def _count(number: int) -> str:
    return "1 wheel" if number == 1 else f"{number} wheels"


def _change(kind: str, index: Index, release: Row, filenames: tuple[str, ...], what: str) -> Change:
    variant = " ".join(release.get("variants") or [release.get("variant", "")])
    platform = f"{release['os']} {release['machine']}"
    return Change(kind, index.id, release["version"], variant, platform, filenames, what)
