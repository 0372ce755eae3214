"""Folds by time, metrics by hand, shrinkage, intervals and significance."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoml.errors import ConfigError, DataError
from cryptoml.evaluation.folds import Window, make_plan, rows
from cryptoml.evaluation.forecasts import Forecasts
from cryptoml.evaluation.metrics import METRICS
from cryptoml.evaluation.shrinkage import shrinkage
from cryptoml.evaluation.significance import diebold_mariano, holm, verdict

HOUR = pd.Timedelta(hours=1)
FIRST = pd.Timestamp("2024-01-01", tz="UTC")


def plan(candles: int, **more):
    last = FIRST + HOUR * (candles - 1)
    given = {"interval_seconds": 3600, "horizon": 2, "ratio": 0.8, "n_folds": 3} | more
    return make_plan(FIRST, last, **given)


def test_exact_windows():
    found = plan(1000)
    assert found.train == Window(FIRST, FIRST + HOUR * 798)
    assert found.test == Window(FIRST + HOUR * 800, FIRST + HOUR * 1000)
    assert [fold.train.end - FIRST for fold in found.folds] == [HOUR * 198, HOUR * 398, HOUR * 598]
    assert [fold.validation.start - FIRST for fold in found.folds] == [HOUR * 200, HOUR * 400, HOUR * 600]
    assert [fold.validation.end - FIRST for fold in found.folds] == [HOUR * 400, HOUR * 600, HOUR * 798]


@given(
    candles=st.integers(400, 5000),
    horizon=st.integers(1, 12),
    extra=st.integers(0, 20),
    n_folds=st.integers(2, 8),
    ratio=st.floats(0.5, 0.95),
)
def test_training_targets_do_not_overlap_the_test_data(candles, horizon, extra, n_folds, ratio):
    try:
        found = plan(candles, horizon=horizon, gap_candles=horizon + extra, n_folds=n_folds, ratio=ratio)
    except DataError:
        return
    reach = HOUR * horizon
    for fold in found.folds:
        assert fold.train.end - HOUR + reach < fold.validation.start
        assert fold.validation.end - HOUR + reach < found.test.start
    assert found.train.end - HOUR + reach < found.test.start
    for one, following in zip(found.folds, found.folds[1:], strict=False):
        assert one.validation.end <= following.validation.start


def test_folds_are_split_by_time_and_not_by_row():
    """With two thirds of the rows in the last month, the folds still have equal time."""
    found = plan(1000)
    lengths = [fold.validation.end - fold.validation.start for fold in found.folds]
    assert lengths == [HOUR * 200, HOUR * 200, HOUR * 198]
    index = pd.date_range(FIRST, periods=1000, freq="h").delete(range(210, 390))
    assert [rows(index, fold.validation).stop - rows(index, fold.validation).start for fold in found.folds] == [
        20, 200, 198,
    ]  # fmt: skip


def test_too_few_candles_are_refused_with_the_required_number():
    with pytest.raises(DataError, match="about 61 are required"):
        plan(50)


def test_a_gap_below_the_horizon_is_refused():
    with pytest.raises(ConfigError, match="gap_candles = 1 is shorter"):
        plan(1000, gap_candles=1)


def forecasts() -> Forecasts:
    now = np.array([100.0, 100.0, 200.0, 50.0])
    actual = np.array([110.0, 90.0, 200.0, 60.0])
    guess = np.array([105.0, 105.0, 200.0, 50.0])
    return Forecasts(
        price_now=now,
        actual_price=actual,
        forecast_price=guess,
        actual_return=np.log(actual / now),
        forecast_return=np.log(guess / now),
        lower_price=guess - 5,
        upper_price=guess + 5,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rmse", math.sqrt((25 + 225 + 0 + 100) / 4)),
        ("mae", (5 + 15 + 0 + 10) / 4),
        ("mape", 100 * (5 / 110 + 15 / 90 + 0 + 10 / 60) / 4),
        ("r2_score", 1 - 350 / ((110 - 115) ** 2 + (90 - 115) ** 2 + (200 - 115) ** 2 + (60 - 115) ** 2)),
        ("skill", 1 - math.sqrt(350 / 300)),
        ("directional_accuracy", 0.5),
        ("interval_coverage", 0.5),
    ],
)
def test_metrics_by_hand(name, expected):
    assert METRICS[name].compute(forecasts()) == pytest.approx(expected, rel=1e-12)


@given(price=st.floats(1e-6, 1e6), n=st.integers(2, 1000))
def test_r2_and_skill_are_nan_if_the_price_does_not_move(price, n):
    prices, zeros = np.full(n, price), np.zeros(n)
    one = Forecasts(prices, prices, prices * 1.001, zeros, zeros + 0.001, prices, prices)
    for name in ("r2_score", "skill", "return_r2", "directional_accuracy"):
        assert math.isnan(METRICS[name].compute(one)), name


def test_returns_by_hand():
    one = forecasts()
    errors = one.actual_return - one.forecast_return
    assert METRICS["return_rmse"].compute(one) == pytest.approx(math.sqrt(np.mean(errors**2)))
    assert METRICS["return_r2"].compute(one) == pytest.approx(1 - np.sum(errors**2) / np.sum(one.actual_return**2))


def test_shrinkage_is_the_slope_less_its_standard_error_between_0_and_1():
    raw = np.array([1.0, -2.0, 3.0])
    assert shrinkage(0.25 * raw, raw, 1) == pytest.approx(0.25)
    assert shrinkage(-raw, raw, 1) == 0.0
    assert shrinkage(5 * raw, raw, 1) == 1.0
    assert shrinkage(raw, np.zeros(3), 1) == 0.0
    # Slope 0.5; scores 0.5, -0.5; variance 0.5 - 0.25 with one lag; standard error 0.5 / 2.
    assert shrinkage(np.array([1.0, 0.0]), np.array([1.0, 1.0]), 1) == pytest.approx(0.25)


def test_shrinkage_of_noise_is_small_and_that_of_a_signal_is_near_its_slope():
    rng = np.random.default_rng(0)
    n = 20_000
    raw = rng.normal(size=n)
    noise = [shrinkage(50 * rng.normal(size=n), raw, 1) for _ in range(200)]
    assert np.mean(noise) < 0.05
    assert np.mean([one == 0 for one in noise]) > 0.75
    assert shrinkage(0.6 * raw + rng.normal(size=n), raw, 1) == pytest.approx(0.6, abs=0.03)


def test_overlapping_targets_and_copies_of_a_market_are_less_evidence():
    rng = np.random.default_rng(1)
    raw, steps = np.cumsum(rng.normal(size=3000)) / 30, rng.normal(size=3024)
    overlapping = np.convolve(steps, np.ones(24), "valid")[:3000]
    target = 0.5 * raw + 0.1 * overlapping
    assert shrinkage(target, raw, 24) < shrinkage(target, raw, 1)
    copies, times = 10, np.repeat(np.arange(3000), 10)
    one = shrinkage(target, raw, 1)
    assert shrinkage(np.repeat(target, copies), np.repeat(raw, copies), 1, times=times) == pytest.approx(one)
    assert shrinkage(np.repeat(target, copies), np.repeat(raw, copies), 1) > one


def test_diebold_mariano_by_hand():
    """d = [1, 2, 3], mean 2, variance 2/3; HLN factor sqrt((n - 1) / n) at horizon 1."""
    found = diebold_mariano(np.array([2.0, 3.0, 4.0]), np.ones(3), 1)
    assert found.statistic == pytest.approx(2 / math.sqrt((2 / 3) / 3) * math.sqrt(2 / 3))
    # Student's t with 2 degrees of freedom has a closed form.
    t = found.statistic
    assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t))


@pytest.mark.parametrize("horizon", [1, 5])
def test_diebold_mariano_has_its_nominal_size(horizon):
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        noise = rng.normal(size=(2, 300 + horizon - 1))
        sums = np.stack([np.convolve(one, np.ones(horizon), "valid") for one in noise])
        hits += diebold_mariano(sums[0] ** 2, sums[1] ** 2, horizon).p_value < 0.05
    assert hits / 400 < 0.085


def test_verdicts():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=2000)
    assert verdict(truth * 0.8, truth, 1, level=0.05).word == "beats"
    assert verdict(truth * 1.2, truth, 1, level=0.05).word == "worse"
    assert verdict(truth + rng.normal(0, 0.001, 2000), truth, 1, level=0.05).word == "ties"
    same = verdict(truth, truth, 1, level=0.05)
    assert (same.word, same.p_value) == ("ties", 1.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
