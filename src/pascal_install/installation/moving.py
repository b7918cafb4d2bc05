"""Moving files of an environment away and taking them out of it."""

from __future__ import annotations

import os

from pascal_install.errors import InstallerError
from pascal_install.installation.manifest import compiled_forms, with_parents
from pascal_install.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def move(source: str, destination: str) -> None:
    """Move a file or a folder, to another file system too. Raises InstallerError where something holds it."""
    try:
        _rename(source, destination)
    except OSError as error:
        raise _immovable(source, error) from error


def _rename(source: str, destination: str) -> None:
    try:
        os.replace(source, destination)
    except OSError as error:
        if getattr(error, "errno", None) == 18 or getattr(error, "winerror", None) == 17:  # another file system
            import shutil

            shutil.move(source, destination)
            return
        raise


def _immovable(path: str, error: OSError) -> InstallerError:
    """Word what keeps a file from being moved or taken away."""
    return InstallerError(
        f"cannot move {path}",
        code="file-locked",
        cause=str(error),
        hints=("end the programs that use this environment",),
    )


def remove_folders(folders: Iterable[str]) -> None:
    """Take folders away with all that is in them."""
    import shutil

    for folder in folders:
        if os.path.isdir(folder):
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise _immovable(folder, error) from error


def remove_tree(folder: str) -> None:
    """Take a folder of ours away, as far as that goes."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def remove_files(paths: Sequence[str]) -> None:
    """Take files away, with their compiled forms; of metadata folders all that is in them."""
    remove_folders({os.path.dirname(path) for path in paths if os.path.dirname(path).endswith(".dist-info")})
    for path in (*compiled_forms(paths), *paths):
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _immovable(path, error) from error


def prune(paths: Iterable[str], roots: Sequence[str]) -> None:
    """Take away the folders of these files that have become empty, deepest first."""
    parents = {os.path.dirname(path) for path in paths}
    parents |= {os.path.join(parent, "__pycache__") for parent in parents}
    for folder in sorted(with_parents(parents, roots), key=len, reverse=True):
        try:
            os.rmdir(folder)
        except OSError:
            continue
