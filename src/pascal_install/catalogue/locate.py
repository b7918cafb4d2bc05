"""Where the catalogue's files are: a given folder, the copy inside the installed package, or the source checkout."""

from __future__ import annotations

import os

from pascal_install.errors import DataError
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMPILED = "_catalogue"


def data_dir(given: str = "", package: str = PACKAGE) -> str:
    """Find the folder of TOML files. Raises DataError where there is none."""
    if given:
        if is_data_dir(given):
            return given
        raise DataError(
            f"no catalogue in {given}",
            code="no-catalogue",
            cause="it holds neither packages/NAME.toml nor cuda.toml, gpus.toml or advice.toml",
            hints=("docs/data.md shows the files",),
        )
    for folder in (os.path.join(package, "resolver_data"), checkout_data_dir(package)):
        if is_data_dir(folder):
            return folder
    raise DataError(
        "the catalogue's files are missing",
        code="no-catalogue",
        cause=f"neither {os.path.join(package, 'resolver_data')} nor {checkout_data_dir(package)} exists",
        hints=("install pascal-install again",),
    )


def compiled_dir(package: str = PACKAGE) -> str:
    """Find the compiled form inside an installed package; empty in a checkout."""
    folder = os.path.join(package, COMPILED)
    return folder if os.path.isfile(os.path.join(folder, "meta.json")) else ""


def checkout_data_dir(package: str = PACKAGE) -> str:
    """Where the TOML stands in a checkout, beside `src`."""
    return os.path.join(os.path.dirname(os.path.dirname(package)), "resolver_data")


def config_dir(environ: Mapping[str, str]) -> str:
    """Give the folder of the person's settings: PASCAL_INSTALL_CONFIG_DIR, else the system's usual place."""
    own = environ.get("PASCAL_INSTALL_CONFIG_DIR")
    if own:
        return own
    usual = environ.get("APPDATA") if os.name == "nt" else environ.get("XDG_CONFIG_HOME")
    home = os.path.expanduser("~")
    base = usual or os.path.join(home, *(("AppData", "Roaming") if os.name == "nt" else (".config",)))
    return os.path.join(base, "pascal-install")


def user_dir(environ: Mapping[str, str]) -> str:
    """Give the person's own catalogue, which lies over ours by itself; it may not exist."""
    return os.path.join(config_dir(environ), "catalogue")


def is_data_dir(folder: str) -> bool:
    """Tell whether a folder holds any of the catalogue's files."""
    names = ("packages", "cuda.toml", "gpus.toml", "advice.toml")
    return any(os.path.exists(os.path.join(folder, name)) for name in names)
