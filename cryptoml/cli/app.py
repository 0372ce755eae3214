"""The `cryptoml` command: its list of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer

from cryptoml import __version__
from cryptoml.cli.commands import (
    compare,
    data_versions,
    doctor,
    extract_data,
    monitor,
    predict,
    promote,
    register,
    sample_data,
    setup_remotes,
    sync,
    train,
    transform_data,
    ui,
)
from cryptoml.cli.streams import READER_GONE, leave, open_streams
from cryptoml.errors import CryptomlError, StoppedError
from cryptoml.system import environment, stopping

app = typer.Typer(
    name="cryptoml",
    help="From crypto candles to a tracked, registered, promotable, reproducible price model.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("setup-remotes")(setup_remotes.setup_remotes)
app.command("push-data")(data_versions.push_data)
app.command("pull-data")(data_versions.pull_data)
app.command("sample-data")(sample_data.sample_data)
app.command("extract-data")(extract_data.extract_data)
app.command("transform-data")(transform_data.transform_data)
app.command("train")(train.train)
app.command("compare")(compare.compare)
app.command("register")(register.register)
app.command("promote")(promote.promote)
app.command("predict")(predict.predict)
app.command("monitor")(monitor.monitor)
app.command("ui")(ui.ui)
app.command("sync")(sync.sync)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cryptoml {__version__}")
        raise typer.Exit


@app.callback()
def root(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the traceback of a bug.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hold the options of every command."""


def main() -> NoReturn:
    """Run the command line and leave with the promised exit code."""
    open_streams()
    try:
        environment.prepare()
    except CryptomlError as error:
        _tell(error)
        leave(error.exit_code)
    stopping.run_stoppable(_run_and_leave, on_signal=_note_signal)


def _run_and_leave() -> NoReturn:
    try:
        leave(run(sys.argv[1:]))
    except StoppedError as stopped:
        _say(stopping.STOPPED)
        os._exit(stopped.exit_code)


def _note_signal(worker: int, signal_number: int) -> None:
    """Should the process not get to end its runs, they are to count as KILLED."""
    from cryptoml.settings import load_settings
    from cryptoml.tracking.tracker import journal_of

    journal_of(load_settings()).mark_stopped(worker, signal_number)


def run(arguments: list[str]) -> int:
    """Run one command; the exit code. Errors are told on standard error in a line or two."""
    try:
        command = typer.main.get_command(app)
        code: Any = command.main(args=arguments, prog_name="cryptoml", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except CryptomlError as error:
        _tell(error)
        return error.exit_code
    except (BrokenPipeError, SystemExit) as error:
        # The reader of our output went away (`| head`): there is nobody left to tell. typer makes it a SystemExit.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        return READER_GONE
    except Exception as error:  # noqa: BLE001 - the last catcher: a bug gets exit code 1 and a short line
        stopping.raise_if_stopped()
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):
            at = getattr(error, "ctx", None)
            message = error.format_message()
            if message.startswith("Usage:"):
                _say(message)
            else:
                _say(f"cryptoml: {message}\nHint: {at.command_path if at else 'cryptoml'} --help")
            return int(error.exit_code)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _say(f"cryptoml: {error.filename or 'the output'}: the disk is full. Hint: free some space")
            return 5
        if type(error).__name__ == "Abort":
            _say("cryptoml: stopped.")
            return 130
        if "-v" in arguments or "--verbose" in arguments:
            traceback.print_exc()
        _say(f"cryptoml: a bug: {type(error).__name__}: {error}. For the traceback: cryptoml -v COMMAND ...")
        return 1


def _tell(error: CryptomlError) -> None:
    _say(f"cryptoml: {error.fact}")
    if error.hint:
        _say(f"Hint: {error.hint}")


def _say(text: str) -> None:
    from cryptoml.cli.console import printable

    with suppress(OSError):
        print(printable(text), file=sys.stderr)  # noqa: T201 - the one place where errors are told
