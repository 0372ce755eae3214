"""What is measured about forecasts. One entry in METRICS adds a metric everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts and what came true: float64, one value a forecast, no NaN; returns are log returns."""

    price_now: Values
    actual_price: Values
    forecast_price: Values
    actual_return: Values
    forecast_return: Values
    lower_price: Values
    upper_price: Values


@dataclass(frozen=True)
class MetricSpec:
    """A metric: its MLflow name, its meaning with unit, which direction is better, and how it is computed."""

    name: str
    doc: str
    better: Literal["lower", "higher"]
    compute: Callable[[Forecasts], float]


def rmse(one: Forecasts) -> float:
    """Root of the mean squared error of price, in price units."""
    return _root_mean_square(one.actual_price - one.forecast_price)


def mae(one: Forecasts) -> float:
    """Mean absolute error of price, in price units."""
    import numpy as np

    return float(np.mean(np.abs(one.actual_price - one.forecast_price)))


def mape(one: Forecasts) -> float:
    """Mean absolute error of price as a share of the actual price, in percent."""
    import numpy as np

    return float(100 * np.mean(np.abs(one.actual_price - one.forecast_price) / one.actual_price))


def r2_score(one: Forecasts) -> float:
    """1 - squared error / variance of the actual price; NaN when the price does not move."""
    import numpy as np

    spread = float(np.sum((one.actual_price - np.mean(one.actual_price)) ** 2))
    error = float(np.sum((one.actual_price - one.forecast_price) ** 2))
    return 1 - error / spread if spread > 0 else math.nan


def skill(one: Forecasts) -> float:
    """1 - RMSE / RMSE of persistence, on price; 0 for persistence itself."""
    baseline = _root_mean_square(one.actual_price - one.price_now)
    return 1 - rmse(one) / baseline if baseline > 0 else math.nan


def return_rmse(one: Forecasts) -> float:
    """Root of the mean squared error of the log return."""
    return _root_mean_square(one.actual_return - one.forecast_return)


def return_r2(one: Forecasts) -> float:
    """1 - squared error / squared error of the forecast "no change", on log returns (out-of-sample R2 against
    zero, as Campbell and Thompson 2008 do with the mean).
    """
    import numpy as np

    spread = float(np.sum(one.actual_return**2))
    return 1 - float(np.sum((one.actual_return - one.forecast_return) ** 2)) / spread if spread > 0 else math.nan


def directional_accuracy(one: Forecasts) -> float:
    """Share of right signs where price moved and a move was forecast; NaN when there is none."""
    import numpy as np

    asked = (one.actual_return != 0) & (one.forecast_return != 0)
    if not asked.any():
        return math.nan
    return float(np.mean(np.sign(one.actual_return[asked]) == np.sign(one.forecast_return[asked])))


def interval_coverage(one: Forecasts) -> float:
    """Share of actual prices inside the forecast interval, both ends included."""
    import numpy as np

    return float(np.mean((one.lower_price <= one.actual_price) & (one.actual_price <= one.upper_price)))


def _root_mean_square(values: Values) -> float:
    import numpy as np

    return float(np.sqrt(np.mean(values**2)))


METRICS: Mapping[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec("rmse", "root mean squared error of price, price units", "lower", rmse),
        MetricSpec("mae", "mean absolute error of price, price units", "lower", mae),
        MetricSpec("mape", "mean absolute error of price, percent of the price", "lower", mape),
        MetricSpec("r2_score", "coefficient of determination on price", "higher", r2_score),
        MetricSpec("skill", "1 - RMSE / RMSE of persistence, on price", "higher", skill),
        MetricSpec("return_rmse", "root mean squared error of the log return", "lower", return_rmse),
        MetricSpec("return_r2", "out-of-sample R2 of the log return against zero", "higher", return_r2),
        MetricSpec("directional_accuracy", "share of right signs", "higher", directional_accuracy),
        MetricSpec("interval_coverage", "share of prices inside the interval", "higher", interval_coverage),
    )
}
