"""What the person has set for pip: indexes, certificates, proxy. pip itself is asked, so that all its files count."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping, Sequence

from pascal_install import process
from pascal_install.errors import InstallerError
from pascal_install.value import NamedTuple

_TIMEOUT_S = 60.0

#: In the order in which pip lets one override the other.
_SECTIONS = ("global", "install", ":env:")


_READ = frozenset(
    (
        *("index-url", "pypi-url", "extra-index-url", "find-links", "no-index"),
        *("cert", "client-cert", "proxy", "trusted-host", "timeout", "default-timeout"),
    )
)

#: What has no say in which files pip chooses, or is taken out of the runs in which it chooses for us.
_NO_CHOICE = frozenset(
    (
        *("break-system-packages", "cache-dir", "compile", "config-file", "debug", "disable-pip-version-check"),
        *("no-cache-dir", "no-color", "no-compile", "no-input", "no-warn-script-location", "progress-bar", "quiet"),
        *("require-virtualenv", "resume-retries", "retries", "root-user-action", "user", "verbose", "log"),
    )
)


#: Both `-m` and `-c` look for modules in the current directory first: a `pip.py` or `typing.py` there is not to be run.
_NOT_FROM_HERE = "import sys; sys.path.pop(0); "
_PIP = f"{_NOT_FROM_HERE}import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"


class PipSettings(NamedTuple):
    """Where pip looks, and how it gets there."""

    index_url: str
    """The person's own, else pip's default."""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""
    trusted_hosts: tuple[str, ...] = ()
    timeout_s: float | None = None
    no_index: bool = False
    only_pips: tuple[str, ...] = ()
    """Names of settings that bear on what pip chooses, and that nobody but pip follows."""

    @property
    def index_urls(self) -> tuple[str, ...]:
        """All indexes, the first one first; none where the person forbids them."""
        return () if self.no_index else (self.index_url, *self.extra_index_urls)

    def connection_environ(self) -> dict[str, str]:
        """Give the variables for a pip that is to connect in the same way but look elsewhere."""
        named = {
            "PIP_CERT": self.cert,
            "PIP_CLIENT_CERT": self.client_cert,
            "PIP_PROXY": self.proxy,
            "PIP_TRUSTED_HOST": " ".join(self.trusted_hosts),
            "PIP_DEFAULT_TIMEOUT": f"{self.timeout_s:g}" if self.timeout_s else "",
        }
        return {name: text for name, text in named.items() if text}


def pip_command(python: str) -> tuple[str, ...]:
    """Give what runs the pip of an interpreter, wherever one is. It needs an environment without PYTHON*."""
    return (python, "-c", _PIP)


def pip_settings(python: str, environ: Mapping[str, str] | None = None) -> PipSettings:
    """Ask the pip of an interpreter. Raises InstallerError where it has none, or a broken one."""
    environ = os.environ if environ is None else environ
    environ = {name: text for name, text in environ.items() if not name.startswith("PYTHON")}
    settings = _merged(_ask(python, ("config", "list"), environ))

    def words(name: str) -> tuple[str, ...]:
        return tuple(settings.get(name, "").split())

    timeout = settings.get("timeout") or settings.get("default-timeout", "")
    return PipSettings(
        index_url=settings.get("index-url") or settings.get("pypi-url") or _default_index(python, environ),
        extra_index_urls=words("extra-index-url"),
        find_links=words("find-links"),
        cert=settings.get("cert", ""),
        client_cert=settings.get("client-cert", ""),
        proxy=settings.get("proxy", ""),
        trusted_hosts=words("trusted-host"),
        timeout_s=float(timeout) if timeout.replace(".", "", 1).isdigit() else None,
        no_index=settings.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t"),
        only_pips=tuple(sorted(settings.keys() - _READ - _NO_CHOICE)),
    )


def _merged(listing: str) -> dict[str, str]:
    """Read `pip config list`: one `section.name='value'` a line, quoted as Python does."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, equals, quoted = line.partition("=")
        section, dot, name = key.strip().rpartition(".")
        if not (equals and dot and section in found):
            continue
        try:
            found[section][name] = str(ast.literal_eval(quoted.strip()))
        except (ValueError, SyntaxError):
            continue
    return {name: text for section in _SECTIONS for name, text in found[section].items()}


def _default_index(python: str, environ: Mapping[str, str]) -> str:
    """Read pip's default index from where pip has it, a tenth of the time that its help takes, which tells it too."""
    told = f"{_NOT_FROM_HERE}from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    done = _run([python, "-c", told], environ)
    if done.stdout.startswith("https://"):
        return done.stdout.strip()
    wide = {**environ, "COLUMNS": "500", "NO_COLOR": "1"}
    said = re.search(
        r"--index-url <url>.*?\(default:?\s+(\S+?)\)", _ask(python, ("install", "--help"), wide), re.DOTALL
    )
    if said is None:
        raise InstallerError(
            f"the pip of {python} does not tell its index",
            code="pip-broken",
            hints=("name one: PIP_INDEX_URL=https://...",),
        )
    return said[1]


def _ask(python: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    own = {name: text for name, text in environ.items() if name not in ("PIP_QUIET", "PIP_VERBOSE", "PIP_LOG")}
    command = [*pip_command(python), "--disable-pip-version-check", "--no-color", *arguments]
    done = _run(command, own)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        code = "pip-missing" if "No module named pip" in done.stderr else "pip-broken"
        raise InstallerError(
            f"{python} cannot run pip", code=code, cause="\n".join(said), hints=(f"try {python} -m pip config list",)
        )
    return done.stdout


def _run(command: Sequence[str], environ: Mapping[str, str]) -> process.Completed:
    try:
        return process.run(command, env=environ, timeout_s=_TIMEOUT_S)
    except (OSError, process.ProcessTimeout) as error:
        raise InstallerError(f"{command[0]} cannot run pip", code="pip-broken", cause=str(error)) from error
