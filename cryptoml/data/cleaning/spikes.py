"""Price spikes: prices of a single candle that its neighbours contradict."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.cleaning.repair import Rows

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

# A price is a spike if it is this far (natural log) outside the range of its neighbours, and this many times their
# typical range. Flash crashes of liquid markets are below both.
SPIKE_LOG = 0.35
SPIKE_RANGES = 20.0
SPIKE_NEIGHBOURS = 3
# With this many times the typical volume the price is real.
SPIKE_VOLUME = 10.0


def drop_spikes(rows: Rows) -> None:
    """Drop, by policy, candles whose high or low is contradicted by the three candles before and after.

    At the ends of the file, which have neighbours on one side only, the twelve outermost candles are used instead.
    """
    mask = spikes(rows.frame)
    if mask is not None:
        rows.drop_or_fail("price spike", mask, column=_worst(rows.frame))


def spikes(frame: pd.DataFrame) -> Mask | None:
    """Return a mask of the candles that are price spikes; None if the file is too short."""
    import numpy as np

    if len(frame) < 4 * SPIKE_NEIGHBOURS:
        return None
    o, h, low, c = (np.log(frame[name].to_numpy(dtype=np.float64)) for name in ("open", "high", "low", "close"))
    middle = (o + c) / 2
    typical_range = _block_median(h - low)
    reach = np.maximum(SPIKE_LOG, SPIKE_RANGES * typical_range)
    edge = SPIKE_NEIGHBOURS
    is_spike = np.zeros(len(frame), dtype=bool)
    # Compare only candles that stand out from both direct neighbours with all six.
    before, after = middle[:-2], middle[2:]
    out = (h[1:-1] > np.minimum(before, after) + SPIKE_LOG) | (low[1:-1] < np.maximum(before, after) - SPIKE_LOG)
    suspects = np.flatnonzero(out) + 1
    suspects = suspects[(suspects >= edge) & (suspects < len(frame) - edge)]
    if suspects.size:
        shifts = np.r_[-edge:0, 1 : edge + 1]
        around = np.sort(middle[suspects[:, None] + shifts], axis=1)
        # The second lowest and highest of six, so that an adjacent spike has no effect.
        below, above, limit = around[:, 1], around[:, -2], reach[suspects]
        is_spike[suspects] = (h[suspects] > above + limit) | (low[suspects] < below - limit)
    ends = np.r_[:edge, len(frame) - edge : len(frame)]
    for at, near in ((ends[:edge], slice(None, 4 * edge)), (ends[edge:], slice(-4 * edge, None))):
        is_spike[at] = (h[at] > np.median(h[near]) + reach[at]) | (low[at] < np.median(low[near]) - reach[at])
    if is_spike.any():
        volume = frame["volume"].to_numpy(dtype=np.float64)
        is_spike &= volume <= SPIKE_VOLUME * np.maximum(_block_median(volume), 1e-12)
    return is_spike


def _worst(frame: pd.DataFrame) -> NDArray[np.str_]:
    """Return, per candle, the column (high or low) with the larger distance from the middle of open and close."""
    import numpy as np

    middle = np.sqrt(frame["open"].to_numpy() * frame["close"].to_numpy())
    high = frame["high"].to_numpy() * frame["low"].to_numpy() > middle**2
    return np.where(high, "high", "low")


def _block_median(values: Floats, width: int = 25) -> Floats:
    """Return the median of each block of `width` values, repeated for each value: fast and robust.

    The remainder at the end gets the median of the last `width` values.
    """
    import numpy as np

    whole = len(values) // width
    blocks = np.median(values[: whole * width].reshape(whole, width), axis=1)
    return np.append(np.repeat(blocks, width), np.repeat(np.median(values[-width:]), len(values) - whole * width))
