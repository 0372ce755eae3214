"""Pairwise tests: they find the better model and adjust for multiple testing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cryptoml.evaluation.pairwise_tests import compare_pairs
from cryptoml.evaluation.significance import diebold_mariano

INDEX = pd.date_range("2024-01-01", periods=2000, freq="1h", tz="UTC")


def losses(scale: float, seed: int, index: pd.DatetimeIndex = INDEX) -> pd.Series[float]:
    return pd.Series((scale * np.random.default_rng(seed).standard_normal(len(index))) ** 2, index=index)


def test_the_better_model_is_named_and_the_lowest_p_value_is_first() -> None:
    found = compare_pairs({"bad": losses(1.5, 1), "good": losses(1.0, 2), "as good": losses(1.0, 3)}, 1)
    assert len(found) == 3
    assert {(pair.better, pair.other) for pair in found[:2]} == {("good", "bad"), ("as good", "bad")}
    assert found[0].p_value <= found[1].p_value <= found[2].p_value
    assert found[2].p_adjusted > 0.05
    assert 0.2 < found[0].gain < 0.5


def test_holm_increases_the_p_value_of_the_test() -> None:
    series = {name: losses(1 + 0.02 * place, place) for place, name in enumerate("abcd")}
    for pair in compare_pairs(series, 3):
        alone = diebold_mariano(series[pair.better].to_numpy(), series[pair.other].to_numpy(), 3)
        assert pair.p_value == alone.p_value
        assert pair.p_adjusted >= pair.p_value


def test_only_common_times_are_compared() -> None:
    found = compare_pairs({"a": losses(1, 1), "b": losses(1, 2, INDEX[500:])}, 1)
    assert [pair.n for pair in found] == [1500]
    later = INDEX + pd.Timedelta(days=1000)
    assert compare_pairs({"a": losses(1, 1), "b": losses(1, 2, later)}, 1) == []


def test_equal_models_rarely_differ_significantly() -> None:
    false = 0
    for seed in range(40):
        found = compare_pairs({str(k): losses(1, 1000 * seed + k, INDEX[:400]) for k in range(5)}, 1)
        false += any(pair.p_adjusted < 0.05 for pair in found)
    assert false <= 6
