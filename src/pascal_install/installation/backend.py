"""Who puts wheels into the environment: pip or uv, as a child, without a network and without resolving."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pascal_install import process
from pascal_install.errors import InstallerError, TargetError
from pascal_install.installation.pip_settings import PipSettings, pip_command
from pascal_install.model.interpreter import Target
from pascal_install.value import NamedTuple

OnLine = Callable[[str], None]

#: --report and --dry-run came with 22.2, --python with 22.3; 23.1 is the oldest that is tested here.
OLDEST_PIP = Version("23.1")

#: An install of torch unpacks 5 GB; on a slow disk that takes its time, but not for ever.
_INSTALL_TIMEOUT_S = 3600.0

_LOOPBACK = "localhost,127.0.0.1,::1"

#: uv reads locks of PEP 751 as a preview. One that does not know the word says so, and the wheels come without it.
_PYLOCK = ("--preview-features", "pylock")


class Backend(Protocol):
    """Installs wheel files that lie on disk."""

    @property
    def name(self) -> str:
        """Give its name, `pip` or `uv`."""

    def install(
        self, requirements: Sequence[str], folders: Sequence[str], on_line: OnLine, locks: Sequence[int] = ()
    ) -> None:
        """Install `name==version` lines from folders of wheels. Raises InstallerError with the last lines.

        `locks` are descriptors that the child inherits: where we are killed, the next run waits until it has ended.
        """


class Pip(NamedTuple):
    """The target's own pip, or ours with `--python`."""

    command: tuple[str, ...]
    environ: Mapping[str, str]
    name: str = "pip"

    def install(
        self, requirements: Sequence[str], folders: Sequence[str], on_line: OnLine, locks: Sequence[int] = ()
    ) -> None:
        """Install offline. What replaced distributions leave is set aside by then, so pip takes nothing away itself."""
        # --no-compile: compiling torch takes as long as unpacking it; Python compiles what is imported, when it is.
        options = ("--no-index", "--no-deps", "--no-compile", "--ignore-installed", "--no-warn-script-location")
        quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--root-user-action", "ignore")
        args = (*self.command, "install", *options, *quiet, *_find_links(folders), *requirements)
        _run("pip", args, offline_environ(self.environ), on_line, locks)


class Uv(NamedTuple):
    """uv, if it is there."""

    command: tuple[str, ...]
    python: str
    environ: Mapping[str, str]
    name: str = "uv"

    def install(
        self, requirements: Sequence[str], folders: Sequence[str], on_line: OnLine, locks: Sequence[int] = ()
    ) -> None:
        """Install offline. A wheel that uv's cache knows by folder and time is not unpacked again, but linked."""
        args = (*self._pip_install, "--no-index", *_find_links(folders), *requirements)
        _run("uv", args, offline_environ(self.environ), on_line, locks)

    def install_cached(self, lock: str, on_line: OnLine, locks: Sequence[int] = ()) -> None:
        """Install offline what `fetch` brought into the cache. Raises InstallerError where that no longer has it."""
        args = (*self._pip_install, "--offline", *_PYLOCK, "-r", lock)
        _run("uv", args, offline_environ(self.environ), on_line, locks)

    def fetch(
        self, lock: str, folder: str, environ: Mapping[str, str], on_line: OnLine | None, *, offline: bool
    ) -> process.Completed:
        """Bring the wheels of a lock into uv's cache, checked and unpacked; `folder` gets links to the files there.

        The links are how one learns what lies in the cache where: there is no other word for "fetch" in uv.
        """
        options = ("--target", folder, "--link-mode", "symlink", *_PYLOCK, *(("--offline",) if offline else ()))
        return process.run((*self._pip_install, *options, "-r", lock), env=environ, on_line=on_line)

    def count_missing(self, lock: str, environ: Mapping[str, str], default: int) -> int:
        """Tell how many wheels of a lock the cache lacks; `default` where uv does not say."""
        done = process.run((*self._pip_install, "--dry-run", "--offline", *_PYLOCK, "-r", lock), env=environ)
        said = re.search(r"Would download (\d+) package", done.stdout + done.stderr)
        return int(said[1]) if said else default

    def compile(
        self, requirements: str, lock: str, environ: Mapping[str, str], timeout_s: float
    ) -> process.Completed | None:
        """Resolve requirements, of wheels alone, into a lock whose versions are preferred; None where it does not end.

        As pip does, all indexes count alike.
        """
        options = ("--no-config", "--no-progress", "--color", "never", "--no-header", "--python", self.python)
        choice = ("--only-binary", ":all:", "--index-strategy", "unsafe-best-match", *_PYLOCK)
        command = (*self.command, "pip", "compile", "--quiet", *options, *choice, "--output-file", lock, requirements)
        try:
            return process.run(command, env=environ, timeout_s=timeout_s)
        except (OSError, process.ProcessTimeout):
            return None

    def cache_dir(self) -> str:
        """Ask uv where its cache is. Raises InstallerError where it does not tell."""
        done = process.run((*self.command, "cache", "dir", "--no-config"), env=offline_environ(self.environ))
        if done.returncode != 0:
            raise failure("uv", done)
        return done.stdout.strip()

    @property
    def _pip_install(self) -> tuple[str, ...]:
        options = ("--no-deps", "--no-config", "--no-progress", "--color", "never", "--python", self.python)
        return (*self.command, "pip", "install", *options)


