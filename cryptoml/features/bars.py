"""The candles as arrays for feature functions, with the series that several features share."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cryptoml.features.windows import Array, Moments, geometric_sum, lagged

MACD_FAST = (12, 64)
MACD_SLOW = (26, 128)
MACD_SIGNAL = (9, 32)
MACD_HISTORY = MACD_SLOW[1] + 1


class Bars:
    """Consecutive rows of the regular grid as float64 arrays.

    In rows without valid prices (breaks), prices and volume are NaN. A missing volume counts as 0 if the prices are
    valid. Derived series are computed on first use and cached.
    """

    def __init__(
        self,
        *,
        open: Array,
        high: Array,
        low: Array,
        close: Array,
        volume: Array,
        opened_s: NDArray[np.int64],
    ) -> None:
        self.usable = np.isfinite(open + high + low + close) & (low > 0) & (open > 0) & (close > 0)
        if not self.usable.all():
            open, high, low, close, volume = (
                np.where(self.usable, values, np.nan) for values in (open, high, low, close, volume)
            )
        self.open, self.high, self.low, self.close = open, high, low, close
        self.volume = np.where(self.usable & ~np.isfinite(volume), 0.0, volume)
        self.opened_s = opened_s

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.close.size

    @cached_property
    def run(self) -> NDArray[np.int64]:
        """Number of consecutive usable rows that end at each row; 0 in a break."""
        rows = np.arange(self.size)
        return rows - np.maximum.accumulate(np.where(self.usable, -1, rows))

    def return_over(self, candles: int) -> Array:
        """Return the log return from the close `candles` rows earlier."""
        return np.log(self.close / lagged(self.close, candles))

    @cached_property
    def log_return(self) -> Array:
        """Log return from the previous close."""
        return self.return_over(1)

    @cached_property
    def true_range(self) -> Array:
        """Log of the highest over the lowest price since the previous close (Wilder's true range)."""
        before = lagged(self.close, 1)
        return np.log(np.maximum(self.high, before) / np.minimum(self.low, before))

    @cached_property
    def return_moments(self) -> Moments:
        """Moments of the log returns, up to the third."""
        return Moments(self.log_return, order=3)

    @cached_property
    def close_moments(self) -> Moments:
        """Mean and variance (population) of the closes."""
        return Moments(self.close, order=2)

    @cached_property
    def volume_means(self) -> Moments:
        """Mean of the volume."""
        return Moments(self.volume, order=1)

    @cached_property
    def macd(self) -> Array:
        """MACD of the log close: its 12-candle exponential moving average minus its 26-candle one.

        It is computed from returns, independent of the price level: the average is `sum(decay**(j+1) * return[t-j])`
        below the last close. The sums are truncated to the last 64 and 128 returns.
        """
        below = []
        for span, terms in (MACD_SLOW, MACD_FAST):
            decay = 1 - 2 / (span + 1)
            below.append(decay * geometric_sum(self.log_return, decay, terms))
        return below[0] - below[1]
