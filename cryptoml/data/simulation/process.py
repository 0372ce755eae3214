"""The stochastic process of the simulated market: volatility, the predictable part of returns, candles, volume."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

YEAR_S = 365.25 * 86_400

_YEARLY_VOLATILITY = 0.8
# (half-life in days, standard deviation) of the components of log volatility.
_VOLATILITY_PARTS = ((0.4, 0.30), (12.0, 0.40))
_DAILY_SWING = 0.25
_BUSIEST_HOUR = 15.0
_WEEKEND_QUIET = 0.25
_TAIL_FREEDOM = 6.0
_UNIT_VARIANCE = math.sqrt((_TAIL_FREEDOM - 2) / _TAIL_FREEDOM)

# Weights of the last shocks in the linear part of g: negative, for mean reversion.
_REVERSAL = (-0.8, -0.5, -0.3)
_LINEAR_SHARE = 0.8
# The nonlinear part is the last shock times the trend of the earlier ones: momentum in an uptrend, reversal in a
# downtrend.
SEEN_SHOCKS = 6

_MEAN_VOLUME = 1_000.0


def draw_shocks(count: int, rng: np.random.Generator) -> Array:
    """Return `count` independent Student t shocks with variance 1."""
    shocks: Array = rng.standard_t(_TAIL_FREEDOM, count) * _UNIT_VARIANCE
    return shocks


def volatility_path(opened_s: NDArray[np.int64], interval_s: int, rng: np.random.Generator) -> Array:
    """Return the volatility of each candle's log return: a slow and a fast component, the hour and the weekend.

    opened_s: open times, seconds since 1970, UTC.
    """
    import numpy as np
    from scipy.signal import lfilter

    log_volatility = np.zeros(opened_s.size)
    for half_life_days, deviation in _VOLATILITY_PARTS:
        decay = 0.5 ** (interval_s / (half_life_days * 86_400))
        innovations = rng.standard_normal(opened_s.size)
        innovations[1:] *= math.sqrt(1 - decay**2)
        # Subtracting deviation**2 keeps the mean square of the component's exponential at 1.
        log_volatility += deviation * lfilter([1.0], [1.0, -decay], innovations) - deviation**2
    if interval_s < 86_400:
        hour = opened_s % 86_400 / 3_600
        log_volatility += _DAILY_SWING * np.cos((hour - _BUSIEST_HOUR) * (2 * np.pi / 24))
    # 1970-01-01 was a Thursday, so Saturday and Sunday are days 2 and 3 of the weeks since.
    weekend = np.isin(opened_s // 86_400 % 7, (2, 3))
    log_volatility -= _WEEKEND_QUIET * weekend
    volatility: Array = _YEARLY_VOLATILITY * math.sqrt(interval_s / YEAR_S) * np.exp(log_volatility)
    return volatility


def predictable(shocks: Array) -> Array:
    """Return g for every candle, from the shocks of the previous six; mean 0, variance 1.

    The mean and variance are exact: the shocks are independent and symmetric with variance 1, so the two parts are
    uncorrelated, each with variance 1 before weighting.
    """
    import numpy as np

    def ago(values: Array, lag: int) -> Array:
        return values[SEEN_SHOCKS - lag : values.size - lag + 1]

    reversal = sum(weight * ago(shocks, lag) for lag, weight in enumerate(_REVERSAL, start=1))
    bounded = np.tanh(shocks)
    trend = sum(ago(bounded, lag) for lag in range(2, SEEN_SHOCKS + 1))
    interaction = ago(bounded, 1) * trend / (math.sqrt(SEEN_SHOCKS - 1) * _bounded_variance())
    linear_scale = math.sqrt(_LINEAR_SHARE / sum(weight**2 for weight in _REVERSAL))
    predictable: Array = linear_scale * reversal + math.sqrt(1 - _LINEAR_SHARE) * interaction
    return predictable


def _bounded_variance() -> float:
    """Return the variance of tanh(shock), by quadrature over the density of Student's t."""
    from scipy.integrate import quad

    nu = _TAIL_FREEDOM
    scale = math.gamma((nu + 1) / 2) / (math.sqrt(nu * math.pi) * math.gamma(nu / 2))

    def weighted(x: float) -> float:
        return math.tanh(x * _UNIT_VARIANCE) ** 2 * scale * math.pow(1 + x * x / nu, -(nu + 1) / 2)

    half: float = quad(weighted, 0, math.inf)[0]
    return 2 * half


def candles(returns: Array, volatility: Array, price: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return candles whose closes follow `returns`, with random highs, lows and volumes; `price` is the first open.

    High and low are drawn from the distribution of the extremes of a Brownian bridge from open to close: the inverse of
    `P(max > m) = exp(-2 m (m - r) / volatility**2)`.
    """
    import numpy as np
    import pandas as pd

    log_close = np.cumsum(returns)
    log_open = np.concatenate(([0.0], log_close[:-1]))
    upward, downward = (
        np.sqrt(returns**2 - 2 * volatility**2 * np.log(1 - rng.random(returns.size))) for _ in range(2)
    )
    columns = {
        "open": log_open,
        "high": log_open + (returns + upward) / 2,
        "low": log_open + (returns - downward) / 2,
        "close": log_close,
    }
    prices = pd.DataFrame({name: price * np.exp(values) for name, values in columns.items()})
    # Eight significant digits of the lowest price: finer than the ticks of exchanges.
    decimals = int(np.clip(7 - math.floor(math.log10(prices["low"].min())), 2, 15))
    frame = prices.round(decimals)
    frame["volume"] = _volume(returns, volatility, rng).round(4)
    return frame


def _volume(returns: Array, volatility: Array, rng: np.random.Generator) -> Array:
    """Return the volume, which grows with volatility and with the size of the return, plus noise."""
    import numpy as np

    typical = float(np.median(volatility))
    surprise = np.abs(returns) / volatility
    log_volume = 1.2 * np.log(volatility / typical) + 0.3 * surprise + 0.4 * rng.standard_normal(returns.size)
    volume: Array = _MEAN_VOLUME * np.exp(log_volume)
    return volume
