"""Why there is no plan, what would have to change, and what people with that GPU do instead."""

from __future__ import annotations

from collections.abc import Iterator

from pascal_install.model.cuda import TEGRA, ComputeCapability, DriverVersion
from pascal_install.model.gpu import Driver, GpuDevice
from pascal_install.model.plan import Problem, Rejection
from pascal_install.model.request import Request
from pascal_install.resolve.context import Context, make_context
from pascal_install.resolve.notes import advice
from pascal_install.resolve.search import Search, search
from pascal_install.resolve.weigh import Candidate

#: CPython versions that wheels of this field are published for, newest first.
PYTHONS = tuple(f"3.{minor}" for minor in range(15, 7, -1))

#: When candidates fail for equally many reasons, the reason that the person can do least about is named first.
_GRAVITY = (
    "kernel-coverage",
    "driver",
    "wheel-tag",
    "requirement",
    "not-published",
    "unconfirmed",
    "disputed",
    "unread",
    "coupling",
)


_WHERE_NAMES_ARE = "`pascal-install catalogue list` names what it knows; for anything else, pip is enough"


def problem_of(found: Search, asked: Request) -> Problem:
    """Say why nothing serves: the rule that stands between the request and the nearest misses, and the ways out.

    `asked` is the request as it was written: advice may be about a name that stands for others.
    """
    context = found.context
    if not found.asked:
        names = ", ".join(wanted.name for wanted in context.request.wanted)
        return Problem("unknown-package", f"the catalogue knows none of: {names}", (_WHERE_NAMES_ARE,))
    name = next((name for name in found.asked if not _any_usable(found, name)), found.asked[0])
    misses = nearest_misses(found, name)
    rule, why = _reason(name, misses, found)
    suggest = (
        *_ways_out(context),
        *advice({*found.asked, *(wanted.name for wanted in asked.wanted)}, "no-plan", context),
    )
    return Problem(rule, why, suggest)


def nearest_misses(found: Search, name: str) -> tuple[Candidate, ...]:
    """Give the candidates of a package that the fewest rules pass over, newest first."""

    def distance(candidate: Candidate) -> tuple[bool, int]:
        # Where the person asked for a version, another version is no near miss at all.
        rules = {_root(rejection).rule for rejection in candidate.rejections}
        return ("requirement" in rules, len(rules))

    of_name = [candidate for candidate in found.candidates[name] if _worth_telling(candidate)]
    of_name = of_name or list(found.candidates[name])
    least = min((distance(candidate) for candidate in of_name), default=None)
    return tuple(candidate for candidate in of_name if distance(candidate) == least)


def _worth_telling(candidate: Candidate) -> bool:
    """Leave out files that were never picked by anybody and builds from the other publisher."""
    return not any(rejection.rule in ("publisher", "unconfirmed") for rejection in candidate.rejections)


def _any_usable(found: Search, name: str) -> bool:
    return any(not candidate.rejections for candidate in found.candidates[name])


def _reason(name: str, misses: tuple[Candidate, ...], found: Search) -> tuple[str, str]:
    if not found.candidates[name]:
        target = found.context.target
        return "wheel-tag", f"no build of {name} is known for {target.os} on {target.machine}"
    rejections = [_root(rejection) for candidate in misses for rejection in candidate.rejections]
    if not rejections:
        return (
            "coupling",
            f"each of {', '.join(found.asked)} has builds that run here, but no torch build serves them all",
        )
    rule = min((rejection.rule for rejection in rejections), key=_gravity)
    of_rule = [rejection for rejection in rejections if rejection.rule == rule]
    # What is wrong with the package itself tells more than what is wrong with a torch behind it.
    of_rule = [rejection for rejection in of_rule if rejection.name == name] or of_rule
    return rule, _word(rule, name, of_rule, found.context)


def _gravity(rule: str) -> int:
    return _GRAVITY.index(rule) if rule in _GRAVITY else len(_GRAVITY)


def _root(rejection: Rejection) -> Rejection:
    """Follow a coupling to what is wrong with the torch build behind it."""
    return rejection.because or rejection


