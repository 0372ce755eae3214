"""Misprints: prices of one candle that the candles before and after it refute."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.cleaning.repair import Rows

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

# A price counts as a misprint when it lies this far (natural log) outside what its neighbours show, and this many
# times their usual range. Flash crashes of liquid markets stay below both.
SPIKE_LOG = 0.35
SPIKE_RANGES = 20.0
SPIKE_NEIGHBOURS = 3
# Nobody trades much at a misprint: so many times the usual volume says that the price was real.
SPIKE_VOLUME = 10.0


def drop_spikes(rows: Rows) -> None:
    """By policy: candles whose high or low the three candles before and the three after refute.

    At an end of the file, where neighbours lie on one side only, the twelve candles there stand in for them.
    """
    found = spikes(rows.frame)
    if found is not None:
        rows.drop_or_fail("spike that its neighbours refute", found, column=_worst(rows.frame))


def spikes(frame: pd.DataFrame) -> Mask | None:
    """Which candles are misprints; None where the file is too short to say."""
    import numpy as np

    if len(frame) < 4 * SPIKE_NEIGHBOURS:
        return None
    o, h, low, c = (np.log(frame[name].to_numpy(dtype=np.float64)) for name in ("open", "high", "low", "close"))
    middle = (o + c) / 2
    usual = _block_median(h - low)
    reach = np.maximum(SPIKE_LOG, SPIKE_RANGES * usual)
    edge = SPIKE_NEIGHBOURS
    found = np.zeros(len(frame), dtype=bool)
    # Only what both direct neighbours let stand out is worth the six-neighbour comparison.
    before, after = middle[:-2], middle[2:]
    out = (h[1:-1] > np.minimum(before, after) + SPIKE_LOG) | (low[1:-1] < np.maximum(before, after) - SPIKE_LOG)
    suspects = np.flatnonzero(out) + 1
    suspects = suspects[(suspects >= edge) & (suspects < len(frame) - edge)]
    if suspects.size:
        shifts = np.r_[-edge:0, 1 : edge + 1]
        around = np.sort(middle[suspects[:, None] + shifts], axis=1)
        # The second lowest and highest of six: a misprint beside this one does not count.
        below, above, limit = around[:, 1], around[:, -2], reach[suspects]
        found[suspects] = (h[suspects] > above + limit) | (low[suspects] < below - limit)
    ends = np.r_[:edge, len(frame) - edge : len(frame)]
    for at, near in ((ends[:edge], slice(None, 4 * edge)), (ends[edge:], slice(-4 * edge, None))):
        found[at] = (h[at] > np.median(h[near]) + reach[at]) | (low[at] < np.median(low[near]) - reach[at])
    if found.any():
        volume = frame["volume"].to_numpy(dtype=np.float64)
        found &= volume <= SPIKE_VOLUME * np.maximum(_block_median(volume), 1e-12)
    return found


def _worst(frame: pd.DataFrame) -> NDArray[np.str_]:
    """The column in which each candle is furthest from the candle's middle."""
    import numpy as np

    middle = np.sqrt(frame["open"].to_numpy() * frame["close"].to_numpy())
    high = frame["high"].to_numpy() * frame["low"].to_numpy() > middle**2
    return np.where(high, "high", "low")


def _block_median(values: Floats, width: int = 25) -> Floats:
    """The median of each block of `width` values: cheap, and no single value moves it.

    What is left over at the end has the median of the last `width` values.
    """
    import numpy as np

    whole = len(values) // width
    blocks = np.median(values[: whole * width].reshape(whole, width), axis=1)
    return np.append(np.repeat(blocks, width), np.repeat(np.median(values[-width:]), len(values) - whole * width))
