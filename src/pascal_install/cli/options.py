"""Options that several commands share, each with its environment variable."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import NoReturn

from pascal_install.api import Settings
from pascal_install.errors import UsageError
from pascal_install.model.address import parse_mirror

PREFIX = "PASCAL_INSTALL_"

FORMATS = ("text", "json", "requirements", "pylock", "commands")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of leaving the program."""

    def __init__(self, command: str, description: str, environ: Mapping[str, str], epilog: str = "") -> None:
        super().__init__(
            prog=f"pascal-install {command}",
            description=description,
            epilog=epilog,
            formatter_class=_formatter,
            allow_abbrev=False,
        )
        self._environ = environ
        self.add_argument("--debug", action="store_true", help="on an unexpected error, show the traceback")

    def flags(self) -> list[str]:
        """Name every long option, for shell completion."""
        words = (word.strip(",[]") for word in self.format_usage().split())
        return sorted({word for word in words if word.startswith("--")})

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's own words."""
        raise UsageError(message, hints=(f"see {self.prog} --help",))

    def value(
        self, flag: str, help_text: str, *, metavar: str = "", choices: Sequence[str] = (), default: str = ""
    ) -> None:
        """Add an option with one value; its environment variable gives the default."""
        preset = self._preset(flag, choices) or default
        shown = {"metavar": metavar} if metavar else {}
        self.add_argument(flag, default=preset, choices=choices or None, help=help_text, **shown)  # type: ignore[arg-type]

    def values(self, flag: str, help_text: str, *, metavar: str) -> None:
        """Add a repeatable option; its environment variable holds several values, separated by `;`."""
        self.add_argument(flag, action=_Collect, default=self.preset_list(flag), help=help_text, metavar=metavar)

    def preset_list(self, flag: str) -> list[str]:
        """Give the values that an environment variable holds, separated by `;`."""
        return [part.strip() for part in self._preset(flag).split(";") if part.strip()]

    def switch(self, flag: str, help_text: str, short: str = "") -> None:
        """Add a switch; its environment variable is on when it is neither empty nor 0."""
        preset = self._preset(flag) not in ("", "0")
        self.add_argument(*([short] if short else []), flag, action="store_true", default=preset, help=help_text)

    def _preset(self, flag: str, choices: Sequence[str] = ()) -> str:
        name = PREFIX + flag.lstrip("-").replace("-", "_").upper()
        value = self._environ.get(name, "")
        if value and choices and value not in choices:
            raise UsageError(f"{name}={value!r} is not one of {', '.join(choices)}", code="bad-setting")
        return value


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Make a formatter of known width: argparse makes one for each option, and would load shutil to ask for it."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=100)


class _Collect(argparse.Action):
    """Collect values; those on the command line replace the ones from the environment."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        _option: str | None = None,
    ) -> None:
        given = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if given is self.default else [*given, values])


def add_resolving(parser: Parser, *, or_lock: bool = False) -> None:
    """Add what decides an answer. `or_lock`: a lock or a wheelhouse may say it instead of packages."""
    parser.add_argument(
        "packages",
        nargs="*",
        default=tuple(parser.preset_list("--packages")),
        metavar="PACKAGE",
        help="exllamav2, torch, 'exllamav2==0.2.9', 'torch<2.9', ./some.whl",
    )
    if or_lock:
        parser.value("--from", "instead of packages: what this pylock.toml says", metavar="LOCK")
        parser.value("--wheelhouse", "instead of packages: from this folder, without a network", metavar="DIR")
    add_machine(parser)
    parser.value("--torch-source", "who publishes the torch that is picked", choices=("pytorch", "pypi", "auto"))
    parser.switch("--allow-unconfirmed", "also take wheels that a build matrix lists but nobody is known to have used")
    parser.value("--catalogue", "a folder with your own builds, laid over ours", metavar="DIR")


def add_machine(parser: Parser) -> None:
    """Add what describes the machine and the target."""
    parser.values(
        "--gpu", "instead of detection: a name such as 'GTX 1080 Ti', 6.1 or sm_61; repeatable", metavar="GPU"
    )
    parser.value("--driver", "instead of detection: 550.163", metavar="VERSION")
    parser.value("--python", "the target: a path or a version (default: the active environment)", metavar="PYTHON")
    parser.value("--platform", "for another machine: linux_x86_64, linux_aarch64, win_amd64", metavar="PLATFORM")
    parser.value("--python-version", "for another machine: 3.12", metavar="X.Y")
    parser.value("--abi", "for another machine: cp313t", metavar="ABI")


def add_network(parser: Parser) -> None:
    """Add what decides how files are fetched."""
    parser.values("--mirror", "take FROM's files from TO; hashes stay what they are; repeatable", metavar="FROM=TO")
    parser.value("--cert", "a CA bundle, as pip's --cert", metavar="FILE")
    parser.switch("--offline", "no network")


def add_output(parser: Parser, formats: Sequence[str] = ("text", "json")) -> None:
    """Add how the answer prints."""
    parser.value("--format", "how the answer prints on stdout", choices=formats)
    parser.switch("--quiet", "only the answer and errors", short="-q")
    parser.switch("--verbose", "more of what happens", short="-v")
    parser.switch("--no-color", "no colour, on a terminal too")


def lock_of(options: argparse.Namespace) -> str:
    """Give the path of the lock that is to be installed from; empty where packages are asked for. Raises UsageError."""
    lock, folder = getattr(options, "from"), options.wheelhouse
    if (lock or folder) and isinstance(options.packages, tuple):
        options.packages = []  # those of the project or the environment: what is typed comes first
    if options.packages and lock:
        raise UsageError("packages or --from: a lock says itself what it holds")
    if folder and lock:
        raise UsageError("--from or --wheelhouse: a wheelhouse has its own lock")
    if not (lock or folder):
        packages_of(options)
    return f"{folder.rstrip('/')}/pylock.toml" if folder else str(lock)


def packages_of(options: argparse.Namespace) -> Sequence[str]:
    """Give the packages that were asked for, here, in the environment or by the project. Raises UsageError for none."""
    if not options.packages:
        hints = ["name a PACKAGE", "or list packages in pyproject.toml, below [tool.pascal-install]"]
        if "wheelhouse" in options:
            hints[0] += ", a lock (--from) or a wheelhouse (--wheelhouse)"
        raise UsageError("no package is asked for", code="no-package", hints=tuple(hints))
    packages: Sequence[str] = options.packages
    return packages


def settings_of(options: argparse.Namespace) -> Settings:
    """Give the settings that parsed options ask for; options that a command does not have keep their defaults."""
    given = vars(options)
    return Settings(
        gpus=tuple(given.get("gpu", ())),
        driver=given.get("driver", ""),
        python=given.get("python", ""),
        platform=given.get("platform", ""),
        python_version=given.get("python_version", ""),
        abi=given.get("abi", ""),
        torch_source=given.get("torch_source") or "pytorch",
        allow_unconfirmed=given.get("allow_unconfirmed", False),
        catalogue=given.get("catalogue", ""),
        mirrors=tuple(parse_mirror(text) for text in given.get("mirror", ())),
        cert=given.get("cert", ""),
        offline=given.get("offline", False) or bool(given.get("wheelhouse")),
        wheelhouse=given.get("wheelhouse", ""),
        installer=given.get("installer") or "pip",
    )
