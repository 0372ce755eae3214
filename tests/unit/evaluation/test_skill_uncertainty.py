"""The bands and bars of the plots agree with the verdict and with the metrics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cryptoml.evaluation import skill_uncertainty
from cryptoml.evaluation.significance import verdict


def priced(price: np.ndarray, horizon: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"price_now": price[:-horizon], "actual_price": price[horizon:], "forecast_price": price[:-horizon]}
    )


@pytest.mark.parametrize("horizon", [1, 2, 24])
def test_the_horizon_is_derived_from_the_prices(horizon: int) -> None:
    price = np.exp(np.random.default_rng(1).normal(0, 0.01, 200).cumsum())
    assert skill_uncertainty.horizon_of(priced(price, horizon)) == horizon
    # A few candles are missing: still the same.
    assert skill_uncertainty.horizon_of(priced(price, horizon).drop(index=[60, 90, 120])) == horizon


def test_horizon_of_unrelated_prices_is_one() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"price_now": rng.random(100), "actual_price": rng.random(100)})
    assert skill_uncertainty.horizon_of(frame) == 1
    assert skill_uncertainty.horizon_of(frame.head(1)) == 1


@pytest.mark.parametrize("horizon", [1, 6])
def test_the_band_agrees_with_the_verdict(horizon: int) -> None:
    words = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        steps = rng.standard_t(4, 3000 + horizon)
        target = np.convolve(steps, np.ones(horizon), "valid")
        forecast = rng.choice([0.0, 0.02, 0.2, 0.8]) * (target + 2 * target.std() * rng.normal(size=len(target)))
        word = verdict(target - forecast, target, horizon, level=0.05)
        won = target**2 - (target - forecast) ** 2
        end, height = float(won.sum()), float(skill_uncertainty.no_skill_band(won, horizon)[-1])
        ours = "ties" if abs(end) <= height else "beats" if end > 0 else "worse"
        words.append(word.word)
        # Close to the line the two may differ: the verdict has a small-sample correction.
        assert ours == word.word or 0.03 < word.p_value < 0.08, (seed, word, end, height)
    assert set(words) == {"beats", "ties", "worse"}


def test_variance_inflation_of_a_moving_sum_is_its_length() -> None:
    steps = np.random.default_rng(3).normal(size=200_000)
    sums = np.convolve(steps, np.ones(4), "valid")
    # Var of the sum of a moving sum of 4 is 16 a step, the moving sum's own variance 4.
    assert skill_uncertainty.variance_inflation(sums, 4) == pytest.approx(4, rel=0.05)
    assert skill_uncertainty.variance_inflation(steps, 1) == 1
    assert skill_uncertainty.variance_inflation(np.zeros(10), 5) == 1


def test_skill_by_hand_with_standard_error() -> None:
    rows = pd.DataFrame(
        {
            "price_now": [100.0, 100.0, 100.0, 100.0],
            "actual_price": [104.0, 96.0, 104.0, 96.0],
            "forecast_price": [102.0, 99.0, 103.0, 98.0],
        }
    )
    # Errors 2, -3, 1, -2 against 4 each: mean squares 4.5 and 16.
    skill, doubt, rmse, baseline = skill_uncertainty.skill(rows, horizon=1)
    assert (rmse, baseline) == (pytest.approx(4.5**0.5), 4.0)
    assert skill == pytest.approx(1 - (4.5 / 16) ** 0.5)
    # ours - ratio * theirs: 4, 9, 1, 4 less 4.5, deviation sqrt(8.25); over 16, over 2 sqrt(ratio n).
    assert doubt == pytest.approx(8.25**0.5 / 16 / (2 * (4.5 / 16 * 4) ** 0.5))


def test_skill_is_nan_if_persistence_has_no_error() -> None:
    still = pd.DataFrame({"price_now": [5.0] * 3, "actual_price": [5.0] * 3, "forecast_price": [5.0, 5.1, 5.0]})
    for rows in (still, still.assign(forecast_price=5.0)):
        skill, error, rmse, baseline = skill_uncertainty.skill(rows, horizon=1)
        assert np.isnan([skill, error]).all()
        assert baseline == 0
        assert rmse == pytest.approx(0.0 if rows is not still else 0.1 / 3**0.5)
    assert np.isnan(skill_uncertainty.skill(still.head(0), horizon=1)).all()


def test_the_95_percent_bars_have_95_percent_coverage() -> None:
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        now = np.full(500, 100.0)
        actual = now + rng.normal(0, 1, 500)
        rows = pd.DataFrame({"price_now": now, "actual_price": actual, "forecast_price": now + rng.normal(0, 0.5, 500)})
        skill, doubt, *_ = skill_uncertainty.skill(rows, horizon=1)
        held += abs(skill - (1 - 1.25**0.5)) < 1.96 * doubt
    assert 0.92 < held / 300 < 0.98
