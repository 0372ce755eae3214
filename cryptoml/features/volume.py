"""Features of the volume relative to its past; finite even without any trade."""

import numpy as np

from cryptoml.features.bars import Bars
from cryptoml.features.windows import Array, lagged


def volume_ratio(bars: Bars, window: int) -> Array:
    """Log of 1 plus the volume over its mean: 0 without trades, log 2 at the mean.

    If the window has no trades, the ratio is log 2.
    """
    mean = bars.volume_means.over(window)[0]
    no_trades = mean <= 0
    return np.log1p(np.where(no_trades, 1.0, bars.volume / np.where(no_trades, 1.0, mean)))


def volume_change(bars: Bars, _: int) -> Array:
    """Change from the previous candle over the sum of both, -1 to 1; 0 if neither has trades."""
    before = lagged(bars.volume, 1)
    total = bars.volume + before
    no_trades = total <= 0
    return np.where(no_trades, 0.0, (bars.volume - before) / np.where(no_trades, 1.0, total))
