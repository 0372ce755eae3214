"""The layout of --help: commands and options in groups, and an example at the end of each command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLE = "Example:"
# The descriptions of longer options start on the next line.
LONGEST_NAME = 24
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def split_docstring(docstring: str) -> tuple[str, str]:
    """Split the docstring of a command into its description and its example."""
    description, _, example = docstring.rpartition(EXAMPLE)
    return description.strip(), example.strip()


class Command(TyperCommand):
    """A command with options grouped by `rich_help_panel`; the epilog is the example."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the arguments of the usage line, without the braces that typer puts around required ones."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the groups of options in the order of the signature, --help last."""
        arguments, options = [], []
        for parameter in self.get_params(ctx):
            name, description = help_record(parameter, ctx)
            if parameter.param_type_name == "argument":
                arguments.append(("Arguments", (name, description)))
            else:
                group = getattr(parameter, "rich_help_panel", None) or "Options"
                options.append((group, (name, description)))
        _write_groups(formatter, [*arguments, *options])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the example on one line, so that it can be copied."""
        if self.epilog:
            with formatter.section(EXAMPLE.removesuffix(":")):
                formatter.write(f"{'':{formatter.current_indent}}{self.epilog}\n")


class CommandGroup(TyperGroup):
    """The list of commands, grouped by `rich_help_panel`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups in the order of the list of commands."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None) or "Commands"
                rows.append((panel, (name, command.get_short_help_str(formatter.width))))
        _write_groups(formatter, rows)


def help_record(parameter: Any, ctx: Any) -> tuple[str, str]:
    """Return the name of an argument or option and its description, with the default, as --help shows them."""
    name, description = parameter.get_help_record(ctx) or ("", "")
    # typer appends the Python type to the name of an argument and encloses a textual default in parentheses.
    description = re.sub(r" *\[default: \((.*?)\)", r" [default: \1", description)
    return name.partition(" <")[0], re.sub(r"  +\[", " [", description)


def _write_groups(formatter: Any, rows: Sequence[tuple[str, tuple[str, str]]]) -> None:
    """Write a section for each group, all with the same width of the first column."""
    groups: dict[str, list[tuple[str, str]]] = {}
    width = min(LONGEST_NAME, max(len(name) for _, (name, _) in rows))
    for group, (name, text) in rows:
        groups.setdefault(group, []).append((f"{name:{width}}", _without_breaks_in_notes(text)))
    for group, lines in groups.items():
        with formatter.section(group):
            formatter.write_dl(lines)
    formatter.buffer[:] = [written.replace(NO_BREAK_SPACE, " ") for written in formatter.buffer]


def _without_breaks_in_notes(text: str) -> str:
    """Replace spaces in notes such as `[default: now]`, so that only a `;` in them may be followed by a line break."""
    return re.sub(r"\[.*?\]", lambda note: re.sub("(?<!;) ", NO_BREAK_SPACE, note[0]), text)
