"""`cryptoml monitor`: compare the scores of logged forecasts with those of the training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import DATA, NEWEST_DATA, OUTPUT, ConfigFile, Overrides
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
    skill_error: Annotated[float | None, "standard error"]
    promised_skill: Annotated[float | None, "skill on the hold-out"]
    word: Annotated[str, "beats, ties, worse (than persistence) or unknown"]
    p_value: float | None
    covered: Annotated[float | None, "coverage of the prediction interval"]
    coverage_error: Annotated[float | None, "standard error"]
    coverage_p_value: Annotated[float | None, "test that the coverage is nominal (Kupiec 1995)"]
    interval_level: Annotated[float, "nominal coverage"]
    return_rms: Annotated[float | None, "root mean square of the log returns"]
    return_rms_error: Annotated[float | None, "standard error"]
    volatility_ratio: Annotated[float | None, "size of the returns, as a multiple of that on the hold-out"]
    volatility_ratio_error: Annotated[float | None, "standard error"]
    drift: Annotated[list[FeatureDrift] | None, "null if the model has no scaler to compare with"]
    warnings: list[str]
    next_steps: Annotated[list[str], "what to do if the model is worse than persistence, with commands"]


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
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write a report on all versions to an HTML file."),
    ] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[MonitorDocument]:
    """Score logged forecasts on later candles.

    Scores the forecasts that cryptoml predict --log stored. The exit code is 6 if the model is significantly worse
    than persistence.

    Example: cryptoml monitor --html monitor.html
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.reports.page import check_html_path, write_page
    from cryptoml.workflows.monitor import MonitorRequest
    from cryptoml.workflows.monitor import monitor as score_forecasts

    if html is not None:
        check_html_path(html)
    settings, loaded = load_project_config(config, set_)
    request = MonitorRequest(
        settings, loaded.config, model=model, data=data, last=last, horizon=horizon, with_history=html is not None
    )
    result = score_forecasts(request)
    if html is not None:
        from cryptoml.cli.monitor_page import monitor_page

        write_page(html, monitor_page(result))
    failure = None
    if result.exit_code:
        failure = Failure(result.exit_code, f"{result.model} is significantly worse than persistence.")
    return Outcome(result.to_dict(), lambda: _show(result, html), failure, failure_shown=True)


VERDICTS = {
    "beats": "is better than persistence",
    "ties": "is statistically indistinguishable from persistence",
    "worse": "is worse than persistence",
    "unknown": "has too few scored forecasts for a verdict",
}


def _show(result: MonitorResult, html: Path | None) -> None:
    from cryptoml.cli.console import print_lines, print_result_lines, print_table
    from cryptoml.evaluation.figures import cell, figure, price
    from cryptoml.evaluation.metrics import METRICS

    skill, coverage, scores = METRICS["skill"], METRICS["interval_coverage"], result.scores
    print_lines([f"{result.model}: {scores.n:,} forecasts from {scores.start} to {scores.end} UTC"])
    print_table(
        ("", "now", "±", "in training"),
        [
            [
                skill.title, skill.text(scores.skill), cell(100 * scores.skill_error, ".3f"),
                skill.text(result.promised_skill),
            ],
            [
                f"interval {coverage.title}", coverage.text(scores.covered), cell(100 * scores.coverage_error, ".1f"),
                coverage.text(scores.interval_level),
            ],
            ["volatility", cell(result.volatility_ratio, ".2f"), cell(result.volatility_ratio_error, ".2f"), "1.00"],
            ["RMSE", price(scores.rmse), "", ""],
            ["RMSE of persistence", price(scores.baseline_rmse), "", ""],
        ],
    )  # fmt: skip
    print_lines(
        [
            f"{result.model} {VERDICTS[result.word]} (p = {figure(scores.p_value, '.3g')})",
            *([f"forecasts whose outcome is not known yet: {result.waiting:,}"] if result.waiting else []),
            *(
                ["feature drift: not checked, because the model has no scaler to compare with"]
                if result.drift is None
                else []
            ),
            *(f"note: {warning}" for warning in result.warnings),
            *result.next_steps,
        ]
    )
    if html is not None:
        print_result_lines([str(html)])
