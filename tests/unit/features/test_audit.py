"""The leakage audit: names every planted leak, and no honest column."""

import numpy as np
import pandas as pd
import pytest

from cryptoml.features.audit import audit_causality
from cryptoml.features.pipeline import FeaturePipeline


@pytest.fixture
def grid():
    rng = np.random.default_rng(11)
    size = 600
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, size)))
    frame = pd.DataFrame(
        {
            "open": close,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": rng.exponential(5, size),
        },
        index=pd.date_range("2022-01-01", periods=size, freq="1h", tz="UTC", name="timestamp"),
    )
    frame.iloc[300:303] = np.nan
    return frame


def honest(grid):
    returns = np.log(grid["close"]).diff()
    return pd.DataFrame(
        {
            "return": returns,
            "mean": returns.rolling(24).mean(),
            "smooth": returns.ewm(span=12).mean(),
            "so_far": returns / returns.expanding().std(),
        }
    )


PLANTED = {
    "shifted": lambda c: c.pct_change(fill_method=None).shift(-1),
    "centred": lambda c: c.rolling(9, center=True).mean() / c,
    "scaled": lambda c: (c - c.mean()) / c.std(),
    "ranked": lambda c: c.rank(pct=True),
    "filled_warm_up": lambda c: c.pct_change(24, fill_method=None).bfill(limit=30),
    "filled_break": lambda c: c.bfill() / c.ffill(),
    "interpolated": lambda c: c.interpolate() / c.ffill(),
    "last_value": lambda c: c / c.dropna().iloc[-1],
    "reversed": lambda c: c[::-1].ewm(span=5).mean()[::-1] / c,
    "one_late_row": lambda c: c.pct_change(fill_method=None).where(c != c.max(), 0.0),
}


@pytest.mark.parametrize("leak", PLANTED)
def test_a_planted_leak_is_named_and_it_alone(grid, leak):
    def compute(candles):
        return honest(candles).assign(**{leak: PLANTED[leak](candles["close"])})

    assert audit_causality(compute, grid) == [leak]


def test_a_column_that_comes_and_goes_is_named(grid):
    def compute(candles):
        found = honest(candles)
        return found.assign(long=1.0) if len(candles) > 400 else found

    assert audit_causality(compute, grid) == ["long"]


def test_leaving_out_rows_without_values_is_no_leak(grid):
    assert audit_causality(lambda candles: honest(candles).dropna(), grid) == []


def test_the_library_passes(grid):
    assert audit_causality(FeaturePipeline().transform, grid) == []
