"""`cryptoml reproduce`: train the model of a run again and compare the results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA
from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.workflows.reproduce import ReproduceResult

SHOWN = 12


class EnvironmentChange(TypedDict):
    """Something that differs from the environment of the run."""

    what: Annotated[str, "git commit, python, platform, or a package"]
    then: Annotated[str, "of the run"]
    now: str


class ReproducedValue(TypedDict):
    """A metric, or the forecasts."""

    what: str
    then: Annotated[float | None, "the metric; of forecasts, the number of rows"]
    now: float | None
    difference: Annotated[float | None, "largest absolute difference; null if there is nothing to compare with"]
    equal: Annotated[bool, "to the last digit"]


class ReproduceDocument(TypedDict):
    """A repeated training."""

    run_id: str
    run_name: str
    model_type: str
    source: Annotated[str, "candle file"]
    dataset_version: str
    reproduced: Annotated[bool, "whether everything is equal to the last digit"]
    changes: Annotated[list[EnvironmentChange], "differences of the environment"]
    comparisons: list[ReproducedValue]


def reproduce(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Run ID or name.", show_default="newest run of a model"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=DATA,
            show_default="the file of the run, else its version in DVC",
            help="The candles of the run, if they are elsewhere now.",
        ),
    ] = None,
) -> Outcome[ReproduceDocument]:
    """Train the model of a run again.

    Uses the data version, config, parameters and seed of the run, records nothing, and compares metrics and forecasts.
    The exit code is 6 if they are not equal to the last digit.

    Example: cryptoml reproduce
    """
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.reproduce import reproduce as train_again

    with listening() as on_event:
        result = train_again(load_settings(), run, data=data, on_event=on_event)
    failure = None
    if result.differing:
        failure = Failure(6, f"{result.run_name}: {len(result.differing)} of {len(result.comparisons)} values differ.")
    return Outcome(result.to_dict(), lambda: _show(result), failure, failure_shown=True)


def _show(result: ReproduceResult) -> None:
    from cryptoml.cli.console import print_lines, print_table

    if result.changes:
        shown = result.changes[:SHOWN]
        print_table(("environment", "then", "now"), [[one.what, one.then, one.now] for one in shown], left=3, fold=True)
        if len(result.changes) > SHOWN:
            print_lines([f"{len(result.changes) - SHOWN} more differences: --json lists all"])
    else:
        print_lines(["the environment is the same"])
    if result.differing:
        rows = [[one.what, f"{one.then:.10g}", f"{one.now:.10g}", f"{one.difference:.2g}"] for one in result.differing]
        print_table(("differs", "then", "now", "by at most"), rows[:SHOWN])
        if len(rows) > SHOWN:
            print_lines([f"{len(rows) - SHOWN} more differ: --json lists all"])
    forecasts = next(one for one in result.comparisons if one.what == "forecasts")
    equal = len(result.comparisons) - len(result.differing)
    print_lines(
        [
            f"{result.run_name}: {equal} of {len(result.comparisons)} values are equal to the last digit "
            f"({forecasts.now:,.0f} forecasts are one of them)"
        ]
    )
