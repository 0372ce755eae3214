"""How commands and their options are laid out by --help: in groups, each command with an example at the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLE = "Example:"
# Texts of longer options start in the next line.
LONGEST_NAME = 24


def split_docstring(docstring: str) -> tuple[str, str]:
    """The description and the example of a command function's docstring."""
    description, _, example = docstring.rpartition(EXAMPLE)
    return description.strip(), example.strip()


class Command(TyperCommand):
    """A command whose options are grouped by their `rich_help_panel`; its epilog is the example."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words behind the command; typer puts a required argument in braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the groups of options in the order of the signature, --help last."""
        arguments, options = [], []
        for parameter in self.get_params(ctx):
            name, text = parameter.get_help_record(ctx) or ("", "")
            text = _without_parentheses(text)
            if parameter.param_type_name == "argument":
                # The type is in the metavar.
                arguments.append(("Arguments", (name.partition(" <")[0], text)))
            else:
                group = getattr(parameter, "rich_help_panel", None) or "Options"
                options.append((group, (name, text)))
        _write_groups(formatter, [*arguments, *options])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the example as it is: a command that is broken over lines cannot be copied."""
        if self.epilog:
            with formatter.section(EXAMPLE.removesuffix(":")):
                formatter.write(f"{'':{formatter.current_indent}}{self.epilog}\n")


class CommandGroup(TyperGroup):
    """The list of commands, grouped by their `rich_help_panel`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups in the order of the list of commands."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None) or "Commands"
                rows.append((panel, (name, command.get_short_help_str(formatter.width))))
        _write_groups(formatter, rows)


def _without_parentheses(text: str) -> str:
    """typer puts a default that is described in words in parentheses."""
    return re.sub(r"\[default: \((.*?)\)", r"[default: \1", text)


def _write_groups(formatter: Any, rows: Sequence[tuple[str, tuple[str, str]]]) -> None:
    """Write a section for each group, all with the same width of the first column."""
    groups: dict[str, list[tuple[str, str]]] = {}
    width = min(LONGEST_NAME, max(len(name) for _, (name, _) in rows))
    for group, (name, text) in rows:
        groups.setdefault(group, []).append((f"{name:{width}}", text))
    for group, lines in groups.items():
        with formatter.section(group):
            formatter.write_dl(lines)
