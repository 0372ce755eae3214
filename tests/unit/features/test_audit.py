"""The leakage audit reports every leaking column, and no causal one."""

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


def causal_features(grid):
    returns = np.log(grid["close"]).diff()
    return pd.DataFrame(
        {
            "return": returns,
            "mean": returns.rolling(24).mean(),
            "smooth": returns.ewm(span=12).mean(),
            "so_far": returns / returns.expanding().std(),
        }
    )


LEAKS = {
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


@pytest.mark.parametrize("leak", LEAKS)
def test_only_the_leaking_column_is_reported(grid, leak):
    def compute(candles):
        return causal_features(candles).assign(**{leak: LEAKS[leak](candles["close"])})

    assert audit_causality(compute, grid) == [leak]


def test_a_column_that_depends_on_later_rows_to_exist_is_reported(grid):
    def compute(candles):
        found = causal_features(candles)
        return found.assign(long=1.0) if len(candles) > 400 else found

    assert audit_causality(compute, grid) == ["long"]


def test_omitting_rows_without_values_is_not_reported(grid):
    assert audit_causality(lambda candles: causal_features(candles).dropna(), grid) == []


def test_no_feature_of_the_library_leaks(grid):
    assert audit_causality(FeaturePipeline().transform, grid) == []
