"""The statistical uncertainty of skill and of means: standard errors, and the bands of the plots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryptoml.evaluation.point_metrics import skill_score

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TWO_SIDED_95 = 1.96


def horizon_of(frame: pd.DataFrame, *, most: int = 250) -> int:
    """Return the forecast horizon: the shift between actual and current prices; 1 if none matches."""
    import numpy as np

    now, actual = frame["price_now"].to_numpy(), frame["actual_price"].to_numpy()
    for horizon in range(1, min(most, len(now) - 1) + 1):
        if np.mean(actual[:-horizon] == now[horizon:]) > 0.5:
            return horizon
    return 1


def variance_inflation(values: np.ndarray, horizon: int) -> float:
    """Return the ratio of the variance of the sum to that of independent values; at least 1.

    Targets `horizon` candles ahead overlap with the horizon - 1 previous ones. The verdict uses the same rectangular
    kernel (Diebold and Mariano 1995).
    """
    import numpy as np

    centred = values - values.mean()
    power = float(np.sum(centred**2))
    if horizon < 2 or power <= 0:
        return 1.0
    return max(1.0, 1 + 2 * sum(float(np.sum(centred[lag:] * centred[:-lag])) / power for lag in range(1, horizon)))


def no_skill_band(gains: np.ndarray, horizon: int) -> np.ndarray:
    """Return the 95 % bound, at each time, of the cumulative sum of `gains` if their expectation is zero.

    The variance is the cumulative sum of squares, so it follows changes in volatility.
    """
    import numpy as np

    bound: np.ndarray = TWO_SIDED_95 * np.sqrt(np.cumsum(gains**2) * variance_inflation(gains, horizon))
    return bound


def skill(rows: pd.DataFrame, *, horizon: int) -> tuple[float, float, float, float]:
    """Return skill on price, its standard error (delta method), RMSE and persistence RMSE (price units).

    All are NaN without rows; skill and standard error are NaN if the price does not move.
    """
    import numpy as np

    if not len(rows):
        return (math.nan,) * 4
    actual = rows["actual_price"].to_numpy(dtype=np.float64)
    ours: np.ndarray = (actual - rows["forecast_price"].to_numpy(dtype=np.float64)) ** 2
    theirs: np.ndarray = (actual - rows["price_now"].to_numpy(dtype=np.float64)) ** 2
    a, b = float(np.mean(ours)), float(np.mean(theirs))
    return skill_score(a**0.5, b**0.5), skill_error(ours, theirs, horizon), a**0.5, b**0.5


def skill_error(losses: np.ndarray, persistence_losses: np.ndarray, horizon: int) -> float:
    """Return the standard error of skill (delta method) from squared errors in time order; NaN if the price stands."""
    import numpy as np

    a, b = (float(np.mean(values)) if len(values) else math.nan for values in (losses, persistence_losses))
    if not a or not b:
        return 0.0 if b else math.nan
    # skill = 1 - sqrt(a / b), linearized at the means: its variance is that of losses - (a / b) persistence_losses.
    return standard_error(losses - a / b * persistence_losses, horizon) / b / (2 * math.sqrt(a / b))


def standard_error(values: np.ndarray, horizon: int) -> float:
    """Return the standard error of the mean of values in time order that overlap; NaN without values."""
    import numpy as np

    if not len(values):
        return math.nan
    return float(np.std(values)) * math.sqrt(variance_inflation(values, horizon) / len(values))
