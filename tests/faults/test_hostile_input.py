"""Names, versions and addresses that try to become options of pip, paths, other schemes or steps of the terminal.

The commands run in this process under an audit hook (PEP 578), which sees every child and every file that is written.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pascal_install.cli.main import main

GPU = ("--gpu", "GTX 1080 Ti", "--driver", "580.95.05")
ELSEWHERE = ("--platform", "linux_x86_64", "--python-version", "3.12")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Seen(NamedTuple):
    """What one command did and said."""

    code: int
    said: str
    children: list[list[str]]
    written: list[str]


_children: list[list[str]] = []
_written: list[str] = []
_listening = [False]


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening[0]:
        return
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        _children.append([os.fsdecode(word) for word in arguments[1]])
    elif event == "os.system":
        _children.append([str(arguments[0])])
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and isinstance(arguments[2], int):
        if arguments[2] & _WRITES:
            _written.append(os.path.abspath(os.fsdecode(arguments[0])))
    elif event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link"):
        _written.append(os.path.abspath(os.fsdecode(arguments[-2 if event in ("os.symlink", "os.link") else 0])))


sys.addaudithook(_hear)


def types(words: Sequence[str], cache: Path) -> Seen:
    """Run a command in this process."""
    _children.clear()
    _written.clear()
    out = io.StringIO()
    environ = {**os.environ, "PASCAL_INSTALL_CACHE_DIR": str(cache)}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        _listening[0] = True
        try:
            code = main(list(words), environ)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            _listening[0] = False
    return Seen(code, out.getvalue(), list(_children), list(_written))


def check(seen: Seen, cache: Path, hostile: str, codes: Sequence[int]) -> None:
    """Nothing of it reached a child, a file outside of our cache, or the terminal as it was."""
    assert seen.code in codes, seen.said
    assert not [words for words in seen.children if "pip" in words or "uv" in os.path.basename(words[0])]
    assert not [words for words in seen.children if any(hostile and hostile in word for word in words)]
    allowed = (str(cache), os.environ["TMPDIR"], os.devnull)
    assert not [path for path in seen.written if not path.startswith(allowed) and "__pycache__" not in path]
    assert all(character.isprintable() or character == "\n" for character in seen.said)
    assert "Traceback" not in seen.said


REQUIREMENTS = [
    "--index-url=https://evil.example/simple",
    "-r/etc/passwd",
    "--pre",
    "torch --index-url https://evil.example/simple",
    "torch\n--index-url=https://evil.example/simple",
    "torch==2.6.0\r--pre",
    "torch @ git+ssh://git@evil.example/torch",
    "torch @ ftp://evil.example/torch-2.6.0-py3-none-any.whl",
    "torch @ file:///etc/passwd",
    "git+https://evil.example/torch",
    "file:///etc/passwd",
    "../../etc/passwd",
    "/etc/passwd",
    "torch;os_name=='posix'",
    "\x1b[2J\x1b]0;owned\x07torch",
    "torch==\x1b[31m2.6.0",
    "torch\u202etxt",
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    "torch; touch /tmp/owned",
    "",
    " ",
    "-",
    "--",
]


@pytest.mark.parametrize("hostile", REQUIREMENTS)
@pytest.mark.parametrize("command", ["plan", "explain", "install", "lock", "download"])
def test_requirements(command: str, hostile: str, tmp_path: Path) -> None:
    seen = types([command, hostile, *GPU, *(ELSEWHERE if command != "install" else ())], tmp_path)
    check(seen, tmp_path, hostile, (2, 3))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
@example("torch[evil]")
@example("exllamav2==0.3.2;--pre")
def test_any_requirement(tmp_path: Path, hostile: str) -> None:
    seen = types(["plan", hostile, *GPU, *ELSEWHERE], tmp_path)
    # A name that happens to be a package of the catalogue is answered; `-h` is asked for help.
    check(seen, tmp_path, "", (0, 2, 3))


OPTIONS = ["--gpu", "--driver", "--python-version", "--abi", "--platform", "--torch-source", "--mirror", "--installer"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(OPTIONS), st.text(max_size=30))
@example("--mirror", "https://download.pytorch.org/whl=file:///etc")
@example("--gpu", "6.1\x1b[2J")
@example("--driver", "580.95.05\n--pre")
def test_any_value_of_an_option(tmp_path: Path, option: str, hostile: str) -> None:
    seen = types(["plan", "torch", *GPU, *ELSEWHERE, f"{option}={hostile}"], tmp_path)
    check(seen, tmp_path, "", (0, 2, 3, 4, 5))


PACKAGE = """\
schema = 1
name = {name}
import_name = "torch"
role = "torch"
data_date = "2026-11-23"
[sources]
[[index]]
id = "pytorch"
page = {page}
file = {file}
[[release]]
version = {version}
variant = "cu124"
os = "linux"
machine = "x86_64"
index = "pytorch"
architectures = ["sm_60"]
confidence = "binary"
source = "made for a test"
wheels = [{{tag = {tag}, sha256 = {sha256}}}]
"""
SOUND = {
    "name": "torch",
    "page": "https://download.pytorch.org/whl/{variant}",
    "file": "https://download.pytorch.org/whl/{variant}/{quoted}",
    "version": "2.6.0+cu124",
    "tag": "cp312-cp312-linux_x86_64",
    "sha256": "0" * 64,
}


def overlay(folder: Path, **fields: str) -> Path:
    (folder / "packages").mkdir(parents=True, exist_ok=True)
    text = PACKAGE.format(**{name: json.dumps(value) for name, value in (SOUND | fields).items()})
    (folder / "packages/torch.toml").write_text(text, encoding="utf-8")
    return folder


def test_the_sound_overlay_is_taken(tmp_path: Path) -> None:
    folder = overlay(tmp_path / "overlay")
    assert types(["plan", "torch==2.6.0", *GPU, *ELSEWHERE, "--catalogue", str(folder)], tmp_path / "c").code == 0


@pytest.mark.parametrize(
    ("field", "hostile"),
    [
        ("name", "--index-url"),
        ("name", "../../torch"),
        ("name", "torch\n--pre"),
        ("version", "2.6.0 --pre"),
        ("version", "2.6.0+cu124\x1b[2J"),
        ("version", "../../2.6.0"),
        ("file", "file:///etc/passwd"),
        ("file", "git+ssh://evil.example/{quoted}"),
        ("file", "ftp://evil.example/{quoted}"),
        ("page", "file:///etc"),
        ("file", "https://me:s3cret@evil.example/{quoted}"),
        ("file", "https://evil.example/a b\x1b[2J/{quoted}"),
        ("page", "--extra-index-url https://evil.example"),
        ("tag", "../../../tmp/owned"),
        ("tag", "cp312-cp312-linux_x86_64/../../x"),
        ("tag", "cp312-cp312-\x1b[2J"),
        ("sha256", "../" * 21 + "x"),
        ("sha256", "0" * 63 + "\n"),
    ],
)
def test_overlays(field: str, hostile: str, tmp_path: Path) -> None:
    folder = overlay(tmp_path / "overlay", **{field: hostile})
    for command in ("plan", "install"):
        where = ELSEWHERE if command == "plan" else ()
        words = [command, "torch==2.6.0", *GPU, *where, "--catalogue", str(folder)]
        check(types(words, tmp_path / "c"), tmp_path / "c", hostile, (6,))