def uv_lock(entries: Iterable[str]) -> str:
    """Make a lock for uv of the entries of packages."""
    return "\n".join(('lock-version = "1.0"\ncreated-by = "pascal-install"\n', *entries))


def _find_links(folders: Sequence[str]) -> list[str]:
    return [argument for folder in folders for argument in ("--find-links", folder)]


def _run(name: str, args: Sequence[str], environ: Mapping[str, str], on_line: OnLine, locks: Sequence[int]) -> None:
    try:
        done = process.run(args, env=environ, timeout_s=_INSTALL_TIMEOUT_S, on_line=on_line, pass_fds=locks)
    except (OSError, process.ProcessTimeout) as error:
        raise InstallerError(f"{name} did not run to its end", cause=str(error)) from error
    if done.returncode != 0:
        raise failure(name, done)


def failure(name: str, done: process.Completed) -> InstallerError:
    """Word the end of a child: its last lines, and what they mean."""
    text = f"{done.stdout}\n{done.stderr}"
    lines = [line.strip() for line in text.splitlines() if line.strip() and "fast-deps" not in line]
    hints = tuple(hint for sign, hint in _MEANINGS if sign in text)
    return InstallerError(
        f"{name} failed with exit code {done.returncode}", cause="\n".join(lines[-6:]) or "it said nothing", hints=hints
    )


_MEANINGS = (
    ("No space left on device", "the disk is full: free some space, then run this again"),
    ("Permission denied", "the environment is not writable: run this as its owner, or choose another with --python"),
    ("Read-only file system", "the environment lies on a read-only file system: choose another with --python"),
    ("externally-managed", "this Python belongs to the operating system: make a virtual environment"),
    (
        "No matching distribution found",
        "no file for this Python and platform was found on the index, or it did not answer",
    ),
    ("ResolutionImpossible", "the requirements exclude each other: ask for fewer packages, or for other versions"),
    ("Could not fetch URL", "an index did not answer: check the network, the proxy, and PIP_INDEX_URL"),
    ("CERTIFICATE_VERIFY_FAILED", "the certificate of a host is not trusted: give its CA with --cert"),
)


def choose_pip(target: Target, environ: Mapping[str, str]) -> Pip:
    """Choose the target's own pip, or ours where it has none or an old one.

    Raises TargetError, with the command that helps, where neither can install into it.
    """
    if _new_enough(target.pip_version):
        return Pip(pip_command(target.executable), environ)
    if (own := _own_pip(target, environ)) is not None:
        return own
    found = f"pip {target.pip_version}" if target.pip_version else "no pip"
    upgrade = f"{target.executable} -m pip install --upgrade pip"
    hints = (upgrade,) if target.pip_version else (f"{target.executable} -m ensurepip --upgrade", upgrade)
    raise TargetError(
        f"the target has {found}; pip {OLDEST_PIP} or newer is needed",
        code="no-usable-pip",
        cause=f"the pip of pascal-install itself does not support Python {target.python}",
        hints=tuple(f"run: {hint}" for hint in hints),
    )


