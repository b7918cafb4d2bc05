"""The command line in process: exit code, stdout, stderr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pascal_install.cli.main import main

PASCAL = ["--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--platform", "linux_x86_64", "--python-version", "3.12"]


def run(*arguments: str, **environ: str) -> int:
    return main(list(arguments), {**os.environ, **environ})


def test_no_argument_is_a_usage_error_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "usage: pascal-install" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "meant"), [("plam", "plan"), ("instal", "install"), ("explian", "explain")])
def test_a_mistyped_command_is_no_package(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed, "exllamav2", *PASCAL) == 2
    assert f"did you mean: pascal-install {meant}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["plan"], 2, "PACKAGE"),
        (["plan", "exllamav2", "--gpuu", "x"], 2, "--gpuu"),
        (["plan", "exllamav2=0.3.2", *PASCAL], 2, "exllamav2=0.3.2"),
        (["plan", "exllamav2==0.3.x", *PASCAL], 2, "exllamav2==0.3.x"),
        (["plan", "torch", "--gpu", "GTX 900"], 2, "GTX 900"),
        (["plan", "torch", "--gpu", "Voodoo 2"], 2, "Voodoo 2"),
        (["plan", "torch", "--gpu", "6.1", "--driver", "new"], 2, "new"),
        (["plan", "torch", *PASCAL, "--mirror", "nonsense"], 2, "nonsense"),
        (["plan", "torch", "--gpu", "6.1", "--python", "/nowhere/python"], 5, "/nowhere/python"),
        (["plan", "torch", *PASCAL, "--catalogue", "/nowhere"], 6, "/nowhere"),
        (["plan", "torch", "--platform", "win_amd64", "--python-version", "3.12"], 4, "--gpu"),
        (["plan", "exllamav2", "--gpu", "GTX 980"], 3, ""),
    ],
)
def test_bad_input_gets_one_clear_error(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    said = capsys.readouterr()
    assert told in said.err
    assert "Traceback" not in said.err


def test_json_is_one_document_even_for_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "exllamav2", *PASCAL, "--format", "json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["schema"] == 1
    assert [pin["version"] for pin in plan["pins"]] == ["2.6.0+cu124", "0.3.2+cu124.torch2.6.0"]
    assert plan["pins"][0]["coverage"] == {"6.1": {"kind": "cubin", "arch": "sm_60"}}
    assert plan["host"]["cuda"] == "13.0"
    assert run("plan", "exllamav2", "--gpu", "GTX 980", "--format=json") == 3
    refused = json.loads(capsys.readouterr().out)
    assert refused["pins"] == []
    assert refused["error"]["code"] == 3
    assert refused["error"]["rule"] == "kernel-coverage"
    assert run("plan", "torch", "--gpu", "Voodoo 2", "--format", "json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == 2


def test_options_come_from_the_environment_and_the_command_line_wins(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {
        "PASCAL_INSTALL_GPU": "RTX 4090; RTX 3090",
        "PASCAL_INSTALL_DRIVER": "580.95.05",
        "PASCAL_INSTALL_PLATFORM": "linux_x86_64",
        "PASCAL_INSTALL_PYTHON_VERSION": "3.12",
        "PASCAL_INSTALL_FORMAT": "json",
    }
    assert run("plan", "exllamav2", **settings) == 0
    assert [gpu["compute_capability"] for gpu in json.loads(capsys.readouterr().out)["host"]["gpus"]] == ["8.9", "8.6"]
    assert run("plan", "exllamav2", "--gpu", "6.1", **settings) == 0
    assert [gpu["compute_capability"] for gpu in json.loads(capsys.readouterr().out)["host"]["gpus"]] == ["6.1"]
    assert run("plan", "exllamav2", **{**settings, "PASCAL_INSTALL_TORCH_SOURCE": "conda"}) == 2


def test_requirements_and_commands_name_the_pinned_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "exllamav2", *PASCAL, "--format", "requirements") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("torch @ https://download.pytorch.org/whl/cu124/torch-2.6.0%2Bcu124-cp312-cp312-")
    assert "#sha256=" in lines[0]
    mirror = "https://download.pytorch.org/whl=https://user:secret@mirror.example/pytorch"
    assert run("plan", "exllamav2", *PASCAL, "--format", "commands", "--mirror", mirror) == 0
    said = capsys.readouterr().out
    assert "https://mirror.example/pytorch/cu124/torch-2.6.0%2Bcu124" in said
    assert "secret" not in said


def test_explain_lists_every_candidate_with_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "exllamav2", *PASCAL, "--verbose") == 0
    said = capsys.readouterr().out
    assert "picked  0.3.2+cu124.torch2.6.0 (github)" in said
    assert "kernel-coverage: needs code for sm_61" in said
    assert run("explain", "exllamav2", *PASCAL, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["picked"][1].startswith("exllamav2-0.3.2+cu124.torch2.6.0-cp312")
    assert all(candidate["rejections"] or candidate["filename"] for candidate in found["candidates"])


def test_info_tells_how_each_fact_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["support"][0]["last_driver_branch"] == 580
    assert {step["method"] for step in found["host"]["steps"]} >= {"--gpu", "--driver"}


def test_inspect_names_what_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("inspect", str(tmp_path / "nothing.so")) == 2
    assert "nothing.so" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == 0
    said = capsys.readouterr().out
    for word in ("explain", "rollback", "torch-source", "allow-unconfirmed"):
        assert word in said


_TYPED = (
    ("pascal-install pla", "plan"),
    ("pascal-install exllamav", "exllamav2"),
    ("pascal-install plan torch --driv", "--driver"),
    ("pascal-install plan torch --format pyl", "pylock"),
    ("pascal-install torch --torch-source py", "pypi"),
    ("pascal-install catalogue ref", "refresh"),
    ("pascal-install catalogue check --bin", "--binaries"),
    ("pascal-install completion fi", "fish"),
    ("pascal-install exllamav2 --allow", "--allow-unconfirmed"),
)

#: Asks a shell what it would offer for the words of $1, which it has read the script at $2 for.
_ASKS = {
    "bash": """source "$2"; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _pascal_install
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "fish": "source $argv[2]; complete -C $argv[1]",
    # zsh completes in its line editor only: what the function hands to that is printed instead.
    "zsh": """compdef() { :; }; _files() { :; }
compadd() { for one in $@; do [[ $one == $PREFIX* ]] && print -r -- $one; done; }
_describe() { for one in ${(P)2}; do [[ $one == $PREFIX* ]] && print -r -- ${one%%:*}; done; }
source $2; words=(${=1}); CURRENT=$#words; PREFIX=$words[-1]; _pascal_install
""",
}


@pytest.mark.parametrize("shell", sorted(_ASKS))
def test_shells_complete_commands_packages_options_and_values(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    assert run("completion", shell) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    options = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}[shell]
    for typed, expected in _TYPED:
        command = [found, *options, "-c", _ASKS[shell], *([] if shell == "fish" else [shell]), typed, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        assert expected in {line.partition("\t")[0] for line in done.stdout.splitlines()}, (typed, done.stderr)
