"""A run as if it had been trained for one of its further horizons alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cryptoml.errors import UsageError
from cryptoml.reports.forecast_files import PREDICTIONS, further_predictions
from cryptoml.tracking.runs import RunView
from cryptoml.workflows.training.horizons import prefix

HORIZON_PARAM, FURTHER_PARAM = "prediction_horizon", "further_horizons"


def runs_at_horizon(runs: Sequence[RunView], horizon: int | None) -> list[RunView]:
    """Return the runs that were scored at a horizon, in candles, with their scores there; all as they are for None.

    Raise UsageError if there are runs and none was scored there.
    """
    if horizon is None or not runs:
        return list(runs)
    found = [view for run in runs if (view := at_horizon(run, horizon)) is not None]
    if not found:
        named = {one for run in runs for one in (run.params.get(HORIZON_PARAM, ""), *_further(run.params))}
        known = sorted(int(one) for one in named if one.isdecimal())
        raise UsageError(
            f"--horizon {horizon}: no run was scored {horizon} candles ahead.",
            hint=f"use one of {', '.join(map(str, known))}" if known else "cryptoml compare --last 20",
        )
    return found


def predictions_file(params: Mapping[str, str]) -> str:
    """Return the file below `data` with the forecasts of a run, from its parameters there."""
    horizon = params.get(HORIZON_PARAM, "")
    return further_predictions(int(horizon)) if horizon in _further(params) else PREDICTIONS


def _further(params: Mapping[str, str]) -> list[str]:
    return re.findall(r"\d+", params.get(FURTHER_PARAM, ""))


def at_horizon(run: RunView, horizon: int) -> RunView | None:
    """Return the run with its scores at a horizon, in candles; None if it was not scored there."""
    if run.params.get(HORIZON_PARAM) == str(horizon):
        return run
    start = prefix(horizon)
    metrics = {name.removeprefix(start): value for name, value in run.metrics.items() if name.startswith(start)}
    if not metrics:
        return None
    tags = {name: value for name, value in run.tags.items() if name != "verdict"}
    if f"{start}verdict" in run.tags:
        tags["verdict"] = run.tags[f"{start}verdict"]
    return replace(run, params={**run.params, HORIZON_PARAM: str(horizon)}, metrics=metrics, tags=tags)
