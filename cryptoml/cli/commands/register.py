"""`cryptoml register`: register the model of a run if it passes the gate."""

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
    """The decision of the gate."""

    passed: bool
    reasons: Annotated[list[str], "why the run did not pass"]


class RegisterDocument(TypedDict):
    """The model version."""

    model_name: Annotated[str, "name in the registry"]
    version: Annotated[str | None, "null if the gate refused the run"]
    run_id: str
    run_name: str
    new: Annotated[bool, "false if the run was already registered"]
    gate: RegisterGate
    warnings: list[str]


def register(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Run ID or name, as listed by cryptoml compare.")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", rich_help_panel="Run", help="Register the best run of the latest training.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", rich_help_panel=GATE, help="Register the run even if the gate refuses it.")
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", rich_help_panel=GATE, help="Reason, stored with the version; required with --force."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=DATA,
            show_default=NEWEST_DATA,
            help="Candles for the comparison with the production version.",
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[RegisterDocument]:
    """Register a run as a model version.

    The run must pass the gate; the exit code is 6 if it does not. No-op if the run is already registered.

    Example: cryptoml register --best
    """
    from cryptoml.cli.console import listening
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.errors import UsageError
    from cryptoml.result import Failure
    from cryptoml.workflows.register import GateRefusedError, RegisterRequest
    from cryptoml.workflows.register import register as register_run

    if (run is None) != best:
        raise UsageError("Exactly one of RUN and --best is required.", hint="cryptoml register --best")
    settings, loaded = load_project_config(config, set_)
    try:
        with listening() as listener:
            result = register_run(
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
    return Outcome(result.to_dict(), lambda: _show(result))


def _show(result: RegisterResult) -> None:
    from cryptoml.cli.console import print_lines

    verb = "is now" if result.is_new else "is already"
    print_lines(
        [
            f"{result.run_name} {verb} {result.model_name} v{result.version}",
            *(f"forced: {reason}" for reason in result.reasons),
            *(f"note: {warning}" for warning in result.warnings),
        ]
    )
