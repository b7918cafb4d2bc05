"""The files by themselves: the shape of every field, and the sense of every row whose fields can be read."""

from __future__ import annotations

from pascal_install.catalogue.checking.places import Places, fields_told
from pascal_install.catalogue.checking.sense import nonsense
from pascal_install.catalogue.decode import Data, bad_files, decode_all, toml_files


def check_files(directory: str, below: Data | None = None) -> Data:
    """Read a folder of TOML, and check all of it. `below` is the catalogue that it is laid over, if it is.

    Raises DataError with every problem of every file, each with its file, line and field, in the order of the lines.
    """
    labels = [facts.label for facts in below.tables.variants] if below else []
    data, problems = decode_all(directory, labels)
    problems += nonsense(directory, data, below, fields_told(problems))
    if problems:
        raise bad_files(directory, _in_order(Places(directory).with_lines(problems), toml_files(directory)))
    return data


def _in_order(problems: list[str], files: tuple[str, ...]) -> list[str]:
    places = {file: place for place, file in enumerate(files)}

    def place(problem: str) -> tuple[int, int]:
        file, _, rest = problem.partition(":")
        line = rest.partition(":")[0]
        return places.get(file, -1), int(line) if line.isdigit() else 0

    return sorted(dict.fromkeys(problems), key=place)
