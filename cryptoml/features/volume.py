"""Features of volume, relative to its own past; all are finite when nothing is traded."""

import numpy as np

from cryptoml.features.bars import Bars
from cryptoml.features.windows import Array, lagged


def volume_ratio(bars: Bars, window: int) -> Array:
    """Log of 1 plus the volume over its mean: 0 when nothing was traded, log 2 as usual.

    A window without any trade counts as usual.
    """
    mean = bars.volume_means.over(window)[0]
    silent = mean <= 0
    return np.log1p(np.where(silent, 1.0, bars.volume / np.where(silent, 1.0, mean)))


def volume_change(bars: Bars, _: int) -> Array:
    """Change from the candle before over the sum of both, -1 to 1; 0 when neither had a trade."""
    before = lagged(bars.volume, 1)
    both = bars.volume + before
    silent = both <= 0
    return np.where(silent, 0.0, (bars.volume - before) / np.where(silent, 1.0, both))
