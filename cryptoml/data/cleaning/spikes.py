"""Price spikes: wrong prices, judged by the candle itself and the candles before it.

Whether a candle is a spike depends on the WINDOW candles before it and on nothing else: neither on what precedes them
nor on what follows, so that a file that is continued or cut gives the same candles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.cleaning.repair import Rows

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

# The candles before, from which typical range and volume are taken, and those with which the price is compared.
WINDOW = 24
NEIGHBOURS = 6
# A high or low is a spike if it is this far (natural log) from the candles before and from open and close, and this
# many times the typical range. Flash crashes of liquid markets are below both, or have volume.
SPIKE_LOG = 0.35
SPIKE_RANGES = 20.0
# An open or close that is this far away (a factor of twenty) is a spike; a smaller step may be the price from then on.
SPIKE_STEP_LOG = 3.0
# The same for the range of a candle without candles before it.
SPIKE_FIRST_LOG = 1.0
# With this many times the typical volume the price is real.
SPIKE_VOLUME = 9.0


def drop_spikes(rows: Rows) -> None:
    """Drop, by policy, candles with a price that the candles before contradict, if their volume is not high."""
    rows.drop_or_fail("price spike", spikes(rows.frame), column=_worst(rows.frame))


def spikes(frame: pd.DataFrame) -> Mask:
    """Return a mask of the candles that are price spikes."""
    import numpy as np

    o, h, low, c = (np.log(frame[name].to_numpy(dtype=np.float64)) for name in ("open", "high", "low", "close"))
    volume = frame["volume"].to_numpy(dtype=np.float64)
    middle, top, bottom = (o + c) / 2, np.maximum(o, c), np.minimum(o, c)
    is_spike = np.zeros(len(frame), dtype=bool)
    suspects = np.flatnonzero(_stands_out(middle, h, low, top, bottom))
    if suspects.size:
        # The second lowest and highest of the candles before, so that one spike among them has no effect.
        ordered = np.sort(_before(middle, suspects, NEIGHBOURS), axis=1)
        below, above = ordered[:, 1], ordered[:, -2]
        reach = np.maximum(SPIKE_LOG, SPIKE_RANGES * np.median(_before(h - low, suspects, WINDOW), axis=1))
        step = np.maximum(reach, SPIKE_STEP_LOG)
        high, lowest, upper, lower = h[suspects], low[suspects], top[suspects], bottom[suspects]
        # A shadow is also compared with the candle's own open and close.
        shadow = (high > np.maximum(above, upper) + reach) | (lowest < np.minimum(below, lower) - reach)
        body = (upper > above + step) | (lower < below - step)
        usual = volume[suspects] <= SPIKE_VOLUME * np.median(_before(volume, suspects, WINDOW), axis=1)
        is_spike[suspects] = (shadow | body) & usual
    if len(is_spike):
        is_spike[0] = h[0] - low[0] > SPIKE_FIRST_LOG
    return is_spike


def _stands_out(middle: Floats, h: Floats, low: Floats, top: Floats, bottom: Floats) -> Mask:
    """Return a mask of the candles that can be spikes; an open or close needs NEIGHBOURS candles before it."""
    import numpy as np

    apart = np.zeros(len(middle), dtype=np.int64)
    for shift in range(1, NEIGHBOURS + 1):
        before = middle[:-shift]
        apart[shift:] += (top[shift:] > before + SPIKE_STEP_LOG) | (bottom[shift:] < before - SPIKE_STEP_LOG)
    apart[:NEIGHBOURS] = 0
    mask: Mask = (h > top + SPIKE_LOG) | (low < bottom - SPIKE_LOG) | (apart >= NEIGHBOURS - 1)
    mask[:1] = False
    return mask


def _before(values: Floats, rows: NDArray[np.intp], width: int) -> Floats:
    """Return the `width` values before each of the rows; at the start of the file, the first value is repeated."""
    import numpy as np

    found: Floats = values[np.maximum(rows[:, None] - np.arange(width, 0, -1), 0)]
    return found


def _worst(frame: pd.DataFrame) -> NDArray[np.str_]:
    """Return, per candle, the column (high or low) with the larger distance from the middle of open and close."""
    import numpy as np

    middle = np.sqrt(frame["open"].to_numpy() * frame["close"].to_numpy())
    high = frame["high"].to_numpy() * frame["low"].to_numpy() > middle**2
    return np.where(high, "high", "low")
