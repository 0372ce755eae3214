"""`cryptoml audit`: check that nothing in a training knows the future."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, ConfigFile, Overrides, model_overrides
from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.workflows.audit import AuditResult


class AuditFinding(TypedDict):
    """One check."""

    check: str
    passed: bool
    detail: Annotated[str, "what was compared or found"]
    columns: Annotated[list[str], "columns that leak, or that were planted and found"]


class AuditDocument(TypedDict):
    """The checks of a file of candles."""

    source: Annotated[str, "candle file"]
    symbol: str
    interval: str
    horizon: Annotated[int, "in candles"]
    passed: bool
    findings: list[AuditFinding]


def audit(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=DATA, show_default=NEWEST_DATA, help="Candles to audit."),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", rich_help_panel="Models", show_default="those of the config", help="Models to audit."
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[AuditDocument]:
    """Check that nothing knows the future.

    Features on truncated candles, windows, fits, and scores on targets that cannot be forecast; known mistakes must be
    found. The exit code is 6 if a check fails.

    Example: cryptoml audit --models ridge
    """
    from cryptoml.cli.console import listening
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.data.project_files import find_data
    from cryptoml.workflows.audit import audit as run_audit

    settings, loaded = load_project_config(config, [*(set_ or []), *model_overrides(models)])
    path = data or find_data(settings.project_dir)
    with listening() as on_event:
        result = run_audit(settings, loaded.config, path, on_event=on_event)
    failure = None
    if result.failed:
        failure = Failure(6, f"{result.source}: {result.failed[0].check}: {result.failed[0].detail}")
    return Outcome(result.to_dict(), lambda: _show(result), failure, failure_shown=True)


def _show(result: AuditResult) -> None:
    from cryptoml.cli.console import print_lines, print_table

    rows = [[one.check, "passed" if one.passed else "FAILED", one.detail] for one in result.findings]
    title = f"{result.symbol} {result.interval}, {result.horizon} ahead, {result.source}"
    print_table(("check", "result", "detail"), rows, title=title, left=3, fold=True)
    if not result.failed:
        print_lines(["no leak was found"])