def _word(rule: str, name: str, rejections: list[Rejection], context: Context) -> str:
    first = rejections[0]
    subject = ", ".join(sorted({rejection.name for rejection in rejections}))
    if rule == "kernel-coverage":
        return _word_coverage(subject, rejections, context)
    if rule == "driver-branch":
        return f"{first.found} no longer drives this machine's GPU: it takes {first.needed}"
    if rule == "publisher":
        target = context.target
        publisher = "PyPI" if context.request.torch_source == "pypi" else "PyTorch's index"
        return f"{publisher} publishes no {subject} build with CUDA for {target.os} {target.machine}"
    if rule == "driver":
        driver = context.host.driver
        shown = driver.version if driver and driver.version else "of this machine"
        lowest = min(rejections, key=lambda rejection: _driver_in(rejection.needed).parts)
        return f"driver {shown} is too old for every {name} build: the least that any asks for is {lowest.needed}"
    if rule == "wheel-tag":
        return f"no {name} wheel for {context.target.best_tag}: {first.name} {first.version} exists as {first.found}"
    if rule == "requirement":
        versions = {release.public_version for release in context.catalogue.packages[first.name].releases}
        return f"no {first.needed} in the catalogue, which holds {len(versions)} other versions"
    return f"{first.name} {first.version} {first.why}"


def _driver_in(needed: str) -> DriverVersion:
    """Read the version back from the words of the rule `driver`."""
    return DriverVersion.parse(needed.split()[1])


def _word_coverage(subject: str, rejections: list[Rejection], context: Context) -> str:
    """Group the candidates by what they leave out: `cu126 leaves out sm_120 (RTX 5090)`."""
    groups: dict[str, list[Rejection]] = {}
    for rejection in rejections:
        groups.setdefault(rejection.needed.removeprefix("code for "), []).append(rejection)
    if len(groups) == 1:
        (left_out, of_group) = next(iter(groups.items()))
        lists = list(dict.fromkeys(_for_desktops(rejection.found) for rejection in of_group))
        own = any(gpu.capability in TEGRA and gpu.capability.sm in left_out for gpu in context.gpus if gpu.capability)
        only = ", and a Jetson or DRIVE device runs only code that was made for it" if own else ""
        if len(of_group) == 1:
            ptx = "".join(of_group[0].found.partition(" (")[1:])
            return f"{subject} {of_group[0].version} has no code for {left_out}, only {_shown(lists[0])}{ptx}{only}"
        versions = {rejection.version.partition("+")[0] for rejection in of_group}
        which = f"{subject} {versions.pop()}" if len(versions) == 1 else subject
        lowest = min(lists, key=_first_number).partition(" ")[0]
        starts = "every one starts" if len(lists) == 1 else "the lowest starts"
        newest = max(
            (text for text in " ".join(lists).split(" ") if text.startswith("sm_")), key=_first_number, default=""
        )
        if newest and _first_number(left_out) > _first_number(newest):
            return f"no build of {which} has code for {left_out}: the newest is for {newest}"
        return f"no build of {which} has code for {left_out}: {starts} at {_shown(lowest)}{only}"
    parts = []
    for left_out, of_group in groups.items():
        variants = dict.fromkeys(
            rejection.version.partition("+")[2].partition(".")[0] or "pypi" for rejection in of_group
        )
        parts.append(f"{' '.join(variants)} leave{'s' if len(variants) == 1 else ''} out {left_out}")
    number = "both" if len(context.gpus) == 2 else f"all {len(context.gpus)}"
    return f"no {subject} build serves {number} GPUs: {'; '.join(parts)}"


def _for_desktops(targets: str) -> str:
    """Leave out code for Jetson and DRIVE devices, which no other GPU runs, where there is more, and what PTX needs."""
    targets = targets.partition(" (")[0]
    kept = [text for text in targets.split(" ") if not _is_for_tegra(text)]
    return " ".join(kept) or targets


def _is_for_tegra(text: str) -> bool:
    return text.startswith("sm_") and ComputeCapability.from_number(_first_number(text)) in TEGRA


def _shown(targets: str) -> str:
    """Word a list of architectures; what is compiled on the machine says so."""
    if not targets.startswith("jit_"):
        return targets
    return f"{ComputeCapability.from_number(_first_number(targets))}, compiled on the machine"


def _first_number(architectures: str) -> int:
    return int("".join(character for character in architectures.partition(" ")[0] if character.isdigit()) or 0)


