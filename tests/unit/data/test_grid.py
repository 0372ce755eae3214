"""The regular grid: short gaps are filled with the previous close, long ones are breaks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoml.data.grid import to_grid
from cryptoml.data.interval import parse_interval

MINUTE = parse_interval("1m")
PRICES = ["open", "high", "low", "close"]


def candles(minutes: list[int], unit: str = "ns") -> pd.DataFrame:
    """Return a candle for each of these minutes, with prices and volume that identify it."""
    start = pd.Timestamp("2021-03-01 00:07", tz="UTC")
    index = pd.DatetimeIndex([start + pd.Timedelta(minutes=one) for one in minutes], name="timestamp").as_unit(unit)
    base = np.asarray(minutes, dtype=float) + 100
    return pd.DataFrame(
        {"open": base, "high": base + 2, "low": base - 2, "close": base + 1, "volume": base / 10}, index=index
    )


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_a_short_gap_is_no_trade_and_a_long_one_is_a_break(unit):
    grid = to_grid(candles([0, 1, 4, 8], unit), MINUTE, max_no_trade_candles=2)
    assert list(grid.columns) == [*PRICES, "volume", "no_trade"]
    assert list((grid.index - grid.index[0]) / pd.Timedelta(minutes=1)) == list(range(9))
    assert (grid.index[0], grid.index.name) == (pd.Timestamp("2021-03-01 00:07", tz="UTC"), "timestamp")
    assert list(grid["no_trade"]) == [False, False, True, True, False, False, False, False, False]
    # Minute 1 closes at 102, and minutes 2 and 3 carry it.
    assert grid.iloc[2:4][PRICES].to_numpy().tolist() == [[102.0] * 4] * 2
    assert list(grid["volume"].iloc[:5]) == [10.0, 10.1, 0.0, 0.0, 10.4]
    assert grid.iloc[5:8][[*PRICES, "volume"]].isna().all(axis=None)
    assert list(grid["close"].iloc[[0, 1, 4, 8]]) == [101.0, 102.0, 105.0, 109.0]


def test_with_a_limit_of_zero_every_gap_is_a_break():
    grid = to_grid(candles([0, 2]), MINUTE, max_no_trade_candles=0)
    assert grid["close"].isna().tolist() == [False, True, False]
    assert not grid["no_trade"].any()


def test_a_single_candle_gives_a_grid_of_one_row():
    assert len(to_grid(candles([5]), MINUTE, max_no_trade_candles=3)) == 1


@settings(max_examples=60, deadline=None)
@given(minutes=st.sets(st.integers(0, 120), min_size=1), leave=st.integers(0, 20))
def test_the_grid_contains_each_candle_and_each_gap_once(minutes, leave):
    frame = candles(sorted(minutes))
    grid = to_grid(frame, MINUTE, max_no_trade_candles=leave)
    assert len(grid) == max(minutes) - min(minutes) + 1
    real = grid.loc[frame.index]
    np.testing.assert_array_equal(real[[*PRICES, "volume"]].to_numpy(), frame.to_numpy())
    assert not real["no_trade"].any()
    gaps = [after - before - 1 for before, after in zip(sorted(minutes), sorted(minutes)[1:], strict=False)]
    assert grid["no_trade"].sum() == sum(gap for gap in gaps if gap <= leave)
    assert grid["close"].isna().sum() == sum(gap for gap in gaps if gap > leave)
