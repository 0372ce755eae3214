"""Prediction intervals in training: from the past only, the same when served, right in calm and wild times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.grid import to_grid
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.conformal import MIN_SCORES
from cryptoml.models.forecaster import load_forecaster
from cryptoml.models.interval import ScaledInterval
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import engine_for, plan_for, train_models
from cryptoml.training.dataset import build_dataset
from cryptoml.training.results import ModelChoice, ModelResult, TrainingOptions
from tests.unit.models.test_volatility import clustered
from tests.unit.training.test_run import candles_of

OPTIONS = TrainingOptions(
    seed=1, clip_sigma=4.0, scaling_method="standard", interval_level=0.9, significance_level=0.05
)
PIPELINE = FeaturePipeline(features=("log_return", "return_std"), lag_windows=(1, 2), rolling_windows=(24, 168))
RIDGE = ModelChoice(MODELS["ridge"], MODELS["ridge"].parameters(alpha=1.0).model_dump())


def train(frame: pd.DataFrame, horizon: int = 1, level: float = 0.9, n_folds: int = 4) -> ModelResult:
    dataset = build_dataset(candles_of(frame), PIPELINE, horizon=horizon)
    plan = plan_for(dataset, ratio=0.8, n_folds=n_folds, gap_candles=None)
    options = replace(OPTIONS, interval_level=level)
    with engine_for(dataset, options) as engine:
        (done,) = train_models(dataset, plan, [RIDGE], options, engine)
    assert isinstance(done, ModelResult)
    return done


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    return clustered(8000, seed=8, by_hour=0.5)[0]


@pytest.fixture(scope="module")
def result(market: pd.DataFrame) -> ModelResult:
    return train(market)


def test_coverage_is_nominal_in_calm_and_wild_times_and_intervals_are_shorter(result: ModelResult):
    for level in (50, 80, 90, 95):
        assert result.metrics[f"coverage_{level}"] == pytest.approx(level / 100, abs=0.03)
    for third in ("calm", "middle", "wild"):
        assert 0.84 < result.metrics[f"coverage_{third}"] < 0.96
    assert result.metrics["interval_skill"] > 0.15
    assert result.metrics["independence_p_value"] > 0.001


@pytest.mark.parametrize("horizon", [1, 6])
def test_a_served_forecast_has_the_interval_that_was_scored(market: pd.DataFrame, horizon: int, tmp_path):
    trained = train(market, horizon)
    trained.forecaster.save(tmp_path / "f")
    forecaster = load_forecaster(tmp_path / "f")
    grid = to_grid(market, candles_of(market).interval, max_no_trade_candles=0)
    held = trained.predictions[trained.predictions["part"] == "holdout"]
    served = forecaster.forecast(grid).loc[held.index]
    # Only the newest scores are stored, so that earlier rows of the hold-out see fewer of them.
    known = held.index >= held.index[0] + (len(held) // 2) * pd.Timedelta("1h")
    newest = served[known], held[known]
    pd.testing.assert_series_equal(newest[0]["forecast_price"], newest[1]["forecast_price"], check_freq=False)
    widths = [np.log(one["upper_price"] / one["forecast_price"]) for one in newest]
    np.testing.assert_allclose(widths[0], widths[1], rtol=0.1)
    last = forecaster.forecast(grid.iloc[:-horizon], newest=1)
    np.testing.assert_allclose(last["upper_price"].iloc[0], held["upper_price"].iloc[-1], rtol=1e-9)


def test_the_future_changes_no_interval(market: pd.DataFrame, result: ModelResult):
    held = result.predictions[result.predictions["part"] == "holdout"]
    middle = held.index[len(held) // 2]
    changed = market.copy()
    later = changed.index > middle
    factor = np.exp(np.cumsum(0.03 * np.random.default_rng(0).normal(size=later.sum())))[:, np.newaxis]
    changed.loc[later, ["open", "high", "low", "close"]] *= factor
    other = train(changed).predictions
    other = other[other["part"] == "holdout"]
    before = held.index < middle
    for name in ("lower_price", "upper_price", "expected_size"):
        np.testing.assert_array_equal(held[name][before], other[name][before])
    assert not np.allclose(held["upper_price"][~before], other["upper_price"][~before])


def test_new_candles_improve_the_interval_after_a_change_of_regime(market: pd.DataFrame, result: ModelResult):
    """The volatility measures miss a change of the tails; the outcomes since the training show it."""
    rng = np.random.default_rng(1)
    n = 3000
    jumps = np.where(rng.random(n) < 0.15, 6.0, 0.3) * 0.005 * rng.choice([-1, 1], n)
    close = market["close"].iloc[-1] * np.exp(np.cumsum(jumps))
    opened = np.concatenate([[market["close"].iloc[-1]], close[:-1]])
    index = pd.date_range(market.index[-1] + pd.Timedelta("1h"), periods=n, freq="h")
    new = pd.DataFrame(
        {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close,
         "volume": 1.0}, index=index,
    )  # fmt: skip
    grid = pd.concat([market, new])
    forecaster = result.forecaster
    actual = np.log(grid["close"].shift(-1) / grid["close"]).to_numpy()[-801:-1]

    def coverage(part: pd.DataFrame, **options: int) -> float:
        found = forecaster.forecast(part, **options).iloc[-801:-1]
        close_now = part["close"].iloc[-801:-1].to_numpy()
        low, high = np.log(found["lower_price"] / close_now), np.log(found["upper_price"] / close_now)
        return float(np.mean((low <= actual) & (actual <= high)))

    without = replace(forecaster, interval=_frozen(forecaster.interval, grid.index[-1]))
    stale = without.forecast(grid).iloc[-801:-1]
    close_now = grid["close"].iloc[-801:-1].to_numpy()
    low, high = np.log(stale["lower_price"] / close_now), np.log(stale["upper_price"] / close_now)
    fixed = float(np.mean((low <= actual) & (actual <= high)))
    assert abs(coverage(grid) - 0.9) < 0.03
    assert abs(fixed - 0.9) > 0.03


def _frozen(interval: object, until: pd.Timestamp) -> ScaledInterval:
    """Return the interval with scores that pretend to be newer than all candles, so that none is added."""
    assert isinstance(interval, ScaledInterval)
    ((symbol, past),) = interval.scores.items()
    shifted = replace(past, opened_s=np.full(len(past.opened_s), int(until.timestamp())))
    return replace(interval, scores={symbol: shifted})


def test_a_forecast_from_the_useful_candles_is_that_from_all(market: pd.DataFrame, result: ModelResult):
    forecaster = result.forecaster
    grid = to_grid(market, candles_of(market).interval, max_no_trade_candles=0)
    whole = forecaster.forecast(grid, newest=3)
    part = forecaster.forecast(grid.iloc[-(forecaster.useful_candles + 2) :], newest=3)
    pd.testing.assert_frame_equal(whole, part, check_exact=True, check_freq=False)


def test_all_levels_are_given_nested_with_the_chosen_one_first(market: pd.DataFrame):
    forecaster = train(market.tail(1500), level=0.7, n_folds=2).forecaster
    found = forecaster.forecast(market, newest=1).iloc[0]
    assert tuple(found.index) == forecaster.output_columns
    suffixes = ("_50", "", "_80", "_90", "_95")
    lower = [found[f"lower_price{suffix}"] for suffix in suffixes]
    upper = [found[f"upper_price{suffix}"] for suffix in suffixes]
    assert lower == sorted(lower, reverse=True)
    assert upper == sorted(upper)
    assert lower[0] <= found["forecast_price"] <= upper[0]
    assert 0.4 < found["probability_up"] < 0.6


def test_the_probability_of_a_rise_is_calibrated():
    """Of forecasts that a rise has a probability above 60 %, about as many are followed by one as they say."""
    rng = np.random.default_rng(2)
    n = 6000
    returns = np.zeros(n)
    for row in range(1, n):
        returns[row] = 0.5 * returns[row - 1] + 0.005 * rng.normal()
    close = 100 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    index = pd.date_range("2021-01-01", periods=n, freq="h", tz="UTC")
    frame = pd.DataFrame(
        {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close,
         "volume": 1.0}, index=index,
    )  # fmt: skip
    forecaster = train(frame).forecaster
    found = forecaster.forecast(to_grid(frame, candles_of(frame).interval, max_no_trade_candles=0), newest=1200)
    up = (frame["close"].shift(-1) > frame["close"]).loc[found.index].iloc[:-1]
    probability = found["probability_up"].iloc[:-1]
    for low, high in ((0.1, 0.4), (0.4, 0.6), (0.6, 0.9)):
        group = (probability >= low) & (probability < high)
        assert group.sum() > 30
        assert up[group].mean() == pytest.approx(probability[group].mean(), abs=0.1)


def test_few_scores_of_a_short_history(market: pd.DataFrame):
    forecaster = train(market.tail(800), n_folds=2).forecaster
    assert isinstance(forecaster.interval, ScaledInterval)
    (past,) = forecaster.interval.scores.values()
    assert MIN_SCORES < len(past.scores) < 500
    assert np.isfinite(forecaster.forecast(market, newest=5)).all().all()
