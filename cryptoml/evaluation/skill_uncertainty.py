"""The statistical uncertainty of skill, for the bands and bars in the plots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryptoml.evaluation.metrics import skill_score

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TWO_SIDED_95 = 1.96


def horizon_of(frame: pd.DataFrame, *, most: int = 250) -> int:
    """How many candles ahead the forecasts reach: the shift at which actual prices become current ones; else 1."""
    import numpy as np

    now, actual = frame["price_now"].to_numpy(), frame["actual_price"].to_numpy()
    for horizon in range(1, min(most, len(now) - 1) + 1):
        if np.mean(actual[:-horizon] == now[horizon:]) > 0.5:
            return horizon
    return 1


def overlap(values: np.ndarray, horizon: int) -> float:
    """How much larger the variance of a sum is than for independent values, at least 1.

    Targets that reach `horizon` candles ahead share candles with the horizon - 1 before them. The same
    rectangular kernel stands behind the verdict (Diebold and Mariano 1995).
    """
    import numpy as np

    centred = values - values.mean()
    power = float(np.sum(centred**2))
    if horizon < 2 or power <= 0:
        return 1.0
    return max(1.0, 1 + 2 * sum(float(np.sum(centred[lag:] * centred[:-lag])) / power for lag in range(1, horizon)))


def drift(won: np.ndarray, horizon: int) -> np.ndarray:
    """The height that the running sum of `won` stays under in 95 % of cases if its expectation is zero.

    Squares are added up as they come, so that calm and wild times count for what they are.
    """
    import numpy as np

    height: np.ndarray = TWO_SIDED_95 * np.sqrt(np.cumsum(won**2) * overlap(won, horizon))
    return height


def skill(rows: pd.DataFrame, *, horizon: int) -> tuple[float, float, float, float]:
    """Skill on price, its standard error (delta method), the RMSE, and the RMSE of persistence, in price units.

    Without rows all are NaN; where the price does not move, skill and standard error are.
    """
    import numpy as np

    if not len(rows):
        return (math.nan,) * 4
    actual = rows["actual_price"].to_numpy(dtype=np.float64)
    ours: np.ndarray = (actual - rows["forecast_price"].to_numpy(dtype=np.float64)) ** 2
    theirs: np.ndarray = (actual - rows["price_now"].to_numpy(dtype=np.float64)) ** 2
    a, b = float(np.mean(ours)), float(np.mean(theirs))
    value = skill_score(a**0.5, b**0.5)
    if not a or not b:
        return value, 0.0 if b else math.nan, a**0.5, b**0.5
    # skill = 1 - sqrt(a / b), linearised at the means: its spread is that of ours - (a / b) theirs.
    parts = ours - a / b * theirs
    error = float(np.std(parts)) * overlap(parts, horizon) ** 0.5 / b / (2 * (a / b * len(ours)) ** 0.5)
    return value, error, a**0.5, b**0.5
