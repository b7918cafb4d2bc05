"""Every failure that a user can meet: one base class, one family for each exit code.

An error says three things apart: what went wrong (`summary`), the facts behind it (`cause`) and what to do (`hints`).
`report.text` words them for a terminal, `report.document` as JSON; nothing else prints them.
"""

from __future__ import annotations

from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import ClassVar


class PascalInstallError(Exception):
    """Base of all errors that are reported without a traceback.

    `code` names the error for scripts ("driver-not-loaded"); families set a default, each raise may be more precise.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "internal-error"

    def __init__(self, summary: str, *, code: str = "", cause: str = "", hints: tuple[str, ...] = ()) -> None:
        super().__init__(summary)
        self.summary = summary
        self.code = code or self.default_code
        self.cause = cause
        self.hints = hints


class UsageError(PascalInstallError):
    """A command line or a setting that cannot be understood."""

    exit_code = 2
    default_code = "usage"


class UnsatisfiableError(PascalInstallError):
    """No published build runs here; the plan document carries the rejections."""

    exit_code = 3
    default_code = "unsatisfiable"


class HostError(PascalInstallError):
    """The machine's GPU or driver cannot be found out."""

    exit_code = 4
    default_code = "host"


class TargetError(PascalInstallError):
    """The Python environment to install into is missing, unsupported or must not be changed."""

    exit_code = 5
    default_code = "target"


class DataError(PascalInstallError):
    """A catalogue, lock, configuration or binary file is malformed."""

    exit_code = 6
    default_code = "data"


class NetworkError(PascalInstallError):
    """An index or a file host did not answer as it should."""

    exit_code = 7
    default_code = "network"


class InstallerError(PascalInstallError):
    """pip or uv failed; the environment is as it was before."""

    exit_code = 8
    default_code = "installer"


class VerificationError(PascalInstallError):
    """A hash differs, or what arrived lacks what the plan promised; the environment is as it was before."""

    exit_code = 9
    default_code = "verification"
