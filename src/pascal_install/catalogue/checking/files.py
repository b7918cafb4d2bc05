"""The files by themselves: the shape of every field, then the sense of every row."""

from __future__ import annotations

from pascal_install.catalogue.checking.places import with_line
from pascal_install.catalogue.checking.sense import nonsense
from pascal_install.catalogue.decode import Data, decode
from pascal_install.errors import DataError


def check_files(directory: str, below: Data | None = None) -> Data:
    """Read a folder of TOML, and check all of it. `below` is the catalogue that it is laid over, if it is.

    Raises DataError with every problem, each with its file, line and field; whether rows make sense is asked only
    where all of them can be read.
    """
    labels = [facts.label for facts in below.tables.variants] if below else []
    try:
        data = decode(directory, labels)
    except DataError as error:
        problems = [with_line(directory, problem) for problem in error.cause.split("\n")]
        raise DataError(error.summary, code=error.code, cause="\n".join(problems), hints=error.hints) from error
    problems = nonsense(directory, data, below)
    if problems:
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        raise DataError(
            f"{count} in the catalogue's files in {directory}", code="bad-catalogue", cause="\n".join(problems)
        )
    return data
