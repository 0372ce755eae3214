"""Forecasts with prediction intervals and actual values, from which metrics are computed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts and actual values: float64, one value per forecast, no NaN; returns are log returns."""

    price_now: Values
    actual_price: Values
    forecast_price: Values
    actual_return: Values
    forecast_return: Values
    lower_price: Values
    upper_price: Values
    intervals: IntervalForecasts | None = None

    def take(self, rows: NDArray[np.bool_]) -> Forecasts:
        """Return the forecasts of some rows."""
        columns = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "intervals"}
        return Forecasts(**columns, intervals=self.intervals.take(rows) if self.intervals else None)


@dataclass(frozen=True)
class IntervalForecasts:
    """Prediction intervals of the log return.

    levels: nominal coverages, ascending; lower, upper: (rows, levels). level: of the interval with a column in tables.
    size: expected absolute log return of each row. constant: half-width of an interval of constant width with `level`,
    for comparison. horizon: in candles.
    """

    levels: tuple[float, ...]
    level: float
    lower: Values
    upper: Values
    size: Values
    constant: Values
    horizon: int

    def take(self, rows: NDArray[np.bool_]) -> IntervalForecasts:
        """Return the intervals of some rows."""
        names = ("lower", "upper", "size", "constant")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def at(self, level: float) -> tuple[Values, Values]:
        """Return lower and upper bounds at a level."""
        column = self.levels.index(level)
        return self.lower[:, column], self.upper[:, column]
