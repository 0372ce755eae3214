"""Measures of the recent volatility, from which the width of prediction intervals is forecast.

They are those of the heterogeneous autoregressive model (Corsi 2009): averages over windows of very different lengths,
here of squared returns and of squared ranges, and the time of day and of the week.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

WINDOWS = (1, 6, 24, 168)
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
# 1970-01-01 was a Thursday.
_MONDAY_S = 4 * _DAY_S
_HARMONICS = (1, 2, 3)
# A tenth of a basis point, squared: the logarithm of an average needs one that is not zero.
_FLOOR = 1e-10
# Rows per block, which bounds the memory for long histories.
_BLOCK_ROWS = 131_072


def volatility_windows(warmup_candles: int) -> tuple[int, ...]:
    """Return the windows, in candles, that are complete wherever `warmup_candles` candles are."""
    return tuple(window for window in WINDOWS if window < warmup_candles)


def column_count(windows: Sequence[int], interval_seconds: int) -> int:
    """Return the number of columns of `volatility_features`."""
    return 2 * len(windows) + 2 * len(_HARMONICS) * len(_periods(interval_seconds))


def volatility_features(grid: pd.DataFrame, windows: Sequence[int], interval_seconds: int) -> NDArray[np.float32]:
    """Compute the measures of every row of the regular grid, as returned by `cryptoml.data.grid.to_grid`.

    Returns (rows, columns): the logarithms of the mean squared return and of the mean squared range (log of high over
    low) by window, then sines and cosines of the time of day and of the week. NaN where a window contains a break or
    starts before the first row. As with features, earlier candles do not change a single bit of a value.
    """
    import numpy as np

    from cryptoml.features.bars import Bars
    from cryptoml.features.windows import Moments

    opened_s = grid.index.to_numpy(dtype="datetime64[s]").astype(np.int64)
    series = {name: grid[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")}
    history = max(windows, default=0) + 1
    periods = _periods(interval_seconds)
    out = np.empty((len(grid), column_count(windows, interval_seconds)), dtype=np.float32)
    for start in range(0, len(grid), _BLOCK_ROWS):
        first, stop = max(start - history, 0), min(start + _BLOCK_ROWS, len(grid))
        bars = Bars(opened_s=opened_s[first:stop], **{name: values[first:stop] for name, values in series.items()})
        squares = Moments(bars.log_return**2, order=1), Moments(np.log(bars.high / bars.low) ** 2, order=1)
        means = [moments.over(window)[0][start - first :] for window in windows for moments in squares]
        for column, mean in enumerate(means):
            out[start:stop, column] = np.log(mean + _FLOOR)
    column = 2 * len(windows)
    for period, begin in periods:
        phase = 2 * np.pi * (((opened_s - begin) % period) / period)
        for harmonic in _HARMONICS:
            out[:, column], out[:, column + 1] = np.sin(harmonic * phase), np.cos(harmonic * phase)
            column += 2
    return out


def _periods(interval_seconds: int) -> list[tuple[int, int]]:
    """Return period and beginning, in seconds, of the day and the week, as far as candles are shorter."""
    return [(period, begin) for period, begin in ((_DAY_S, 0), (_WEEK_S, _MONDAY_S)) if interval_seconds < period]
