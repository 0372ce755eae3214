"""`cryptoml monitor`: compare the scores of logged forecasts with those of the training."""

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

    model: Annotated[str, "the requested model and its version or run"]
    version: Annotated[str | None, "null for a run that is not registered"]
    run_id: str
    source: Annotated[str, "candle file"]
    scored: Annotated[int, "number of scored forecasts"]
    waiting: Annotated[int, "forecasts whose outcome is not known yet"]
    late: Annotated[int, "forecasts that were logged after their outcome"]
    start: Annotated[str, "time of the first forecast, UTC"]
    end: Annotated[str, "time of the last forecast, UTC"]
    rmse: Annotated[float | None, "in the quote currency"]
    baseline_rmse: Annotated[float | None, "RMSE of persistence"]
    skill: float | None
    promised_skill: Annotated[float | None, "skill on the hold-out"]
    word: Annotated[str, "beats, ties, worse (than persistence) or unknown"]
    p_value: float | None
    covered: Annotated[float | None, "coverage of the prediction interval"]
    coverage_p_value: Annotated[float | None, "test that the coverage is nominal (Kupiec 1995)"]
    interval_level: Annotated[float, "nominal coverage"]
    drift: Annotated[list[FeatureDrift] | None, "null if the model has no scaler to compare with"]
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
        typer.Option(
            metavar="FILE", rich_help_panel=DATA, show_default=NEWEST_DATA, help="Candles that contain the outcomes."
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", rich_help_panel=DATA, show_default="all", help="Score the N latest forecasts."
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel="Model",
            show_default="the first",
            help="Score forecasts N candles ahead.",
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[MonitorDocument]:
    """Score logged forecasts on later candles.

    Scores the forecasts that cryptoml predict --log stored. The exit code is 6 if the model is significantly worse
    than persistence.

    Example: cryptoml monitor --model production
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.workflows.monitor import MonitorRequest
    from cryptoml.workflows.monitor import monitor as score_forecasts

    settings, loaded = load_project_config(config, set_)
    result = score_forecasts(
        MonitorRequest(settings, loaded.config, model=model, data=data, last=last, horizon=horizon)
    )
    failure = None
    if result.exit_code:
        failure = Failure(result.exit_code, f"{result.model} is significantly worse than persistence.")
    return Outcome(result.to_dict(), lambda: _show(result), failure, failure_shown=True)


def _show(result: MonitorResult) -> None:
    from cryptoml.cli.console import print_lines, print_table
    from cryptoml.evaluation.figures import figure, price
    from cryptoml.evaluation.metrics import METRICS

    skill, coverage = METRICS["skill"], METRICS["interval_coverage"]
    verdicts = {
        "beats": "is better than persistence",
        "ties": "is statistically indistinguishable from persistence",
        "worse": "is worse than persistence",
        "unknown": "has too few scored forecasts for a verdict",
    }
    print_lines([f"{result.model}: {result.scored:,} forecasts from {result.start} to {result.end} UTC"])
    print_table(
        ("", "now", "in training"),
        [
            [skill.title, skill.text(result.skill), skill.text(result.promised_skill)],
            [f"interval {coverage.title}", coverage.text(result.covered), coverage.text(result.interval_level)],
            ["RMSE", price(result.rmse), ""],
            ["RMSE of persistence", price(result.baseline_rmse), ""],
        ],
    )
    print_lines(
        [
            f"{result.model} {verdicts[result.word]} (p = {figure(result.p_value, '.3g')})",
            *([f"forecasts whose outcome is not known yet: {result.waiting:,}"] if result.waiting else []),
            *(
                ["feature drift: not checked, because the model has no scaler to compare with"]
                if result.drift is None
                else []
            ),
            *(f"note: {warning}" for warning in result.warnings),
        ]
    )
