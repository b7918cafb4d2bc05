"""Choose, prove and install the CUDA wheels that really run on a machine's NVIDIA GPU."""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING
from pascal_install.version import __version__

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pascal_install.actions import Installed
    from pascal_install.api import SettingsFields
    from pascal_install.model.plan import Plan

__all__ = ["__version__", "install", "plan"]


def plan(*packages: str, **settings: Unpack[SettingsFields]) -> Plan:
    """Resolve: which wheels run on that machine. The keyword arguments are the fields of `api.Settings`.

    Raises the families of `errors` where a fact cannot be found out. That nothing serves is an answer: `Plan.problem`.
    """
    import os

    from pascal_install.api import make_plan, make_settings

    return make_plan(packages, make_settings(settings), os.environ)


def install(*packages: str, **settings: Unpack[SettingsFields]) -> Installed:
    """Resolve, fetch, install and verify. The keyword arguments are the fields of `api.Settings`.

    Raises the families of `errors`; whatever is raised, the environment is as it was before.
    """
    import os

    from pascal_install.actions import make_install
    from pascal_install.api import make_settings
    from pascal_install.installation.hooks import SILENT

    return make_install(packages, make_settings(settings), os.environ, SILENT)
