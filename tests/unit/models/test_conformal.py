"""Conformal quantiles: by hand, of recent scores only, the same in both ways to compute them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoml.models.conformal import (
    LEVELS,
    MIN_SCORES,
    RECENT,
    conformal_quantile,
    is_symmetric,
    recent_bounds,
    recent_share_above,
)


def test_conformal_quantile_by_hand_and_by_coverage():
    assert conformal_quantile(np.array([3.0, -1.0, 2.0, -4.0]), 0.5) == 3.0
    assert conformal_quantile(np.array([3.0, -1.0]), 0.9) == 3.0
    rng = np.random.default_rng(0)
    half = conformal_quantile(rng.standard_t(4, 5000), 0.9)
    assert np.mean(np.abs(rng.standard_t(4, 50_000)) <= half) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("symmetric", [True, False])
def test_bounds_are_quantiles_of_the_newest_known_scores(symmetric: bool):
    scores = np.random.default_rng(1).standard_t(3, 3 * RECENT)
    known = np.arange(MIN_SCORES, len(scores) + 1)
    lower, upper = recent_bounds(scores, known, LEVELS, symmetric=symmetric)
    for row in (0, 1, 900, RECENT - MIN_SCORES - 1, RECENT - MIN_SCORES, RECENT, 2 * RECENT + 17, len(known) - 1):
        newest = scores[max(known[row] - RECENT, 0) : known[row]]
        n = len(newest)
        for column, level in enumerate(LEVELS):
            if symmetric:
                expected = np.sort(np.abs(newest))[min(math.ceil((n + 1) * level), n) - 1]
                assert (lower[row, column], upper[row, column]) == (-expected, expected)
            else:
                rank = min(math.ceil((n + 1) * (1 + level) / 2), n) - 1
                assert upper[row, column] == np.sort(newest)[rank]
                assert lower[row, column] == -np.sort(-newest)[rank]
    # Few rows are computed without the filter.
    alone = recent_bounds(scores, known[-5:], LEVELS, symmetric=symmetric)
    np.testing.assert_array_equal(alone[0], lower[-5:])
    np.testing.assert_array_equal(alone[1], upper[-5:])


def test_with_few_known_scores_all_are_used():
    scores = np.random.default_rng(2).normal(size=500)
    lower, upper = recent_bounds(scores, np.array([0, MIN_SCORES - 1, 500]), LEVELS, symmetric=True)
    np.testing.assert_array_equal(upper[0], upper[2])
    np.testing.assert_array_equal(lower[1], lower[2])


@given(seed=st.integers(0, 10**6), n=st.integers(MIN_SCORES, 300), symmetric=st.booleans())
def test_intervals_are_nested(seed: int, n: int, symmetric: bool):
    scores = np.random.default_rng(seed).standard_t(2, n) + 0.3
    lower, upper = recent_bounds(scores, np.array([n]), LEVELS, symmetric=symmetric)
    assert (np.diff(upper) >= 0).all()
    assert (np.diff(lower) <= 0).all()
    assert (lower <= upper).all()


def test_coverage_follows_a_change_of_regime():
    """After the scores double, the recent ones cover again; those of the whole past never do."""
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.normal(size=20_000), 2 * rng.normal(size=10_000)])
    known = np.arange(len(scores))
    _, upper = recent_bounds(scores, known, (0.9,), symmetric=True)
    after = np.abs(scores[20_000 + RECENT :]) <= upper[20_000 + RECENT :, 0]
    assert after.mean() == pytest.approx(0.9, abs=0.01)
    assert np.mean(np.abs(scores[22_000:]) <= conformal_quantile(scores[:20_000], 0.9)) < 0.65


def test_symmetry_is_given_up_for_skewed_scores_only():
    rng = np.random.default_rng(4)
    assert is_symmetric(rng.standard_t(4, 8000), 1)
    skewed = rng.exponential(size=8000) - 1
    assert not is_symmetric(skewed, 1)
    # With overlapping forecasts, there is less evidence.
    assert is_symmetric(np.repeat(skewed[:80], 100), 100)


def test_share_above():
    scores = np.array([-3.0, -1.0, 0.5, 2.0])
    assert recent_share_above(scores, 4, 0.0, symmetric=False) == 0.5
    assert recent_share_above(scores, 2, -2.0, symmetric=False) == 0.5
    # Of -3, -1, 0.5, 2 and 3, 1, -0.5, -2, three are above 0.9.
    assert recent_share_above(scores, 4, 0.9, symmetric=True) == 3 / 8
