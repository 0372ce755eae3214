"""The short form of `make truth`: verdicts on simulated markets whose truth is known."""

from __future__ import annotations

import pytest

from benchmarks.truth import judge

MODELS = ("ridge", "xgb")


@pytest.mark.slow
def test_on_random_walks_hardly_anything_beats_persistence():
    outcomes = [one for seed in range(20) for one in judge(MODELS, signal=0.0, candles=6000, seed=seed)]
    assert sum(one.word == "beats" for one in outcomes) <= 0.05 * len(outcomes)
    assert all(abs(one.possible) < 1e-12 for one in outcomes)


@pytest.mark.slow
def test_on_predictable_markets_nearly_everything_does():
    outcomes = [one for seed in range(10) for one in judge(MODELS, signal=0.03, candles=12_000, seed=seed)]
    assert sum(one.word == "beats" for one in outcomes) >= 0.95 * len(outcomes)
    reached = sum(one.reached for one in outcomes) / sum(one.possible for one in outcomes)
    assert 0.5 < reached < 1.05
