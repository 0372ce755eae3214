"""`cryptoml register`: a run's model into the registry, through the gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, ConfigFile, Overrides
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.workflows.register import RegisterResult

GATE = "Gate"


class RegisterGate(TypedDict):
    """What the gate decided."""

    passed: bool
    reasons: Annotated[list[str], "why the run did not pass"]


class RegisterDocument(TypedDict):
    """The version."""

    model_name: Annotated[str, "name in the registry"]
    version: Annotated[str | None, "null when the gate refused the run"]
    run_id: str
    run_name: str
    new: Annotated[bool, "false when the run was a version already"]
    gate: RegisterGate
    warnings: list[str]


def register(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id or name of a run; cryptoml compare lists them.")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", rich_help_panel="Run", help="Register the best run of the latest training.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", rich_help_panel=GATE, help="Register the run even if the gate refuses it.")
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option(metavar="TEXT", rich_help_panel=GATE, help="Stored with the version; required with --force."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=DATA,
            show_default=NEWEST_DATA,
            help="Candles to compare with the production version on.",
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[RegisterDocument]:
    """Register a run as a model version.

    The run must pass the gate; the exit code is 6 if it does not. No-op if the run is already registered.

    Example: cryptoml register --best
    """
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import listening
    from cryptoml.errors import UsageError
    from cryptoml.result import Failure
    from cryptoml.workflows.register import GateRefusedError, RegisterRequest
    from cryptoml.workflows.register import register as enter

    if (run is None) != best:
        raise UsageError("which run?", hint="name one (cryptoml compare shows them), or --best")
    settings, loaded = configured(config, set_)
    try:
        with listening() as listener:
            done = enter(
                RegisterRequest(settings, loaded.config, run=run, force=force, reason=reason, data=data),
                on_event=listener,
            )
    except GateRefusedError as error:
        refused: RegisterDocument = {
            "model_name": loaded.config.registry.model_name,
            "version": None,
            "run_id": error.run.run_id,
            "run_name": error.run.name,
            "new": False,
            "gate": {"passed": False, "reasons": list(error.decision.reasons)},
            "warnings": list(error.decision.warnings),
        }
        return Outcome(refused, lambda: None, Failure.of(error))
    return Outcome(done.to_dict(), lambda: _show(done))


def _show(done: RegisterResult) -> None:
    from cryptoml.cli.console import print_lines

    word = "is now" if done.is_new else "is already"
    print_lines(
        [
            f"{done.run_name} {word} {done.model_name} v{done.version}",
            *(f"forced: {one}" for one in done.reasons),
            *(f"note: {one}" for one in done.warnings),
        ]
    )
