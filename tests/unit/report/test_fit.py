"""Lines on a terminal: none too wide, words whole, what follows under what came first."""

import pytest

from pascal_install.report.fit import fit, width_of


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("short", ["short"]),
        ("note  one two three four five six", ["note  one two three four five", "      six"]),
        ("passed over  alpha beta gamma delta", ["passed over  alpha beta gamma", "             delta"]),
        ("  - one two three four five six se", ["  - one two three four five", "    six se"]),
        ("error: one two three four five six", ["error: one two three four five", "       six"]),
        ("GPU     GTX 1080 Ti (6.1)    --gpu", ["GPU     GTX 1080 Ti (6.1)", "        --gpu"]),
        (
            "see https://host.example/a/very/long/address x",
            ["see", "  https://host.example/a/very/long/address", "  x"],
        ),
        ("      deep one two three four five six", ["      deep one two three four", "      five six"]),
    ],
)
def test_lines_are_broken_between_words_and_indented(line: str, shown: list[str]) -> None:
    assert fit(line + "\n", 30).splitlines() == shown


def test_colours_take_no_room() -> None:
    painted = "GPU     \x1b[1mGTX 1080 Ti\x1b[0m (6.1)  \x1b[2m--gpu\x1b[0m"
    assert width_of(painted) == len("GPU     GTX 1080 Ti (6.1)  --gpu")
    assert fit(painted + "\n", width_of(painted)) == painted + "\n"
    assert max(map(width_of, fit(painted + "\n", 26).splitlines())) <= 26


def test_without_a_terminal_nothing_is_broken() -> None:
    line = "note  " + "word " * 100 + "\n"
    assert fit(line, 0) == line
