"""Formulas of the metrics of prediction intervals; NaN for forecasts without them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryptoml.evaluation.coverage import christoffersen_p_value, interval_score, kupiec_p_value, pinball_loss
from cryptoml.evaluation.forecasts import Forecasts, IntervalForecasts
from cryptoml.evaluation.point_metrics import skill_score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def coverage(forecasts: Forecasts, level: float) -> float:
    """Return the share of actual returns inside the prediction interval with a nominal coverage of `level`."""
    import numpy as np

    if forecasts.intervals is None:
        return math.nan
    return float(np.mean(_inside(forecasts, forecasts.intervals, level)))


def coverage_by_size(forecasts: Forecasts, third: int) -> float:
    """Return the coverage in a third of the forecasts, ordered by expected size of the return; 0 is the calmest."""
    import numpy as np

    intervals = forecasts.intervals
    if intervals is None or len(intervals.size) < 3:
        return math.nan
    part = np.array_split(np.argsort(intervals.size, kind="stable"), 3)[third]
    return float(np.mean(_inside(forecasts, intervals, intervals.level)[part]))


def mean_interval_score(forecasts: Forecasts) -> float:
    """Return the mean interval score (Winkler 1972) of the log return."""
    intervals = forecasts.intervals
    if intervals is None:
        return math.nan
    return interval_score(forecasts.actual_return, *intervals.at(intervals.level), intervals.level)


def interval_skill(forecasts: Forecasts) -> float:
    """Return 1 - interval score / interval score of intervals of constant width."""
    intervals = forecasts.intervals
    if intervals is None:
        return math.nan
    centre, half_width = forecasts.forecast_return, intervals.constant
    constant = interval_score(forecasts.actual_return, centre - half_width, centre + half_width, intervals.level)
    return skill_score(mean_interval_score(forecasts), constant)


def mean_pinball_loss(forecasts: Forecasts) -> float:
    """Return the mean quantile loss of the log return over the bounds of all intervals."""
    from statistics import fmean

    intervals = forecasts.intervals
    if intervals is None:
        return math.nan
    bounds = [
        (side, probability)
        for level in intervals.levels
        for side, probability in zip(intervals.at(level), ((1 - level) / 2, (1 + level) / 2), strict=True)
    ]
    return fmean(pinball_loss(forecasts.actual_return, side, probability) for side, probability in bounds)


def coverage_p_value(forecasts: Forecasts) -> float:
    """Return the p-value of Kupiec's test of the coverage, on every `horizon`-th forecast."""
    intervals = forecasts.intervals
    if intervals is None:
        return math.nan
    return kupiec_p_value(_inside(forecasts, intervals, intervals.level)[:: intervals.horizon], intervals.level)


def independence_p_value(forecasts: Forecasts) -> float:
    """Return the p-value of Christoffersen's test that misses do not cluster, on every `horizon`-th forecast."""
    intervals = forecasts.intervals
    if intervals is None:
        return math.nan
    return christoffersen_p_value(_inside(forecasts, intervals, intervals.level)[:: intervals.horizon])


def _inside(forecasts: Forecasts, intervals: IntervalForecasts, level: float) -> NDArray[np.bool_]:
    lower, upper = intervals.at(level)
    inside: NDArray[np.bool_] = (lower <= forecasts.actual_return) & (forecasts.actual_return <= upper)
    return inside
