"""`cryptoml monitor`: does the model in production still keep what training promised?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, ConfigFile, Overrides
from cryptoml.cli.outcome import Outcome
from cryptoml.result import Failure

if TYPE_CHECKING:
    from cryptoml.workflows.monitor import MonitorResult


class FeatureDrift(TypedDict):
    """A feature whose mean has shifted."""

    feature: str
    shift: Annotated[float | None, "in standard deviations of the training data"]


class MonitorDocument(TypedDict):
    """The scored forecasts."""

    model: Annotated[str, "the model asked for, and what it is"]
    version: Annotated[str | None, "null for a run that is not registered"]
    run_id: str
    source: Annotated[str, "file of candles"]
    scored: Annotated[int, "forecasts"]
    waiting: Annotated[int, "forecasts without an outcome"]
    late: Annotated[int, "forecasts that were logged after their outcome"]
    start: Annotated[str, "when the first one was made, UTC"]
    end: Annotated[str, "when the last one was made, UTC"]
    rmse: Annotated[float | None, "in the quote currency"]
    baseline_rmse: Annotated[float | None, "that of persistence"]
    skill: float | None
    promised_skill: Annotated[float | None, "on the hold-out"]
    word: Annotated[str, "beats, ties or worse than persistence, or unknown"]
    p_value: float | None
    covered: Annotated[float | None, "share of outcomes within the prediction interval"]
    interval_level: Annotated[float, "the share it should be"]
    drift: Annotated[list[FeatureDrift] | None, "null where the model has no scaler to compare with"]
    warnings: list[str]


def monitor(
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", rich_help_panel="Model", help="production, staging, a version such as v3, or a run."
        ),
    ] = "production",
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=DATA, show_default=NEWEST_DATA, help="Candles with the outcomes."),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", rich_help_panel=DATA, show_default="all", help="Score the N latest forecasts."
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[MonitorDocument]:
    """Score logged forecasts on later candles.

    Scores the forecasts of cryptoml predict --log. The exit code is 6 if the model is significantly worse than
    persistence.

    Example: cryptoml monitor --model production
    """
    from cryptoml.cli.configured import configured
    from cryptoml.workflows.monitor import MonitorRequest
    from cryptoml.workflows.monitor import monitor as score

    settings, loaded = configured(config, set_)
    done = score(MonitorRequest(settings, loaded.config, model=model, data=data, last=last))
    failure = None
    if done.exit_code:
        failure = Failure(done.exit_code, f"{done.model} is significantly worse than persistence.")
    return Outcome(done.to_dict(), lambda: _show(done), failure, failure_shown=True)


def _show(done: MonitorResult) -> None:
    from cryptoml.cli.console import print_lines, print_table
    from cryptoml.evaluation.figures import figure, price
    from cryptoml.evaluation.metrics import METRICS

    skill, coverage = METRICS["skill"], METRICS["interval_coverage"]
    words = {
        "beats": "is better than persistence",
        "ties": "is statistically indistinguishable from persistence",
        "worse": "is worse than persistence",
        "unknown": "has no verdict yet",
    }
    print_lines([f"{done.model}: {done.scored:,} forecasts, made from {done.start} to {done.end} UTC"])
    print_table(
        ("", "now", "promised"),
        [
            [skill.title, skill.text(done.skill), skill.text(done.promised_skill)],
            [f"interval {coverage.title}", coverage.text(done.covered), coverage.text(done.interval_level)],
            ["RMSE", price(done.rmse), ""],
            ["RMSE of persistence", price(done.baseline_rmse), ""],
        ],
    )
    print_lines(
        [
            f"{done.model} {words[done.word]} (p = {figure(done.p_value, '.3g')})",
            *([f"waiting for their outcome: {done.waiting:,}"] if done.waiting else []),
            *(["features: no scaler to compare with"] if done.drift is None else []),
            *(f"note: {one}" for one in done.warnings),
        ]
    )
