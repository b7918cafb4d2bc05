"""`pascal-install doctor`: what is wrong with this environment, and the plan that mends it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from pascal_install.actions import carry_out_mend, find_case, undo_killed
from pascal_install.api import Settings
from pascal_install.cli.options import add_catalogue, add_installer, add_network, add_output, settings_of
from pascal_install.cli.parser import Options, Parser
from pascal_install.cli.plan import wants_color
from pascal_install.cli.signals import interrupt_when_told_to_end
from pascal_install.cli.watch import Watch
from pascal_install.doctor.case import Case, Symptom
from pascal_install.doctor.examine import examine
from pascal_install.doctor.killed import was_undone
from pascal_install.doctor.mend import Mend, plan_mend
from pascal_install.errors import InstallerError, TargetError, UsageError
from pascal_install.model.finding import Finding
from pascal_install.report.diagnosis import diagnosis, diagnosis_document, mending
from pascal_install.report.document import to_json
from pascal_install.report.fit import columns_of, fit

FOUND_PROBLEMS = 10

EPILOG = """\
examples:
  pascal-install doctor                     what is wrong, and what would mend it; undoes a killed install
  pascal-install doctor --fix               show the plan, ask, mend, look again
  pascal-install doctor --fix --yes         the same without asking, for scripts

Exit code 10 where an error was found, 0 where none was; warnings alone are 0.
"""


def parser(environ: Mapping[str, str]) -> Parser:
    """Build the command's parser."""
    built = Parser("doctor", "What is wrong with this environment, and the plan that mends it.", environ, EPILOG)
    built.switch("--fix", "carry the plan out, after asking on the terminal")
    built.switch("--yes", "do not ask")
    built.values("--gpu", "instead of detection: a name such as 'GTX 1080 Ti', 6.1 or sm_61; repeatable", metavar="GPU")
    built.value("--driver", "instead of detection: 550.163", metavar="VERSION")
    built.value("--python", "the target: a path or a version (default: the active environment)", metavar="PYTHON")
    built.value("--torch-source", "who publishes the torch that is picked", choices=("pytorch", "pypi", "auto"))
    add_catalogue(built)
    add_installer(built)
    add_network(built)
    add_output(built)
    return built


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the findings and the plan; with --fix carry it out and look again."""
    options = parser(environ).parse_args(arguments)
    if options.fix and not options.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "doctor --fix asks before it changes anything, and this is no terminal",
            code="cannot-ask",
            hints=("add --yes to let it go ahead", "or leave --fix out to see what it would do"),
        )
    settings = settings_of(options)
    case = find_case(settings, environ)
    symptoms = examine(case)
    before = [symptom.finding for symptom in symptoms] if options.fix else None
    if options.fix:
        case, symptoms = _fix(case, symptoms, settings, options, environ)
    elif any(symptom.recover for symptom in symptoms):
        case, symptoms = _bring_back(case, symptoms, settings, options, environ)
    findings = [symptom.finding for symptom in symptoms]
    _print(case, findings, _mend(symptoms, case), before, options)
    return FOUND_PROBLEMS if any(finding.severity == "error" for finding in findings) else 0


def _mend(symptoms: Sequence[Symptom], case: Case) -> Mend:
    return plan_mend(symptoms, case, case.context.request)


def _bring_back(
    case: Case,
    symptoms: tuple[Symptom, ...],
    settings: Settings,
    options: Options,
    environ: Mapping[str, str],
) -> tuple[Case, tuple[Symptom, ...]]:
    """Undo a killed install, as every command does that comes upon one: a half change cannot be judged."""
    interrupt_when_told_to_end()
    try:
        was_killed = undo_killed(case, _watch(options, environ))
    except (InstallerError, TargetError):  # somebody else's environment: the finding says what its owner has to do
        return case, symptoms
    case = find_case(settings, environ)
    killed = [symptom for symptom in symptoms if symptom.recover] if was_killed else []
    undone = tuple(Symptom(was_undone(symptom.finding)) for symptom in killed)
    return case, (*undone, *examine(case))


def _watch(options: Options, environ: Mapping[str, str]) -> Watch:
    quiet = options.quiet or options.format == "json"
    return Watch(quiet=quiet, verbose=options.verbose, color=wants_color(options, environ))


def _fix(
    case: Case,
    symptoms: tuple[Symptom, ...],
    settings: Settings,
    options: Options,
    environ: Mapping[str, str],
) -> tuple[Case, tuple[Symptom, ...]]:
    """Mend, and look again: after a killed install was undone, there may be more to do."""
    interrupt_when_told_to_end()
    quiet = options.quiet or options.format == "json"
    watch = _watch(options, environ)
    for _ in range(2):
        mend = _mend(symptoms, case)
        if not mend.is_possible:
            break
        if not quiet or not options.yes:
            sys.stderr.write(diagnosis(case.context.host, case.target, [one.finding for one in symptoms], color=False))
            sys.stderr.write(mending(mend, color=False))
        if not options.yes and not _agreed():
            break
        carry_out_mend(symptoms, case, settings, watch, watch.progress)
        case = find_case(settings, environ)
        symptoms = examine(case)
        if not mend.recover:
            break
    return case, symptoms


def _agreed() -> bool:
    sys.stderr.write("go ahead? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print(
    case: Case, findings: Sequence[Finding], mend: Mend, before: Sequence[Finding] | None, options: Options
) -> None:
    host, target = case.context.host, case.target
    if options.format == "json":
        sys.stdout.write(to_json(diagnosis_document(host, target, findings, mend, before)))
        return
    color = wants_color(options, case.environ)
    sys.stdout.write(fit(diagnosis(host, target, findings, color=color), columns_of(sys.stdout)))
    plan = mending(mend, color=color)
    sys.stdout.write(f"\n{plan}" if plan else "")
