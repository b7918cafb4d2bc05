"""TOML to values, with every problem of every file told at once."""

from __future__ import annotations

import hashlib
import os
import sys

from pascal_install.catalogue.decode_package import decode_package
from pascal_install.catalogue.decode_tables import KnownGpu, decode_advice, decode_cuda, decode_gpus
from pascal_install.catalogue.fields import Fields
from pascal_install.errors import DataError
from pascal_install.model.build import CudaTables, Package
from pascal_install.model.cuda import ANY
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = 1


class Data(NamedTuple):
    """One folder of TOML files, decoded."""

    packages: dict[str, Package]
    """With the releases of all platforms, newest first."""
    tables: CudaTables
    gpus: tuple[KnownGpu, ...]
    dates: dict[str, str]
    """Of each file, by its path in the folder: the date of its newest fact."""
    digest: str
    """SHA-256 over the names and bytes of the files."""


def toml_files(directory: str) -> tuple[str, ...]:
    """Name the TOML files of a folder, by their paths in it with forward slashes, in one stable order."""
    packages = os.path.join(directory, "packages")
    names = sorted(os.listdir(packages)) if os.path.isdir(packages) else []
    found = [f"packages/{name}" for name in names if name.endswith(".toml")]
    tables = [
        name for name in ("cuda.toml", "gpus.toml", "advice.toml") if os.path.exists(os.path.join(directory, name))
    ]
    return (*found, *tables)


def digest(directory: str) -> str:
    """Give the SHA-256 over the names and bytes of a folder's TOML files."""
    found = hashlib.sha256()
    for name in toml_files(directory):
        with open(os.path.join(directory, name), "rb") as file:
            content = file.read()
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def decode(directory: str, known_variants: Collection[str] = ()) -> Data:
    """Read a folder. `known_variants` are CUDA variants that another folder's cuda.toml describes.

    Raises DataError that lists each bad field with its file, its path and what was expected.
    """
    data, problems = decode_all(directory, known_variants)
    if problems:
        raise bad_files(directory, problems)
    return data


def bad_files(directory: str, problems: Collection[str]) -> DataError:
    """Word the error of a folder with problems."""
    count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
    return DataError(
        f"{count} in the catalogue's files in {directory}", code="bad-catalogue", cause="\n".join(problems)
    )


def decode_all(directory: str, known_variants: Collection[str] = ()) -> tuple[Data, list[str]]:
    """Read a folder, and list its problems. Where there are some, stand-ins fill the bad fields."""
    problems: list[str] = []
    names = toml_files(directory)
    files = {name: fields for name in names if (fields := _read(directory, name, problems)) is not None}
    dates = {name: _date(fields) for name, fields in files.items()}
    variants, branches, generations = decode_cuda(files.get("cuda.toml"))
    advice = decode_advice(files.get("advice.toml"))
    gpus = decode_gpus(files.get("gpus.toml"))
    unreadable = "cuda.toml" in names and "cuda.toml" not in files
    labels = None if unreadable else sorted({*known_variants, *(facts.label for facts in variants), "cpu", ANY})
    packages = {}
    for name, fields in files.items():
        if name.startswith("packages/"):
            package = decode_package(fields, name.removeprefix("packages/").removesuffix(".toml"), labels)
            packages[package.name] = package
            advice = (*advice, *decode_advice(fields, advice, package.name))
    for fields in files.values():
        fields.close()
    tables = CudaTables(variants, branches, generations, advice)
    return Data(packages, tables, gpus, dates, digest(directory)), problems


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML as it stands, for who needs more of it than its values."""
    return tomllib.loads(text)


def _read(directory: str, name: str, problems: list[str]) -> Fields | None:
    try:
        with open(os.path.join(directory, name), "rb") as file:
            return Fields(tomllib.load(file), f"{name}:", problems)
    except OSError as error:
        problems.append(f"{name}: expected a readable file, found: {error.strerror}")
    except UnicodeDecodeError as error:
        problems.append(f"{name}: expected UTF-8, found byte {error.object[error.start]:#04x} at offset {error.start}")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{name}: expected TOML, found: {error}")
    return None


def _date(fields: Fields) -> str:
    from datetime import date

    if fields.integer("schema", required=True) not in (SCHEMA, None):
        fields.reject("schema", str(SCHEMA))
    return fields.parsed("data_date", lambda text: date.fromisoformat(text).isoformat(), "a date like 2026-11-23", "")
