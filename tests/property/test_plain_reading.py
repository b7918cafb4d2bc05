"""What is read without argparse, json, packaging and shlex is what these read."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from pascal_install.cli.argparsing import parse
from pascal_install.cli.main import COMMANDS
from pascal_install.cli.parser import Parser
from pascal_install.errors import UsageError
from pascal_install.model.specifier import read_exact
from pascal_install.read_json import read_json
from pascal_install.report.text import shell_line

ENVIRON = {"PASCAL_INSTALL_GPU": "1080 Ti; P40", "PASCAL_INSTALL_PACKAGES": "torch", "PASCAL_INSTALL_QUIET": "1"}
WORDS = (
    "torch",
    "exllamav2==0.3.2",
    "",
    "-",
    "a b",
    "--",
    "-x",
    "--nothing",
    "-1",
    "json",
    "bash",
    "uv",
    "=",
    "--gpu=",
)


def parser_of(command: str) -> Parser:
    made: Parser = import_module(f"pascal_install.cli.{command}").parser(ENVIRON)
    return made


@given(st.data(), st.sampled_from(sorted({*COMMANDS, "catalogue_check", "catalogue_list", "catalogue_refresh"})))
def test_a_plain_command_line_reads_as_argparse_reads_it(data: st.DataObject, command: str) -> None:
    parser = parser_of(command)
    flags = [flag for one in parser.declared for flag in one.names if flag.startswith("-")]
    choices = [choice for one in parser.declared for choice in one.choices]
    word = st.sampled_from([*WORDS, *choices, *flags]) | st.text(max_size=3)
    # argparse loses a value `--`, even behind an equals sign.
    values = st.sampled_from([value for value in (*WORDS, *choices) if value != "--"])
    joined = st.tuples(st.sampled_from(flags), values).map("=".join)
    arguments = data.draw(st.lists(word | joined, max_size=6))
    plain = parser.read_plain(arguments)
    if plain is not None:
        assert parse(parser, arguments) == plain


def test_lines_that_people_type_are_plain_and_others_are_not() -> None:
    plan = parser_of("plan")
    line = ["exllamav2", "--gpu", "1080ti", "--driver=580.95.05", "torchvision", "-q", "--gpu", "P40"]
    read = plan.read_plain(line)
    assert read is not None
    assert read["packages"] == ["exllamav2", "torchvision"]
    assert read["gpu"] == ["1080ti", "P40"]
    assert (read["driver"], read["quiet"], read["python"]) == ("580.95.05", True, "")
    for other in (["--help"], ["--dirver", "580"], ["torch", "--gpu"], ["--format", "yaml"], ["--quiet=1"]):
        assert plan.read_plain(other) is None


def test_options_and_packages_may_be_mixed_whoever_reads() -> None:
    plan = parser_of("plan")
    assert parse(plan, ["torch", "--gpu", "P40", "torchvision", "-qv"])["packages"] == ["torch", "torchvision"]
    with pytest.raises(UsageError, match="--nothing"):
        plan.parse_args(["torch", "--nothing"])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON, st.sampled_from(("", " ", "\n\t")))
def test_json_reads_as_json_reads_it(value: Any, blank: str) -> None:
    text = blank + json.dumps(value, ensure_ascii=False) + blank
    assert repr(read_json(text)) == repr(json.loads(text))
    assert repr(read_json(text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass"))) == repr(value)


@given(st.text('{}[]",:0123456789.eE-+ntf\\u \n', max_size=12))
@example("")
@example("[1] 2")
@example("[NaN, -Infinity]")
def test_what_is_no_json_is_an_error_for_both(text: str) -> None:
    assert _read(read_json, text) == _read(json.loads, text)


def _read(reader: Callable[[str], Any], text: str) -> str:
    try:
        return repr(reader(text))
    except ValueError:
        return "no JSON"


def test_json_numbers_are_numbers() -> None:
    assert math.isnan(read_json("NaN"))


_NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
_ENDS = st.sampled_from(("", "+cu124", "+cu124.torch2.6.0", ".post1", "rc1", ".dev2", "a0+cpu"))


@given(_NUMBERS, _NUMBERS, _ENDS)
@example("2.6", "2.6.0", "+cu124")
def test_an_exact_version_is_read_as_packaging_reads_it(asked: str, number: str, end: str) -> None:
    exact = read_exact(f"=={asked}")
    assert exact is not None
    assert exact.contains(number + end) == SpecifierSet(f"=={asked}").contains(number + end, prereleases=True)
    assert str(exact) == f"=={asked}"


@pytest.mark.parametrize("specifier", ["==2.6.*", "==2.6.0+cu124", "==2.6rc1", ">=2.6", "===2.6", "==", "==2.6,<3"])
def test_other_versions_are_left_to_packaging(specifier: str) -> None:
    assert read_exact(specifier) is None


@given(st.lists(st.text(max_size=5)))
@example(["it's", "a b", "", "$HOME", "é", "a=b+c.whl"])
def test_commands_are_quoted_as_shlex_quotes_them(command: list[str]) -> None:
    assert shell_line(command) == shlex.join(command)
