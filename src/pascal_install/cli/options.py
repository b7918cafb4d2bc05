"""Options that several commands share, each with its environment variable."""

from __future__ import annotations

from pascal_install.api import Settings
from pascal_install.cli.parser import Options, Parser
from pascal_install.errors import UsageError
from pascal_install.model.address import parse_mirror
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = ("text", "json", "requirements", "pylock", "commands")


def add_resolving(parser: Parser, *, or_lock: bool = False) -> None:
    """Add what decides an answer. `or_lock`: a lock or a wheelhouse may say it instead of packages."""
    parser.words(
        "packages",
        "exllamav2, torch, 'exllamav2==0.2.9', 'torch<2.9', ./some.whl",
        metavar="PACKAGE",
        default=tuple(parser.preset_list("--packages")),
    )
    if or_lock:
        parser.value("--from", "instead of packages: what this pylock.toml says", metavar="LOCK")
        parser.value("--wheelhouse", "instead of packages: from this folder, without a network", metavar="DIR")
    add_machine(parser)
    parser.value("--torch-source", "who publishes the torch that is picked", choices=("pytorch", "pypi", "auto"))
    parser.switch("--allow-unconfirmed", "also take wheels that a build matrix lists but nobody is known to have used")
    add_catalogue(parser)
    add_installer(parser)


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


def add_catalogue(parser: Parser) -> None:
    """Add what lies over our data: builds, and the names of GPUs."""
    parser.value("--catalogue", "a folder with your own builds, laid over ours", metavar="DIR")


def add_network(parser: Parser) -> None:
    """Add what decides how files are fetched."""
    parser.values("--mirror", "take FROM's files from TO; hashes stay what they are; repeatable", metavar="FROM=TO")
    parser.value("--cert", "a CA bundle, as pip's --cert", metavar="FILE")
    parser.switch("--offline", "no network")


def add_installer(parser: Parser) -> None:
    """Add who installs."""
    parser.value("--installer", "who installs what was fetched", choices=("pip", "uv"))


def add_output(parser: Parser, formats: Sequence[str] = ("text", "json")) -> None:
    """Add how the answer prints."""
    parser.value("--format", "how the answer prints on stdout", choices=formats)
    parser.switch("--quiet", "only the answer and errors", short="-q")
    parser.switch("--verbose", "more of what happens", short="-v")
    parser.switch("--no-color", "no colour, on a terminal too")


def lock_of(options: Options) -> str:
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


def packages_of(options: Options) -> Sequence[str]:
    """Give the packages that were asked for, here, in the environment or by the project. Raises UsageError for none."""
    if not options.packages:
        hints = ["name a PACKAGE", "or list packages in pyproject.toml, below [tool.pascal-install]"]
        if "wheelhouse" in options:
            hints[0] += ", a lock (--from) or a wheelhouse (--wheelhouse)"
        raise UsageError("no package is asked for", code="no-package", hints=tuple(hints))
    packages: Sequence[str] = options.packages
    return packages


def settings_of(options: Options) -> Settings:
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
