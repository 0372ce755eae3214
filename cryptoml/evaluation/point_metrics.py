"""Formulas of the metrics of point forecasts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryptoml.evaluation.forecasts import Forecasts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def skill_score(error: float, baseline_error: float) -> float:
    """Return 1 - error / baseline_error; NaN if the baseline has no error."""
    return 1 - error / baseline_error if baseline_error > 0 else math.nan


def rmse(forecasts: Forecasts) -> float:
    """Return the root mean squared error of the price, in price units."""
    return root_mean_square(forecasts.actual_price - forecasts.forecast_price)


def mae(forecasts: Forecasts) -> float:
    """Return the mean absolute error of the price, in price units."""
    import numpy as np

    return float(np.mean(np.abs(forecasts.actual_price - forecasts.forecast_price)))


def mape(forecasts: Forecasts) -> float:
    """Return the mean absolute error relative to the actual price, in percent."""
    import numpy as np

    return float(100 * np.mean(np.abs(forecasts.actual_price - forecasts.forecast_price) / forecasts.actual_price))


def r2_score(forecasts: Forecasts) -> float:
    """Return 1 - squared error / variance of the actual price; NaN if the price does not move."""
    import numpy as np

    # The rounded mean of equal prices may differ from them.
    if np.ptp(forecasts.actual_price) == 0:
        return math.nan
    spread = float(np.sum((forecasts.actual_price - np.mean(forecasts.actual_price)) ** 2))
    error = float(np.sum((forecasts.actual_price - forecasts.forecast_price) ** 2))
    return 1 - error / spread


def skill(forecasts: Forecasts) -> float:
    """Return 1 - RMSE / RMSE of persistence, on price; 0 for persistence, NaN if the price does not move."""
    return skill_score(rmse(forecasts), root_mean_square(forecasts.actual_price - forecasts.price_now))


def return_rmse(forecasts: Forecasts) -> float:
    """Return the root mean squared error of the log return."""
    return root_mean_square(forecasts.actual_return - forecasts.forecast_return)


def return_r2(forecasts: Forecasts) -> float:
    """Return 1 - squared error / squared error of the forecast "no change", on log returns.

    This is the out-of-sample R2 of Campbell and Thompson (2008), with zero in place of the mean.
    """
    import numpy as np

    spread = float(np.sum(forecasts.actual_return**2))
    error = float(np.sum((forecasts.actual_return - forecasts.forecast_return) ** 2))
    return 1 - error / spread if spread > 0 else math.nan


def directional_accuracy(forecasts: Forecasts) -> float:
    """Return the share of correct signs, where the price moved and a move was forecast; NaN without such rows."""
    import numpy as np

    moved = (forecasts.actual_return != 0) & (forecasts.forecast_return != 0)
    if not moved.any():
        return math.nan
    return float(np.mean(np.sign(forecasts.actual_return[moved]) == np.sign(forecasts.forecast_return[moved])))


def interval_coverage(forecasts: Forecasts) -> float:
    """Return the share of actual prices inside the prediction interval, including both ends."""
    import numpy as np

    above_lower = forecasts.lower_price <= forecasts.actual_price
    below_upper = forecasts.actual_price <= forecasts.upper_price
    return float(np.mean(above_lower & below_upper))


def root_mean_square(values: NDArray[np.float64]) -> float:
    """Return the root of the mean of the squares."""
    import numpy as np

    return float(np.sqrt(np.mean(values**2)))
