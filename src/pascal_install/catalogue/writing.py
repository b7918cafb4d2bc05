"""Catalogue files are written all together or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping

from pascal_install.errors import DataError, InstallerError


def write_files(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Write all files aside, then give them their names; give their paths. Raises InstallerError: nothing changed."""
    aside: list[tuple[str, str]] = []
    try:
        for path, text in texts.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=os.path.dirname(path), prefix=".", suffix=".part", delete=False, encoding="utf-8", newline=""
            ) as file:
                aside.append((file.name, path))
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(file.name, os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644)
    except OSError as error:
        for part, _ in aside:
            with contextlib.suppress(OSError):
                os.unlink(part)
        raise InstallerError(
            f"cannot write {error.filename or 'the catalogue'}", code="cannot-write", cause=error.strerror or str(error)
        ) from error
    for part, path in aside:
        os.replace(part, path)
    return tuple(texts)


def cannot_edit(cause: str) -> DataError:
    """Word that a file is in a form whose lines cannot be changed one by one."""
    hint = "write each [[release]] as docs/data.md shows it, one wheel a line"
    return DataError(
        "the file is written in a way that cannot be edited", code="cannot-edit", cause=cause, hints=(hint,)
    )