def newest_pip(target: Target, environ: Mapping[str, str], chosen: Pip) -> Pip:
    """Choose who resolves: ours where it is newer than the target's and serves it, else the one that installs.

    Before 23.3 a dry run of pip downloads everything, gigabytes of it, only to throw it away.
    """
    version = _own_pip_version()
    is_newer = not target.pip_version or (version is not None and version > Version(target.pip_version))
    return (_own_pip(target, environ) if is_newer else None) or chosen


def _own_pip(target: Target, environ: Mapping[str, str]) -> Pip | None:
    """Give our own pip for another Python; None where it cannot serve that."""
    supported = _own_pip_supports()
    if supported is None or not supported.contains(target.python, prereleases=True):
        return None
    return Pip((*pip_command(sys.executable), "--python", target.executable), environ)


def _own_pip_version() -> Version | None:
    from importlib import metadata

    try:
        return Version(metadata.version("pip"))
    except metadata.PackageNotFoundError:
        return None


def _new_enough(version: str) -> bool:
    try:
        return Version(version) >= OLDEST_PIP
    except InvalidVersion:
        return False


def _own_pip_supports() -> SpecifierSet | None:
    """Read which Pythons our own pip can run on; None where we have no pip, or an old one."""
    from importlib import metadata

    try:
        own = metadata.metadata("pip")
    except metadata.PackageNotFoundError:
        return None
    return SpecifierSet(own["Requires-Python"] or "") if _new_enough(own["Version"]) else None


def choose_uv(target: Target, environ: Mapping[str, str]) -> Uv:
    """Find uv: beside our Python, else on PATH. Raises InstallerError telling how to get it."""
    import shutil

    beside = os.path.dirname(sys.executable)
    path = os.pathsep.join((environ.get("PATH", os.defpath), beside))
    found = shutil.which("uv", path=path)
    if found is None:
        raise InstallerError(
            "uv is not there",
            code="no-uv",
            cause=f"no uv on PATH, and none in {beside}",
            hints=(f"run: {sys.executable} -m pip install uv", "or leave --installer uv out: pip does the same"),
        )
    return Uv((found,), os.path.abspath(target.executable), environ)


def offline_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Give an environment in which pip and uv follow nothing but their arguments."""
    kept = {key: value for key, value in environ.items() if not key.startswith(("PIP_", "UV_", "PYTHON"))}
    # Where uv's cache lies, and whether it links or copies out of it, is the person's choice.
    kept.update({key: environ[key] for key in ("UV_CACHE_DIR", "UV_LINK_MODE") if key in environ})
    # PIP_USER=0: without it pip goes to the user's site folder when it cannot write, and answers 0.
    kept.update(PIP_CONFIG_FILE=os.devnull, PIP_USER="0", UV_NO_CONFIG="1", UV_PYTHON_DOWNLOADS="never", PYTHONUTF8="1")
    return kept


def connection_environ(settings: PipSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Give an environment in which uv reaches what the person's pip reaches, in the same way."""
    found = offline_environ(environ)
    cert = settings.cert or environ.get("REQUESTS_CA_BUNDLE", "") or environ.get("CURL_CA_BUNDLE", "")
    if cert:
        found["SSL_CERT_DIR" if os.path.isdir(cert) else "SSL_CERT_FILE"] = cert
    if settings.client_cert:
        found["SSL_CLIENT_CERT"] = settings.client_cert
    if settings.proxy:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        found.update({name: settings.proxy for upper in names for name in (upper, upper.lower())})
        found.update(NO_PROXY=_LOOPBACK, no_proxy=_LOOPBACK)
    if settings.trusted_hosts:
        found["UV_INSECURE_HOST"] = " ".join(settings.trusted_hosts)
    found["UV_HTTP_RETRIES"] = "1"  # what then fails goes on with our fetcher, which waits longer and resumes
    return found
