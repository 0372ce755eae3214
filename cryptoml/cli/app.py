"""The `cryptoml` command: its list of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
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
from cryptoml.cli.register_commands import Ended, register_commands
from cryptoml.cli.streams import READER_GONE, leave, leave_stopped, open_streams, say_last
from cryptoml.errors import CryptomlError, StoppedError
from cryptoml.result import Failure, json_line
from cryptoml.system import environment, stopping

# Each command is a function of the same name in a file of the same name in cli/commands/, and has its group here.
COMMANDS = {
    "setup-remotes": "Project",
    "doctor": "Project",
    "sample-data": "Data",
    "extract-data": "Data",
    "transform-data": "Data",
    "push-data": "Data",
    "pull-data": "Data",
    "train": "Runs",
    "compare": "Runs",
    "sync": "Runs",
    "ui": "Runs",
    "register": "Registry",
    "promote": "Registry",
    "predict": "Forecasts",
    "monitor": "Forecasts",
}

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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cryptoml {__version__}")
        raise typer.Exit


@app.callback()
def root(
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show the traceback of an unexpected error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hold the options of every command."""


def main() -> NoReturn:
    """Run the command line and leave with the documented exit code."""
    invocation = Invocation(sys.argv[1:], COMMANDS)
    open_streams()
    try:
        environment.prepare()
    except CryptomlError as error:
        leave(_end(invocation, failure=Failure.of(error)))

    def last_line(code: int, message: str) -> str:
        return f"{json_line(invocation.schema, failure=Failure(code, message))}\n" if invocation.wants_json else ""

    def run_and_leave() -> NoReturn:
        try:
            leave(run(invocation.arguments))
        except StoppedError as stopped:
            _say(f"cryptoml: {stopping.STOPPED}")
            leave_stopped(stopped.exit_code, last_line(stopped.exit_code, stopping.STOPPED))

    stopping.run_stoppable(run_and_leave, on_signal=_note_signal, on_killed=last_line)


def _note_signal(worker: int, signal_number: int) -> None:
    """Should the process not get to end its runs, they are to count as KILLED."""
    from cryptoml.settings import load_settings
    from cryptoml.tracking.tracker import project_journal

    project_journal(load_settings()).mark_stopped(worker, signal_number)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Errors go to standard error in a line or two, and into the JSON."""
    invocation = Invocation(arguments, COMMANDS)
    outcome: Outcome[Any] | None = None
    try:
        command = typer.main.get_command(app)
        ended: Any = command.main(args=list(arguments), prog_name="cryptoml", standalone_mode=False)
        if not isinstance(ended, Ended):
            # --help and --version.
            return ended if isinstance(ended, int) else 0
        outcome = ended.outcome
        if not ended.as_json:
            outcome.show()
        shown = outcome.failure_shown and not ended.as_json
        return _end(invocation, outcome=outcome, failure=outcome.failure, is_shown=shown)
    except (BrokenPipeError, SystemExit) as error:
        # The reader of our output went away (`| head`): there is nobody left to tell. typer makes it a SystemExit.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        return READER_GONE
    except Exception as error:  # noqa: BLE001 - the last catcher: an unexpected error gets exit code 1 and a short line
        stopping.raise_if_stopped()
        if type(error).__name__ == "NoArgsIsHelpError":
            _say(str(error))
            return 2
        return _end(invocation, outcome=outcome, failure=_failure_of(error, arguments))


def _end(
    invocation: Invocation,
    *,
    outcome: Outcome[Any] | None = None,
    failure: Failure | None = None,
    is_shown: bool = False,
) -> int:
    """Report the failure, keep the JSON for the end of the process, return the exit code."""
    if failure is not None and not is_shown:
        _say(f"cryptoml: {failure.message}")
        if failure.hint:
            _say(f"Hint: {failure.hint}")
    if invocation.wants_json:
        document = outcome.document if outcome is not None else None
        say_last(f"{json_line(invocation.schema, result=document, failure=failure)}\n")
    return failure.code if failure is not None else 0


def _failure_of(error: Exception, arguments: Sequence[str]) -> Failure:
    if isinstance(error, CryptomlError):
        return Failure.of(error)
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):
        at = getattr(error, "ctx", None)
        return Failure(int(error.exit_code), error.format_message(), f"{at.command_path if at else 'cryptoml'} --help")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(5, f"{error.filename or 'the output'}: the disk is full.", "free some space")
    if type(error).__name__ == "Abort":
        return Failure(130, "stopped.")
    hint = f"{shlex.join(['cryptoml', '-v', *arguments])} shows the traceback"
    if "-v" in arguments or "--verbose" in arguments:
        traceback.print_exc()
        hint = ""
    return Failure(1, f"unexpected error: {type(error).__name__}: {error}", hint)


def _say(text: str) -> None:
    from cryptoml.cli.console import printable

    with suppress(OSError):
        print(printable(text), file=sys.stderr)  # noqa: T201 - the one place where errors are reported
