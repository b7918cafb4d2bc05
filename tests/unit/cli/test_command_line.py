"""The command line in process: exit code, stdout, stderr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pascal_install.cli.main import main
from support.nvml import build_fake_nvml, fake_nvml_env

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
        (["plan", "exlamav2", *PASCAL], 2, "did you mean: exllamav2"),
        (["plan", "torch", "xformer", *PASCAL], 2, "did you mean: xformers"),
    ],
)
def test_bad_input_gets_one_clear_error(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    said = capsys.readouterr()
    assert told in said.err
    assert "Traceback" not in said.err


def test_a_name_that_is_like_a_known_one_is_taken_with_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "torch", "exllama>=0", *PASCAL) == 0
    assert "exllama>=0  left to pip" in capsys.readouterr().out


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
    unread = json.loads(capsys.readouterr().out)
    assert (list(unread), unread["pins"], unread["error"]["code"]) == (["schema", "pins", "error"], [], 2)


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


@pytest.mark.parametrize("form", ["requirements", "commands"])
def test_without_a_plan_nothing_stands_where_a_file_would_be_filled(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", "exllamav2", "--gpu", "GTX 980", "--format", form) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "every exllamav2 wheel starts at compute capability 6.0" in said.err


def test_pip_can_read_the_requirements_of_a_build_of_pypi(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "torch", *PASCAL, "--torch-source", "pypi", "--format", "requirements") == 0
    lines = capsys.readouterr().out.splitlines()
    # pip strips comments; `--hash` itself would make it ask for one of everything that torch requires.
    read = [requirement for line in lines if (requirement := line.partition("#")[0].strip())]
    assert read == ["torch==2.7.1"]
    assert any("--hash=sha256:" in line for line in lines)


def test_the_installer_decides_whose_commands_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    plan = ("torch", *PASCAL, "--installer", "uv", "--format", "commands")
    for command in (("plan",), ("install", "--dry-run")):
        assert run(*command, *plan) == 0
        assert all(line.startswith("uv pip install ") for line in capsys.readouterr().out.splitlines())
    assert run("install", *plan) == 2
    assert "--dry-run" in capsys.readouterr().err


def test_the_line_of_what_was_passed_over_can_be_pasted_and_tells_of_the_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("plan", "torch<2.9", *PASCAL) == 0
    said = capsys.readouterr().out
    assert "passed over  torch 2.8.0+cu129 (kernel-coverage: no code for sm_61" in said
    assert "`pascal-install explain 'torch<2.9'`" in said


def test_a_jetson_is_told_why_code_for_a_lower_number_is_not_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    jetson = ("--gpu", "Jetson AGX Orin", "--platform", "linux_aarch64", "--python-version", "3.12")
    assert run("plan", "torch==2.6.0", *jetson) == 3
    assert "a Jetson or DRIVE device runs only code that was made for it" in capsys.readouterr().out
    assert run("plan", "torch==2.8.0", "--gpu", "P100", "--platform", "win_amd64", "--python-version", "3.11") == 3
    assert "Jetson" not in capsys.readouterr().out


def test_explain_without_a_plan_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "exllamav2", "--gpu", "GTX 980") == 3
    assert "nothing published serves: exllamav2" in capsys.readouterr().out
    assert run("explain", "exllamav2", "--gpu", "GTX 980", "--format", "json") == 3
    assert json.loads(capsys.readouterr().out)["error"]["rule"] == "kernel-coverage"


def test_explain_lists_every_candidate_with_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "exllamav2", *PASCAL) == 0
    said = capsys.readouterr().out
    assert "picked  0.3.2+cu124.torch2.6.0 (github)" in said
    assert "kernel-coverage: needs code for sm_61" in said
    assert said.count("  [exllamav2@v0.3.2:.github") > 1  # each with its source
    assert run("explain", "exllamav2", *PASCAL, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["picked"][1].startswith("exllamav2-0.3.2+cu124.torch2.6.0-cp312")
    assert all(candidate["rejections"] or candidate["filename"] for candidate in found["candidates"])


def test_info_tells_how_each_fact_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "--gpu", "GTX 1080 Ti", "--driver", "580.95.05", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["support"][0]["last_driver_branch"] == 580
    assert {step["method"] for step in found["host"]["steps"]} >= {"--gpu", "--driver"}


def test_info_knows_the_cards_of_a_catalogue_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = 'schema = 1\ndata_date = "2027-01-02"\n'
    cuda = '[[generation]]\nname = "Ours"\ncapabilities = ["6.9"]\nlast_driver_branch = 999\nsource = "our chip"\n'
    (tmp_path / "cuda.toml").write_text(head + cuda, encoding="utf-8")
    card = '{name = "Our Card", capability = "6.9", source = "our chip"}'
    (tmp_path / "gpus.toml").write_text(f"{head}gpus = [{card}]\n", encoding="utf-8")
    words = ("info", "--gpu", "Our Card", "--driver", "580.95.05", "--format", "json")
    assert run(*words) == 2
    capsys.readouterr()
    assert run(*words, "--catalogue", str(tmp_path)) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["last_driver_branch"] for one in found["support"]] == [999]


def test_info_without_a_gpu_is_one_document_with_the_error_in_it(tmp_path: Path) -> None:
    settings = fake_nvml_env(build_fake_nvml(tmp_path), init=9)
    command = [sys.executable, "-m", "pascal_install", "info", "--format", "json"]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    found = json.loads(done.stdout)
    assert found["error"]["rule"] == "driver-not-loaded"
    assert found["target"]["executable"]
    assert done.stderr.startswith("error: the NVIDIA driver is installed")


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
