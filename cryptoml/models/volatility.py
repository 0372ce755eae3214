"""The volatility model: forecasts how far the price will move, from the volatility measures of recent candles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

# Older rows add time and no accuracy.
MAX_ROWS = 50_000
_PENALTY = 1e-4
# Returns below this share of the mean size are treated as if they had it: the likelihood of zero is infinite.
_SMALLEST = 1e-3


@dataclass(frozen=True)
class VolatilityModel:
    """Expected size of the log return over the horizon: exp(intercept + coefficients x measures).

    windows: of `cryptoml.features.volatility`, in candles; interval_seconds: length of a candle.
    """

    windows: tuple[int, ...]
    interval_seconds: int
    intercept: float
    coefficients: tuple[float, ...]

    def predict(self, measures: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the expected absolute log return of each row; NaN where a measure is NaN."""
        import numpy as np

        # A matrix product may round differently for other numbers of rows.
        logarithm = np.full(len(measures), self.intercept)
        for column, coefficient in enumerate(self.coefficients):
            logarithm += coefficient * measures[:, column].astype(np.float64)
        expected: NDArray[np.float64] = np.exp(logarithm)
        return expected

    def predict_grid(self, grid: pd.DataFrame) -> NDArray[np.float64]:
        """Return the expected absolute log return from each row of a grid of candles."""
        from cryptoml.features.volatility import volatility_features

        return self.predict(volatility_features(grid, self.windows, self.interval_seconds))


def fit_volatility(
    measures: NDArray[np.float32], target: NDArray[np.float64], windows: Sequence[int], interval_seconds: int
) -> VolatilityModel:
    """Fit to the absolute log returns `target`, with the newest MAX_ROWS rows; measures have no NaN.

    A generalised linear model with the gamma likelihood and logarithmic link: its likelihood is that of Laplace
    distributed returns, so that it is consistent for any distribution and robust to extreme returns.
    """
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import GammaRegressor
    from threadpoolctl import threadpool_limits

    X = measures[-MAX_ROWS:].astype(np.float64)
    size = np.abs(target[-MAX_ROWS:])
    typical = float(np.mean(size))
    constant = VolatilityModel(
        tuple(windows), interval_seconds, float(np.log(typical or _SMALLEST)), (0.0,) * X.shape[1]
    )
    if typical <= 0:
        return constant
    centre, spread = X.mean(axis=0), X.std(axis=0)
    spread[spread < 1e-9] = 1.0
    model = GammaRegressor(alpha=_PENALTY, solver="newton-cholesky", max_iter=100)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Measures may be collinear, for example of a price that rests; the fit then ends with another solver.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        model.fit((X - centre) / spread, np.maximum(size / typical, _SMALLEST))
    coefficients = model.coef_ / spread
    intercept = float(model.intercept_ + np.log(typical) - np.sum(coefficients * centre))
    if not np.isfinite([intercept, *coefficients]).all():
        return constant
    return VolatilityModel(tuple(windows), interval_seconds, intercept, tuple(map(float, coefficients)))
