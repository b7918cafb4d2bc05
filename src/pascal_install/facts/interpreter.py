"""The target: which Python is meant, what it is, and whether it may be changed."""

from __future__ import annotations

import os

from pascal_install.errors import TargetError
from pascal_install.facts.discovery import chosen_environment, named_pythons
from pascal_install.facts.probing import Answer, ask
from pascal_install.facts.site_packages import externally_managed, installed_distributions, is_writable
from pascal_install.facts.tags import (
    MUSL_HINT,
    check_version,
    parse_glibc,
    parse_python,
    split_platform,
    wheel_tags,
)
from pascal_install.model.interpreter import Target
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_target(python: str = "", *, environ: Mapping[str, str], cwd: str, cache_dir: str = "") -> Target:
    """Find the Python environment to install into, and everything that a plan needs to know of it.

    `python` is a path (of a Python or of an environment), a name on PATH, or a version; empty: `$VIRTUAL_ENV`,
    `$CONDA_PREFIX`, `./.venv`, then the Python that runs us. What only forbids a change is left to
    `check_installable`. Raises TargetError where no plan can be made for it.
    """
    if python:
        return _describe(_find_named(python, environ, cwd, cache_dir), "--python", cache_dir)
    executable, source = chosen_environment(environ, cwd)
    return _describe(ask(executable, environ, cache_dir), source, cache_dir)


def _find_named(text: str, environ: Mapping[str, str], cwd: str, cache_dir: str) -> Answer:
    """Ask the Pythons that a text may mean until one answers and, where it is a version, has that version."""
    asked = parse_python(text)
    tried: list[str] = []
    for executable in named_pythons(text, environ, cwd):
        if asked is None:
            return ask(executable, environ, cache_dir)
        try:
            answer = ask(executable, environ, cache_dir)
        except TargetError as error:
            tried.append(f"{executable}: {error.cause or error.summary}")
            continue
        if answer.version[: len(asked[0])] == asked[0] and answer.free_threaded == asked[1]:
            return answer
        tried.append(f"{executable} is {_version(answer)}")
    if asked:
        summary = f"there is no Python {text} on PATH or among pyenv's versions"
    else:
        is_place = os.sep in text or os.path.isdir(os.path.join(cwd, text))
        summary = f"there is no Python at {text}" if is_place else f"there is no {text} on PATH"
    raise TargetError(
        summary,
        code="python-not-found",
        cause="; ".join(dict.fromkeys(tried)),
        hints=("give the path of one: --python /path/to/python",),
    )


def _version(answer: Answer) -> str:
    return ".".join(str(part) for part in answer.version) + ("t" if answer.free_threaded else "")


def _describe(answer: Answer, source: str, cache_dir: str) -> Target:
    os_name, machine = _check(answer)
    # A glibc that does not tell its version is taken for the oldest that any wheel of the catalogue asks for.
    glibc = parse_glibc(answer.libc) or (2, 17)
    usual = f"cp{answer.version[0]}{answer.version[1]}" + ("t" if answer.free_threaded else "")
    abis = [f"{usual}d", usual] if answer.debug else [usual]
    installed = installed_distributions((answer.purelib, answer.platlib))
    is_virtual = answer.prefix != answer.base_prefix
    return Target(
        executable=answer.executable,
        implementation=answer.implementation,
        version=answer.version,
        abi=abis[0],
        os=os_name,
        machine=machine,
        tags=wheel_tags(answer.version, abis, (os_name, machine, glibc), cache_dir),
        libc=answer.libc,
        prefix=answer.prefix,
        purelib=answer.purelib,
        platlib=answer.platlib,
        scripts=answer.scripts,
        is_virtual=is_virtual,
        externally_managed="" if is_virtual else externally_managed(answer.stdlib),
        writable=is_writable(answer.purelib) and is_writable(answer.platlib),
        pip_version=next((one.version for one in installed if one.name == "pip"), ""),
        installed=installed,
        source=source,
    )


def _check(answer: Answer) -> tuple[str, str]:
    """Give the operating system and the machine, or raise TargetError where no wheel can ever fit."""
    who = answer.executable
    if answer.implementation != "cpython":
        name = {"pypy": "PyPy", "graalpy": "GraalPy"}.get(answer.implementation, answer.implementation)
        raise TargetError(
            f"{who} is {name} {_version(answer)}: torch and exllamav2 publish wheels for CPython only",
            code="not-cpython",
            hints=("choose a CPython: --python 3.12",),
        )
    check_version(answer.version, who)
    if answer.pointer_bits != 64:
        raise TargetError(
            f"{who} is a {answer.pointer_bits}-bit Python: there are only 64-bit wheels",
            code="not-64-bit",
            hints=("install a 64-bit Python and name it with --python",),
        )
    platform = split_platform(answer.platform)
    if answer.libc.startswith("musl"):
        raise TargetError(f"{who} runs on musl: CUDA wheels are built for glibc only", code="musl", hints=(MUSL_HINT,))
    return platform


def check_installable(target: Target) -> None:
    """Raise TargetError where an environment must not or cannot be changed."""
    new_environment = (
        f"make an environment: {target.executable or 'python3'} -m venv .venv",
        "then run this again in that folder, or with --python .venv",
    )
    if not target.executable:
        raise TargetError(
            f"{target.source} describes another machine: nothing can be installed there from here",
            code="not-this-machine",
            hints=("use plan, lock or download for another machine",),
        )
    if target.externally_managed:
        raise TargetError(
            f"{target.executable} is managed by the operating system (PEP 668)",
            code="externally-managed",
            cause=target.externally_managed.split("\n")[0],
            hints=new_environment,
        )
    if not target.writable:
        raise TargetError(
            f"packages cannot be written to {target.purelib}",
            code="read-only",
            cause="the folder is read-only or belongs to another user",
            hints=new_environment,
        )
