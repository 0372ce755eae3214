"""`cryptoml monitor`: does the model in production still keep what training promised?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides

if TYPE_CHECKING:
    from cryptoml.workflows.monitor import MonitorResult


def monitor(
    model: Annotated[str, typer.Option(help="production, staging, v3, or a run's id or name.")] = "production",
    data: Annotated[
        Path | None, typer.Option(help="Candles with the outcomes; the newest file below data/ when not given.")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Score only so many newest forecasts.")] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Score the forecasts of predict --log on candles that came since; exit 6 when persistence is better."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import print_json_last
    from cryptoml.workflows.monitor import MonitorRequest
    from cryptoml.workflows.monitor import monitor as score

    settings, loaded = configured(config, set_)
    done = score(MonitorRequest(settings, loaded.config, model=model, data=data, last=last))
    if as_json:
        print_json_last(done.to_dict())
    else:
        _show(done)
    raise typer.Exit(done.exit_code)


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
