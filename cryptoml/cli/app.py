"""The `cryptoml` program: the list of commands, and the conversion of errors into exit codes."""

from __future__ import annotations

import gc
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer

from cryptoml import __version__
from cryptoml.cli.help import CommandGroup
from cryptoml.cli.invocation import Invocation
from cryptoml.cli.outcome import Outcome
from cryptoml.cli.register_commands import CommandResult, register_commands
from cryptoml.cli.streams import (
    BROKEN_PIPE_EXIT_CODE,
    DISK_FULL,
    exit_after_signal,
    exit_with,
    open_streams,
    queue_result,
)
from cryptoml.errors import CryptomlError, StoppedError
from cryptoml.result import Failure, json_line
from cryptoml.system import environment, stopping

# Command -> its group in --help. Each command is a function in the file of the same name in cli/commands/.
COMMANDS = {
    "setup-remotes": "Project",
    "doctor": "Project",
    "sample-data": "Data",
    "extract-data": "Data",
    "inspect": "Data",
    "transform-data": "Data",
    "audit": "Data",
    "push-data": "Data",
    "pull-data": "Data",
    "tune": "Runs",
    "train": "Runs",
    "compare": "Runs",
    "backtest": "Runs",
    "reproduce": "Runs",
    "sync": "Runs",
    "ui": "Runs",
    "register": "Registry",
    "promote": "Registry",
    "versions": "Registry",
    "show": "Registry",
    "predict": "Forecasts",
    "monitor": "Forecasts",
}

# Importing mlflow and scikit-learn creates a million objects that stay. At Python's default of 700 new objects between
# two garbage collections, these take a fifth of a short command's CPU time.
OBJECTS_BETWEEN_COLLECTIONS = 100_000

app = typer.Typer(
    name="cryptoml",
    cls=CommandGroup,
    help="From crypto candles to a tracked, registered, promotable price model.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
register_commands(app, COMMANDS)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"cryptoml {__version__}")
        raise typer.Exit


@app.callback()
def root(
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show the traceback of an unexpected error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Define the options of `cryptoml` itself."""


def main() -> NoReturn:
    """Run the command line and exit with its exit code."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    invocation = Invocation(sys.argv[1:], COMMANDS)
    open_streams()
    try:
        environment.prepare()
    except CryptomlError as error:
        exit_with(_report(invocation, failure=Failure.of(error)))

    def last_line(code: int, message: str) -> str:
        return f"{json_line(invocation.schema, failure=Failure(code, message))}\n" if invocation.wants_json else ""

    def run_and_exit() -> NoReturn:
        try:
            stopping.accept_signals()
            exit_with(_run(invocation))
        except StoppedError as stopped:
            _print_error(f"cryptoml: {stopping.STOPPED}")
            exit_after_signal(stopped.exit_code, last_line(stopped.exit_code, stopping.STOPPED))

    stopping.run_stoppable(run_and_exit, on_signal=_mark_stopped, on_killed=last_line)


def _mark_stopped(worker: int, signal_number: int) -> None:
    """Mark the runs of the process as KILLED, in case it is killed before it can end them itself."""
    from cryptoml.settings import load_settings
    from cryptoml.tracking.tracker import project_journal

    project_journal(load_settings()).mark_stopped(worker, signal_number)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Errors are printed on standard error and included in the JSON."""
    return _run(Invocation(arguments, COMMANDS))


def _run(invocation: Invocation) -> int:
    outcome: Outcome[Any] | None = None
    try:
        command = typer.main.get_command(app)
        returned: Any = command.main(
            args=list(invocation.arguments), prog_name="cryptoml", standalone_mode=False, obj=invocation
        )
        if not isinstance(returned, CommandResult):
            # --help and --version.
            return returned if isinstance(returned, int) else 0
        outcome = returned.outcome
        if returned.as_text:
            outcome.show()
        is_shown = outcome.failure_shown and returned.as_text
        return _report(invocation, outcome=outcome, failure=outcome.failure, is_shown=is_shown)
    except (BrokenPipeError, SystemExit) as error:
        # The reader closed the pipe (`| head`). typer turns the BrokenPipeError into a SystemExit.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        return BROKEN_PIPE_EXIT_CODE
    except Exception as error:  # noqa: BLE001 - reports unexpected errors of any type with exit code 1
        stopping.raise_if_stopped()
        if type(error).__name__ == "NoArgsIsHelpError":
            _print_error(str(error))
            return 2
        return _report(invocation, outcome=outcome, failure=_failure_of(error, invocation))


def _report(
    invocation: Invocation,
    *,
    outcome: Outcome[Any] | None = None,
    failure: Failure | None = None,
    is_shown: bool = False,
) -> int:
    """Print the failure, queue the JSON document and return the exit code."""
    if failure is not None and not is_shown:
        _print_error(f"cryptoml: {failure.message}")
        if failure.hint:
            _print_error(f"Hint: {failure.hint}")
    if invocation.wants_json:
        document = outcome.document if outcome is not None else None
        queue_result(f"{json_line(invocation.schema, result=document, failure=failure)}\n")
    return failure.code if failure is not None else 0


def _failure_of(error: Exception, invocation: Invocation) -> Failure:
    if isinstance(error, CryptomlError):
        return Failure.of(error)
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else f"cryptoml {invocation.command}".rstrip()
        return Failure(int(error.exit_code), error.format_message(), f"{command} --help")
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Failure(5, f"{error.filename or 'the output'}: the disk is full.", "free some space")
    if type(error).__name__ == "Abort":
        return Failure(130, "stopped.")
    hint = f"{shlex.join(['cryptoml', '-v', *invocation.arguments])} shows the traceback"
    if "-v" in invocation.arguments or "--verbose" in invocation.arguments:
        traceback.print_exc()
        hint = ""
    return Failure(1, f"unexpected error: {type(error).__name__}: {error}", hint)


def _print_error(text: str) -> None:
    from cryptoml.cli.console import printable

    with suppress(OSError):
        print(printable(text), file=sys.stderr)  # noqa: T201 - errors are printed here only
