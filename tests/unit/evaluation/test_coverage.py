"""Scores and tests of intervals: values by hand, and rejections as often as the level says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from cryptoml.evaluation.coverage import christoffersen_p_value, interval_score, kupiec_p_value, pinball_loss
from cryptoml.evaluation.forecasts import Forecasts, IntervalForecasts
from cryptoml.evaluation.metrics import METRICS


def test_interval_score_and_pinball_loss_by_hand():
    actual = np.array([0.0, 3.0, -2.0])
    lower, upper = np.full(3, -1.0), np.full(3, 1.0)
    assert interval_score(actual, lower, upper, 0.9) == pytest.approx(2 + 20 * (0 + 2 + 1) / 3)
    assert pinball_loss(actual, upper, 0.95) == pytest.approx((0.05 * 1 + 0.95 * 2 + 0.05 * 3) / 3)


def test_the_interval_score_is_lowest_for_the_true_quantiles():
    actual = np.random.default_rng(0).normal(size=100_000)
    scores = {width: interval_score(actual, -np.full(len(actual), width), np.full(len(actual), width), 0.9)
              for width in (1.3, 1.645, 2.0)}  # fmt: skip
    assert min(scores, key=scores.__getitem__) == 1.645


def test_kupiec_by_hand():
    inside = np.arange(250) >= 20
    share = 230 / 250
    ratio = 2 * (20 * math.log((1 - share) / 0.1) + 230 * math.log(share / 0.9))
    assert kupiec_p_value(inside, 0.9) == pytest.approx(2 * norm.sf(math.sqrt(ratio)))
    assert kupiec_p_value(np.ones(0, dtype=bool), 0.9) != kupiec_p_value(np.ones(0, dtype=bool), 0.9)
    assert kupiec_p_value(np.ones(300, dtype=bool), 0.9) < 1e-6


def test_the_tests_reject_correct_intervals_about_as_often_as_they_should():
    rng = np.random.default_rng(1)
    coverage, independence = [], []
    for _ in range(1000):
        inside = rng.random(1000) < 0.9
        coverage.append(kupiec_p_value(inside, 0.9) < 0.05)
        independence.append(christoffersen_p_value(inside) < 0.05)
    assert 0.03 < np.mean(coverage) < 0.07
    assert 0.02 < np.mean(independence) < 0.08


def test_clustered_misses_are_found():
    rng = np.random.default_rng(2)
    wild = np.repeat(rng.random(100) < 0.2, 20)
    inside = rng.random(2000) > np.where(wild, 0.4, 0.02)
    assert christoffersen_p_value(inside) < 0.001
    assert math.isnan(christoffersen_p_value(np.ones(1, dtype=bool)))


def forecasts(n: int = 3000, horizon: int = 1) -> Forecasts:
    """Return forecasts with perfect intervals of normal returns whose volatility differs by a factor of 20."""
    rng = np.random.default_rng(3)
    sigma = np.exp(rng.uniform(-5, -2, n))
    actual = sigma * rng.normal(size=n)
    levels = (0.5, 0.8, 0.9, 0.95)
    half = sigma[:, np.newaxis] * norm.ppf([(1 + level) / 2 for level in levels])
    zeros, now = np.zeros(n), np.full(n, 100.0)
    constant = np.full(n, np.quantile(np.abs(actual), 0.9))
    intervals = IntervalForecasts(levels, 0.9, -half, half, sigma, constant, horizon)
    low, high = now * np.exp(-half[:, 2]), now * np.exp(half[:, 2])
    return Forecasts(now, now * np.exp(actual), now, actual, zeros, low, high, intervals)


def test_metrics_of_perfect_intervals():
    value = {name: metric.compute(forecasts()) for name, metric in METRICS.items()}
    for level in (50, 80, 90, 95):
        assert value[f"coverage_{level}"] == pytest.approx(level / 100, abs=0.02)
    assert value["interval_coverage"] == value["coverage_90"]
    for third in ("calm", "middle", "wild"):
        assert value[f"coverage_{third}"] == pytest.approx(0.9, abs=0.03)
    assert value["interval_skill"] > 0.3
    assert value["interval_score"] > 0
    assert value["coverage_p_value"] > 0.05
    assert value["independence_p_value"] > 0.05


def test_a_constant_width_covers_calm_times_too_often():
    one = forecasts()
    assert one.intervals is not None
    column = one.intervals.constant[:, np.newaxis] * np.ones(4)
    constant = Forecasts(
        one.price_now, one.actual_price, one.forecast_price, one.actual_return, one.forecast_return, one.lower_price,
        one.upper_price,
        IntervalForecasts((0.5, 0.8, 0.9, 0.95), 0.9, -column, column, one.intervals.size, one.intervals.constant, 1),
    )  # fmt: skip
    assert METRICS["coverage_calm"].compute(constant) == 1
    assert METRICS["coverage_wild"].compute(constant) < 0.8
    assert METRICS["interval_skill"].compute(constant) == pytest.approx(0)


def test_overlapping_forecasts_count_once_per_horizon():
    one, spaced = forecasts(4000), forecasts(4000, horizon=4)
    assert one.intervals is not None
    every_fourth = forecasts(4000).take(np.arange(4000) % 4 == 0)
    for name in ("coverage_p_value", "independence_p_value"):
        assert METRICS[name].compute(spaced) == METRICS[name].compute(every_fourth)


def test_interval_metrics_without_intervals_are_nan():
    one = forecasts()
    without = Forecasts(
        one.price_now, one.actual_price, one.forecast_price, one.actual_return, one.forecast_return, one.lower_price,
        one.upper_price,
    )  # fmt: skip
    for name in ("interval_score", "interval_skill", "pinball_loss", "coverage_50", "coverage_calm"):
        assert math.isnan(METRICS[name].compute(without))
