"""The volatility model: follows changing volatility, scales with the returns, harmless for a constant price."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cryptoml.features.volatility import WINDOWS, column_count, volatility_features, volatility_windows
from cryptoml.models.volatility import MAX_ROWS, fit_volatility

HOUR = 3600


def grid_of(returns: np.ndarray, start: str = "2021-01-01") -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    spread = np.exp(np.abs(returns) / 2)
    index = pd.date_range(start, periods=len(returns), freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "open": opened, "high": np.maximum(opened, close) * spread, "low": np.minimum(opened, close) / spread,
            "close": close, "volume": 1.0,
        },
        index=index,
    )  # fmt: skip


def clustered(n: int, seed: int = 1, *, by_hour: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return candles whose volatility changes slowly, and with the hour of the day; and that volatility."""
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    for row in range(1, n):
        level[row] = 0.98 * level[row - 1] + 0.15 * rng.normal()
    sigma = 0.005 * np.exp(level + by_hour * np.sin(2 * np.pi * np.arange(n) / 24))
    return grid_of(sigma * rng.normal(size=n)), sigma


def rows_of(grid: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    measures = volatility_features(grid, WINDOWS, HOUR)
    target = np.log(grid["close"].shift(-1) / grid["close"]).to_numpy()
    usable = ~np.isnan(measures).any(axis=1) & ~np.isnan(target)
    return measures[usable], target[usable], usable


def test_measures_by_hand():
    grid = grid_of(0.01 * np.random.default_rng(0).normal(size=400))
    measures = volatility_features(grid, (1, 6), HOUR)
    returns = np.log(grid["close"] / grid["close"].shift())
    ranges = np.log(grid["high"] / grid["low"])
    assert measures.shape == (400, column_count((1, 6), HOUR))
    for column, series in enumerate((returns**2, ranges**2)):
        expected = np.log(series.rolling(6).mean() + 1e-10)
        np.testing.assert_allclose(measures[:, 2 + column], expected, rtol=1e-6)
    # 2021-01-01 was a Friday: 18:00 is three quarters of the day, and 4.75 sevenths of the week.
    np.testing.assert_allclose(measures[18, 4], np.sin(2 * np.pi * 0.75), atol=1e-6)
    np.testing.assert_allclose(measures[18, 10], np.sin(2 * np.pi * 4.75 / 7), atol=1e-6)


def test_earlier_candles_and_later_ones_change_no_bit_and_breaks_are_nan():
    grid = grid_of(0.01 * np.random.default_rng(0).normal(size=1000))
    whole = volatility_features(grid, WINDOWS, HOUR)
    np.testing.assert_array_equal(volatility_features(grid.iloc[500:800], WINDOWS, HOUR)[168:], whole[668:800])
    assert np.isnan(whole[167]).any()
    assert not np.isnan(whole[168:]).any()
    grid.iloc[400, :4] = np.nan
    broken = volatility_features(grid, WINDOWS, HOUR)
    assert np.isnan(broken[400:569]).any(axis=1).all()
    np.testing.assert_array_equal(broken[569:], whole[569:])


def test_blocks_do_not_change_a_bit(monkeypatch):
    grid = grid_of(0.01 * np.random.default_rng(0).normal(size=1000))
    whole = volatility_features(grid, WINDOWS, HOUR)
    monkeypatch.setattr("cryptoml.features.volatility._BLOCK_ROWS", 300)
    np.testing.assert_array_equal(volatility_features(grid, WINDOWS, HOUR), whole)


def test_windows_are_complete_where_the_features_are():
    assert volatility_windows(169) == WINDOWS
    assert volatility_windows(168) == (1, 6, 24)
    assert volatility_windows(1) == ()
    # Daily candles have no time of day, weekly ones no time of the week either.
    assert column_count((), 86_400) == column_count((), HOUR) / 2
    assert column_count((), 7 * 86_400) == 0


def test_the_forecast_follows_the_true_volatility():
    grid, sigma = clustered(12_000, by_hour=0.7)
    measures, target, usable = rows_of(grid)
    half = len(target) // 2
    model = fit_volatility(measures[:half], target[:half], WINDOWS, HOUR)
    forecast = model.predict(measures[half:])
    # The next candle's volatility; the mean absolute value of a normal variable is sqrt(2 / pi) sigma.
    true = np.roll(sigma, -1)[usable][half:] * np.sqrt(2 / np.pi)
    assert np.corrcoef(np.log(forecast), np.log(true))[0, 1] > 0.9
    assert np.mean(forecast) == pytest.approx(np.mean(true), rel=0.1)


def test_forecasts_scale_with_the_returns_and_rows_alone_have_the_same_digits():
    grid, _ = clustered(3000)
    measures, target, _ = rows_of(grid)
    model = fit_volatility(measures, target, WINDOWS, HOUR)
    tenfold = fit_volatility(measures, 10 * target, WINDOWS, HOUR)
    np.testing.assert_allclose(tenfold.predict(measures), 10 * model.predict(measures), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(measures)[7:8], model.predict(measures[7:8]))
    np.testing.assert_array_equal(model.predict_grid(grid)[-100:], model.predict_grid(grid.iloc[-268:])[-100:])


def test_only_the_newest_rows_are_used():
    grid, _ = clustered(2000)
    measures, target, _ = rows_of(grid)
    times = MAX_ROWS // len(target) + 1
    many, targets = np.tile(measures, (times, 1)), np.tile(target, times)
    model = fit_volatility(many, targets, WINDOWS, HOUR)
    assert model == fit_volatility(many[-MAX_ROWS:], targets[-MAX_ROWS:], WINDOWS, HOUR)


@pytest.mark.parametrize("moved", [0, 40])
def test_a_price_that_hardly_moves_gives_finite_forecasts(moved: int):
    returns = np.zeros(1000)
    returns[:moved] = 0.01
    measures, target, _ = rows_of(grid_of(returns))
    model = fit_volatility(measures, target, WINDOWS, HOUR)
    assert np.isfinite(model.predict(measures)).all()
    assert (model.predict(measures) > 0).all()