def _ways_out(context: Context) -> Iterator[str]:
    """Change one thing at a time, and tell each change that leads to a plan."""
    for branch in sorted(
        {generation.last_driver_branch for gpu in context.dropped if (generation := context.generation(gpu.capability))}
    ):
        older = Driver(DriverVersion.parse(str(branch)), None, "suggested")
        if found := _try(context, host=context.host._replace(driver=older)):
            yield f"with the newest driver of branch {branch}: {found}"
    yield from _other_python(context)
    yield from _other_driver(context)
    yield from _fewer_gpus(context)
    yield from _other_request(context)


def _try(context: Context, **changed: object) -> str:
    """Resolve with one thing changed; the picks as text, or nothing."""
    host, target, request = (changed.get(key, getattr(context, key)) for key in ("host", "target", "request"))
    found = search(make_context(request, host, target, context.catalogue))  # type: ignore[arg-type]
    builds = [found.picks[name].release for name in found.asked if name in found.picks]
    return ", ".join(f"{release.name} {release.version}" for release in builds)


def _other_python(context: Context) -> Iterator[str]:
    target = context.target
    here = f"{target.version[0]}.{target.version[1]}"
    own = f"cp{target.version[0]}{target.version[1]}"
    nearness = sorted(
        (text for text in PYTHONS if text != here), key=lambda text: abs(_minor(text) - target.version[1])
    )
    for text in nearness:
        other = f"cp{text.replace('.', '')}"
        tags = tuple("-".join(_renamed(part, own, other) for part in tag.split("-")) for tag in target.tags)
        if found := _try(context, target=target._replace(tags=tags)):
            yield f"with Python {text}: {found} (the nearest Python that has wheels)"
            return


def _renamed(part: str, own: str, other: str) -> str:
    """Move a tag's part to another Python; a free-threaded ABI (`cp313t`) becomes the usual one."""
    return other if part in (own, own + "t") else part


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _other_driver(context: Context) -> Iterator[str]:
    driver = context.host.driver
    if driver is None or driver.version is None:
        return
    windows = context.host.os == "windows"
    minimums = {
        facts.min_driver_windows if windows else facts.min_driver_linux: facts for facts in context.tables.variants
    }
    for minimum in sorted(minimums):
        if minimum.parts <= driver.version.parts:
            continue
        newer = context.host._replace(driver=Driver(minimum, minimums[minimum].cuda, driver.source))
        if found := _try(context, host=newer):
            yield f"with driver {minimum} or newer: {found}"
            for gpu in context.gpus:
                generation = context.generation(gpu.capability)
                if generation and generation.last_driver_branch:
                    yield f"{gpu.name} ({generation.name}) can go up to driver branch {generation.last_driver_branch}"
            return


def _fewer_gpus(context: Context) -> Iterator[str]:
    if len(context.capabilities) < 2:
        return
    for capability in context.capabilities:
        kept = tuple(gpu for gpu in context.gpus if gpu.capability != capability)
        left: list[GpuDevice] = [gpu for gpu in context.gpus if gpu.capability == capability]
        if found := _try(context, host=context.host._replace(gpus=kept)):
            names = ", ".join(dict.fromkeys(gpu.name for gpu in left))
            yield f"without {names} (--gpu for the others, or CUDA_VISIBLE_DEVICES): {found}"


def _other_request(context: Context) -> Iterator[str]:
    request = context.request
    if any(wanted.specifier for wanted in request.wanted):
        plain = request._replace(wanted=tuple(wanted._replace(specifier="") for wanted in request.wanted))
        if found := _try(context, request=plain):
            yield f"without the version: {found}"
    if len(request.wanted) > 1:
        for wanted in request.wanted:
            rest = tuple(other for other in request.wanted if other != wanted)
            if found := _try(context, request=request._replace(wanted=rest)):
                yield f"without {wanted.text or wanted.name}: {found}"
    other = "pytorch" if request.torch_source == "pypi" else "pypi"
    if found := _try(context, request=request._replace(torch_source=other)):
        yield f"with --torch-source {other}: {found}"
    if not request.allow_unconfirmed and (found := _try(context, request=request._replace(allow_unconfirmed=True))):
        yield f"with --allow-unconfirmed: {found}, which nobody is known to have used"
