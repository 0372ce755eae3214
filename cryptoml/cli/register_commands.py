"""Registers the functions in `cli/commands/` as commands, with help, example and --json."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Annotated, Any

import typer

from cryptoml.cli.help import Command, split_docstring
from cryptoml.cli.invocation import JSON_OPTION, Invocation
from cryptoml.cli.outcome import Outcome
from cryptoml.cli.streams import reserve_stdout

CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
AS_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option(
            JSON_OPTION, rich_help_panel="Output", help="Print the result, or the error, as single-line JSON."
        ),
    ],
)


WITH_TEXT = inspect.Parameter(
    "with_text",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option(
            "--text", rich_help_panel="Output", help="With --json: also print the result as text, on standard error."
        ),
    ],
)


@dataclass(frozen=True)
class CommandResult:
    """The outcome of a command, and whether to print it as JSON, as text, or both."""

    outcome: Outcome[Any]
    as_json: bool
    as_text: bool


def command_function(name: str) -> Callable[..., Outcome[Any]]:
    """Return the function of a command: `train_model` in `cli/commands/train_model.py` for `train-model`."""
    name = name.replace("-", "_")
    function: Callable[..., Outcome[Any]] = getattr(import_module(f"cryptoml.cli.commands.{name}"), name)
    return function


def register_commands(app: typer.Typer, commands: Mapping[str, str]) -> None:
    """Add the commands; `commands` maps each name to its group in --help."""
    for name, group in commands.items():
        function = command_function(name)
        description, example = split_docstring(inspect.getdoc(function) or "")
        register = app.command(name, cls=Command, help=description, epilog=example, rich_help_panel=group)
        register(_with_json(function))


def _with_json(function: Callable[..., Outcome[Any]]) -> Callable[..., CommandResult]:
    signature = inspect.signature(function, eval_str=True)

    @wraps(function)
    def call(*, context: typer.Context, as_json: bool, with_text: bool, **options: Any) -> CommandResult:
        if isinstance(context.obj, Invocation):
            context.obj.as_json = as_json
        if as_json:
            reserve_stdout()
        return CommandResult(function(**options), as_json, with_text or not as_json)

    parameters = [*signature.parameters.values(), CONTEXT, AS_JSON, WITH_TEXT]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call
