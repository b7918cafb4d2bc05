"""What a person reads in a terminal."""

from __future__ import annotations

from pascal_install.report.fit import fit
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pascal_install.errors import PascalInstallError
    from pascal_install.model.address import Mirror
    from pascal_install.model.gpu import HostFacts
    from pascal_install.model.interpreter import Target
    from pascal_install.model.plan import Pin, Plan, Problem, Rejection
    from pascal_install.model.request import Request

_BOLD, _DIM, _GREEN, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


_PLAIN_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_-+=:,./")


class Style:
    """Paints text, or leaves it plain."""

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{_PLAIN}" if self._color and text else text

    def strong(self, text: str) -> str:
        """Paint what the eye should find first."""
        return self._paint(_BOLD, text)

    def faint(self, text: str) -> str:
        """Paint where a fact comes from."""
        return self._paint(_DIM, text)

    def good(self, text: str) -> str:
        """Paint what works."""
        return self._paint(_GREEN, text)

    def bad(self, text: str) -> str:
        """Paint what does not."""
        return self._paint(_RED, text)


def clean(text: str) -> str:
    """Take control characters out of foreign text, so that a name cannot steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def error(failure: PascalInstallError) -> str:
    """Word an error: what is wrong, the facts, what to do."""
    lines = [f"error: {clean(failure.summary)}"]
    lines += [f"cause: {clean(line)}" for line in failure.cause.splitlines() if line.strip()]
    lines += [f"hint:  {clean(hint)}" for hint in failure.hints]
    return "\n".join(lines) + "\n"


def plan(
    answer: Plan, mirrors: Sequence[Mirror] = (), installer: str = "pip", *, color: bool = False, columns: int = 0
) -> str:
    """Word a plan: what was found, what was picked and why, what was passed over, what would run.

    `columns`: how wide the terminal is, 0 for none. Commands are never broken: people copy them.
    """
    style = Style(color=color)
    lines = [*facts(answer.host, answer.target, style), ""]
    if answer.problem is not None:
        lines += no_plan(answer.request, answer.problem, style)
        return fit("\n".join(lines) + "\n", columns)
    lines += picks(answer.pins, style, columns)
    if answer.is_complete:
        return "\n".join([*lines, f"and {len(answer.others)} more packages, as the lock says"]) + "\n"
    lines += [
        f"{clean(other)}  left to pip and your own index: the catalogue has no builds of it" for other in answer.others
    ]
    passed = passed_over(answer)
    lines += ["", f"passed over  {passed}"] if passed else []
    lines += [""] if answer.notes else []
    lines += [f"note  {clean(note)}" for note in answer.notes]
    by_hand = commands(answer, mirrors, installer).splitlines()
    words = fit("\n".join([*lines, ""]) + "\n", columns)
    return "\n".join([words + style.strong("the same by hand"), *(f"  {line}" for line in by_hand)]) + "\n"


def facts(host: HostFacts, target: Target, style: Style) -> list[str]:
    """Tell the machine and the target, each with where the fact comes from."""
    lines = []
    for place, gpu in enumerate(host.gpus):
        label = "GPU" if place == 0 else ""
        capability = f"compute capability {gpu.capability}" if gpu.capability else gpu.problem or "unknown"
        more = [part for part in (capability, "" if gpu.visible else "hidden") if part and part != gpu.name]
        about = f" ({', '.join(more)})" if more else ""
        lines.append(f"{label:<8}{style.strong(clean(gpu.name))}{clean(about)}  {style.faint(gpu.source)}")
    driver = host.driver
    if driver is not None:
        implements = f" (up to CUDA {driver.cuda})" if driver.cuda else ""
        lines.append(f"{'driver':<8}{driver.version or 'unknown'}{implements}  {style.faint(driver.source)}")
    else:
        lines.append(f"{'driver':<8}not known")
    where = f" in {target.prefix}" if target.prefix else f" for {target.os} {target.machine}"
    free_threaded = " (free-threaded)" if target.abi.endswith("t") else ""
    lines.append(f"{'target':<8}Python {target.python}{free_threaded}{where}  {style.faint(target.source)}")
    return lines


def picks(pins: Sequence[Pin], style: Style, columns: int = 0) -> list[str]:
    """Lay the pins out as a table; on a terminal that is too narrow for it, without its last columns."""
    head = ("package", "version", "runs as", "from", "sha256")
    rows = [
        (pin.build.release.name, pin.build.release.version, _runs_as(pin), _host_of(pin), _hash_of(pin)) for pin in pins
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    while columns and len(widths) > 2 and sum(widths) + 2 * (len(widths) - 1) > columns:
        widths.pop()
    lines = [style.faint("  ".join(f"{cell:<{width}}" for cell, width in zip(head, widths, strict=False)).rstrip())]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        cells[1] = style.good(cells[1])
        lines.append("  ".join(cells).rstrip())
    return lines


def _runs_as(pin: Pin) -> str:
    if pin.build.release.publisher == "own" and not pin.build.release.architectures:
        return "no device code"
    return ", ".join(
        dict.fromkeys(f"{capability}: {found.target or 'not read yet'}" for capability, found in pin.coverage)
    )


def _host_of(pin: Pin) -> str:
    url = pin.build.wheel.url
    if "://" not in url:
        return "PyPI"
    return url.split("/")[2].rpartition("@")[2] or "this machine"


def _hash_of(pin: Pin) -> str:
    sha256 = pin.build.wheel.sha256
    return sha256[:10] or "none known"


def passed_over(answer: Plan) -> str:
    """Tell in one line what was passed over, the newest with its reason; empty where there is nothing to tell.

    That another version was asked for, or another publisher, is known to whoever asked.
    """
    telling = [rejection for rejection in answer.rejected if rejection.rule not in ("requirement", "publisher")]
    if not telling:
        return ""
    newest = telling[0]
    names = shell_line(wanted.text or wanted.name for wanted in answer.request.wanted)
    more = f" and {len(telling) - 1} more" if len(telling) > 1 else ""
    return f"{newest.name} {newest.version} ({briefly(newest)}){more}: `pascal-install explain {names}`"


def briefly(rejection: Rejection) -> str:
    """Word a rejection for one line: what else a build has code for is told by `explain`."""
    if rejection.rule == "kernel-coverage":
        return f"{rejection.rule}: no {clean(rejection.needed)}"
    if rejection.because is not None:
        return f"{rejection.rule}: of {clean(rejection.needed)}, {briefly(rejection.because)}"
    return f"{rejection.rule}: {clean(rejection.why)}"


def no_plan(request: Request, problem: Problem, style: Style) -> list[str]:
    """Word why nothing serves and what would have to change."""
    names = " ".join(wanted.text or wanted.name for wanted in request.wanted)
    lines = [style.bad(f"nothing published serves: {clean(names)}"), f"  {clean(problem.why)}  [{problem.rule}]"]
    if problem.suggest:
        lines += ["", "what would work, or what others do", *(f"  - {clean(line)}" for line in problem.suggest)]
    return lines


def commands(answer: Plan, mirrors: Sequence[Mirror] = (), installer: str = "pip") -> str:
    """Give the commands as a shell takes them."""
    from pascal_install.report.commands import commands as commands_of

    return "".join(f"{shell_line(command)}\n" for command in commands_of(answer, mirrors, installer))


def shell_line(command: Iterable[str]) -> str:
    """Quote a command for a POSIX shell, as shlex.join does, whose import of `re` takes longer than all of a plan."""
    return " ".join(word if _PLAIN_WORD.issuperset(word) and word else _quoted(word) for word in command)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"
