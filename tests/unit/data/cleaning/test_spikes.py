"""Spikes are judged by the candles before: neither the start of a file nor what follows changes a verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoml.data.cleaning.spikes import WINDOW, spikes

N = 120


def market(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, N)))
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.003, N))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.003, N))
    return pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": rng.uniform(400, 600, N)})


def with_shadow(frame: pd.DataFrame, at: int, factor: float, volume: float) -> pd.DataFrame:
    changed = frame.copy()
    changed.loc[at, "high" if factor > 1 else "low"] = frame.loc[at, "close"] * factor
    changed.loc[at, "volume"] = volume
    return changed


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 50), at=st.integers(WINDOW + 1, N - 1),
    factor=st.sampled_from([0.01, 0.6, 0.69, 0.8, 1.5, 30.0]), volume=st.sampled_from([10.0, 500.0, 4000.0, 6000.0]),
    first=st.integers(0, N), last=st.integers(0, N),
)  # fmt: skip
def test_a_verdict_depends_on_the_window_before_only(seed, at, factor, volume, first, last):
    frame = with_shadow(market(seed), at, factor, volume)
    whole = spikes(frame)[at]
    start, stop = min(first, at - WINDOW), max(last, at + 1)
    assert spikes(frame[start:stop].reset_index(drop=True))[at - start] == whole


@pytest.mark.parametrize("fall", [0.70, 0.5])
@pytest.mark.parametrize("before", [4, 10, 16, 50])
def test_a_crash_with_volume_is_kept_wherever_the_file_begins(fall: float, before: int):
    frame = with_shadow(market(), 60, fall, 500 * 10)
    assert not spikes(frame[60 - before :].reset_index(drop=True)).any()
    assert not spikes(frame[60 - before : 61].reset_index(drop=True)).any()


@pytest.mark.parametrize("factor", [0.01, 0.5, 2.0, 100.0])
def test_a_shadow_without_volume_is_a_spike(factor: float):
    found = spikes(with_shadow(market(), 60, factor, 500.0))
    assert list(np.flatnonzero(found)) == [60]


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0, 10.0])
def test_a_new_price_level_is_kept(level: float):
    frame = market()
    frame.loc[60:, ["open", "high", "low", "close"]] *= level
    assert not spikes(frame).any()


def test_prices_in_another_unit_are_spikes():
    frame = market()
    frame.loc[60, ["open", "high", "low", "close"]] = 1.06
    assert list(np.flatnonzero(spikes(frame))) == [60]


def test_few_candles_are_no_problem():
    for length in range(4):
        assert len(spikes(market()[:length])) == length
