"""--help fits 80 columns, ends with a valid example and refers to existing settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from cryptoml.cli.app import COMMANDS, app, run
from cryptoml.config.schema import Config
from cryptoml.settings import Settings

LONGEST_SUMMARY = 45


def command_of(name: str) -> Any:
    group: Any = typer.main.get_command(app)
    return group.commands[name]


def help_of(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def test_the_list_of_commands_shows_each_summary_uncut(capsys, monkeypatch):
    shown = help_of([], capsys, monkeypatch)
    for name, group in COMMANDS.items():
        summary = command_of(name).help.splitlines()[0]
        assert len(summary) <= LONGEST_SUMMARY, name
        assert re.search(rf"^  {name} +{re.escape(summary)}$", shown, re.MULTILINE), name
        assert f"\n{group}:\n" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns_and_ends_with_an_example(name, capsys, monkeypatch):
    shown = help_of([name], capsys, monkeypatch)
    assert max(map(len, shown.splitlines())) <= 80
    assert not re.search(r" <[a-z]", shown), "a type of Python is not a metavar"
    assert "[[" not in shown.splitlines()[0], "typer adds the brackets of an optional argument itself"
    assert "{" not in shown, "typer's braces around a required argument are removed"
    assert "\nOutput:\n" in shown
    assert "\nOptions:\n  -h, --help " in shown, "every other option has a group"
    heading, example = shown.splitlines()[-2:]
    assert heading == "Example:"
    program, command, *arguments = shlex.split(example)
    assert (program, command) == ("cryptoml", name)
    # Parses the options and their values; raises a usage error otherwise.
    command_of(name).make_context(name, arguments)


def test_config_keys_and_variables_named_in_help_exist(capsys, monkeypatch):
    shown = " ".join(" ".join(help_of([name], capsys, monkeypatch).split()) for name in COMMANDS)
    keys = dict(re.findall(r"\[config: ([\w.]+); env: (\w+)\]", shown))
    assert {"training.models", "extract.exchange"} <= keys.keys()
    for key, variable in keys.items():
        section, _, name = key.partition(".")
        assert name in getattr(Config(), section).model_dump(), key
        assert variable == f"CRYPTOML_{section}__{name}".upper()
    settings = {field.alias for field in Settings.model_fields.values()}
    for variable in re.findall(r"\[env: (\w+)\]", shown):
        assert variable in {*settings, "CRYPTOML_SECTION__KEY"}


def test_every_option_has_help_and_a_metavar():
    for name in COMMANDS:
        for parameter in command_of(name).params:
            assert parameter.help, (name, parameter.name)
            if not getattr(parameter, "is_flag", False):
                assert parameter.metavar, (name, parameter.name)


def test_every_command_is_one_file():
    folder = Path(run.__code__.co_filename).parent / "commands"
    files = {file.stem.replace("_", "-") for file in folder.glob("*.py")} - {"--init--"}
    assert files == set(COMMANDS)
