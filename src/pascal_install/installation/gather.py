"""Everything that is to come, on disk and checked, before the environment is touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pascal_install import process
from pascal_install.errors import InstallerError, VerificationError
from pascal_install.installation.backend import failure
from pascal_install.installation.dependencies import settings_environ
from pascal_install.installation.needs import same_version
from pascal_install.installation.preconditions import UNPACKED_FACTOR, check_space
from pascal_install.installation.prefetch import Fetched, File, prefetch, why_unwritable
from pascal_install.installation.selection import Selected, Work, with_sizes
from pascal_install.installation.transaction import Incoming
from pascal_install.installation.uv_cache import fetch_with_uv
from pascal_install.installation.wheelfile import read_wheel
from pascal_install.installation.wheelstore import sha256_of
from pascal_install.model.address import redact

_BUILD_TIMEOUT_S = 3600.0


def gather(selected: Sequence[Selected], work: Work) -> dict[str, Incoming]:
    """Fetch the files and build what is published as source only; give the wheels by name.

    Where uv will install them, it fetches into its own cache what it can; otherwise all of them are files.
    """
    found: dict[str, Incoming] = {}
    if work.uv and not work.offline:
        found = fetch_with_uv(selected, work, work.uv)
    selected = [one for one in selected if one.name not in found]
    if not selected:
        return found
    work.hooks.on_phase("download", str(len(selected)))
    fetched = fetch_files([one.file for one in selected], work)
    for one in selected:
        got = fetched[one.file.filename]
        path = got.path if one.is_wheel else _build(one, got.path, work)
        facts = read_wheel(path)
        if facts.name != one.name or not same_version(facts.version, one.version):
            raise VerificationError(
                f"{one.file.filename} is not {one.name} {one.version}",
                code="wrong-wheel",
                cause=f"its METADATA says {facts.name} {facts.version}",
            )
        sha256 = got.sha256 if one.is_wheel else sha256_of(path)
        found[one.name] = Incoming(path, facts, redact(one.file.urls[0]), sha256, got.from_cache)
    return found


def fetch_files(files: Sequence[File], work: Work) -> dict[str, Fetched]:
    """Bring files onto the disk; those that lie on it already (the person's --find-links) stay where they are."""
    local = [file for file in files if file.urls[0].startswith("file:")]
    remote = with_sizes([file for file in files if file not in local], work)
    to_fetch = sum(work.store.missing_bytes(file) for file in remote if work.store.find(file) is None)
    unpacked = sum(file.size_bytes or 0 for file in remote) * UNPACKED_FACTOR
    place = work.folder if to_fetch and why_unwritable(work.store.folder) else work.store.folder
    check_space(work.plan.target, place, work.folder, to_fetch, int(unpacked))
    fetched = prefetch(remote, work.store.folder, work.fetcher, workers=work.workers, progress=work.progress)
    fetched.update((file.filename, _local(file)) for file in local)
    return fetched


def _local(file: File) -> Fetched:
    path = url2pathname(urlsplit(file.urls[0]).path)
    found = sha256_of(path)
    if file.sha256 and found != file.sha256:
        raise VerificationError(
            f"{path} is not the file that was chosen",
            code="hash-mismatch",
            cause=f"expected sha256 {file.sha256}, found {found}",
        )
    return Fetched(path, found, from_cache=True)


def _build(selected: Selected, path: str, work: Work) -> str:
    """Build the wheel of a source distribution, while the environment is still untouched."""
    work.hooks.on_phase("build", f"{selected.name} {selected.version}")
    folder = os.path.join(work.folder, "built", selected.name)
    command = (*work.pip.command, "wheel", "--no-deps", "--no-input", "--wheel-dir", folder, path)
    environ = settings_environ(work.environ)
    try:
        done = process.run(command, env=environ, timeout_s=_BUILD_TIMEOUT_S, on_line=work.hooks.on_line)
    except (OSError, process.ProcessTimeout) as error:
        raise InstallerError(f"building {selected.name} did not end", code="build", cause=str(error)) from error
    if done.returncode != 0:
        raise failure("pip", done)
    return os.path.join(folder, os.listdir(folder)[0])
