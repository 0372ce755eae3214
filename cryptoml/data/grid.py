"""Candles on a regular time grid, with a row for every interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.interval import Interval


def to_grid(frame: pd.DataFrame, interval: Interval, *, max_no_trade_candles: int) -> pd.DataFrame:
    """Reindex candles to every interval from the first to the last, with the additional column no_trade.

    A gap of up to `max_no_trade_candles` is treated as "no trade": the previous close is carried into all four
    prices, volume is 0, no_trade is True. A longer gap is a break: its rows are NaN and no_trade is False.
    `frame` must be ascending and unique, on one phase of the grid.
    """
    import numpy as np
    import pandas as pd

    index = frame.index
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[index.unit]  # type: ignore[attr-defined]
    ticks = index.astype("int64").to_numpy()
    position = (ticks - ticks[0]) // (interval.seconds * per_second)
    length = int(position[-1]) + 1
    columns = {name: np.full(length, np.nan) for name in ("open", "high", "low", "close", "volume")}
    for name, values in columns.items():
        values[position] = frame[name].to_numpy(dtype=np.float64)
    no_trade = np.zeros(length, dtype=bool)
    if length > len(frame):
        gaps = np.diff(position) - 1
        short = (gaps > 0) & (gaps <= max_no_trade_candles)
        sizes = gaps[short]
        if sizes.size:
            offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            filled = np.repeat(position[:-1][short], sizes) + 1 + offsets
            carried = np.repeat(columns["close"][position[:-1][short]], sizes)
            for name in ("open", "high", "low", "close"):
                columns[name][filled] = carried
            columns["volume"][filled] = 0.0
            no_trade[filled] = True
    start = index[0]
    grid = pd.date_range(start, periods=length, freq=interval.timedelta, name="timestamp")
    return pd.DataFrame({**columns, "no_trade": no_trade}, index=grid)
