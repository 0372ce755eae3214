"""Invalid command lines: exit code 2, the error and the command that shows help."""

from __future__ import annotations

import pytest

from cryptoml.cli.app import run


@pytest.mark.parametrize(
    ("arguments", "fact", "hint"),
    [
        (["nonsense"], "No such command 'nonsense'.", "cryptoml --help"),
        (["train", "-v"], "No such option: -v", "cryptoml train --help"),
        (["train", "--models"], "Option '--models' requires an argument.", "cryptoml train --help"),
        (["compare", "--last", "0"], "Invalid value for '--last'", "cryptoml compare --help"),
    ],
)
def test_a_usage_error_names_the_problem_and_the_help_command(arguments, fact, hint, capsys):
    assert run(arguments) == 2
    told = capsys.readouterr()
    first, second = told.err.splitlines()
    assert first.startswith(f"cryptoml: {fact}")
    assert second == f"Hint: {hint}"
    assert told.out == ""


def test_without_a_command_only_the_help_is_shown(capsys):
    assert run([]) == 2
    assert capsys.readouterr().err.startswith("Usage: cryptoml")
