"""Pooled data sets: the same instants for all markets, no future, scores by market."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import Candles, QualityReport
from cryptoml.data.interval import parse_interval
from cryptoml.data.simulation.simulate import simulate
from cryptoml.data.symbols import POOL
from cryptoml.errors import UsageError
from cryptoml.evaluation.folds import rows
from cryptoml.evaluation.significance import sums_by_time, verdict, verdict_of_losses
from cryptoml.features.library import FEATURES
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.conformal import MIN_SCORES, conformal_quantile
from cryptoml.models.interval import ScaledInterval
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import engine_for, fit_tasks, plan_for, train_models
from cryptoml.training.dataset import Dataset, build_dataset
from cryptoml.training.pooling import pool_datasets
from cryptoml.training.results import ModelChoice, ModelResult, TrainingOptions

OPTIONS = TrainingOptions(
    seed=1, clip_sigma=4.0, scaling_method="standard", interval_level=0.9, significance_level=0.05
)
PIPELINE = FeaturePipeline(lag_windows=(1, 2), rolling_windows=(6, 24))
CHOICES = [ModelChoice(MODELS[key], MODELS[key].parameters().model_dump()) for key in ("persistence", "ridge")]


def frame_of(seed: int, candles: int = 1500) -> pd.DataFrame:
    return simulate(interval="1h", candles=candles, signal=0.1, seed=seed).frame[
        ["open", "high", "low", "close", "volume"]
    ]


def dataset_of(symbol: str, frame: pd.DataFrame, *, interval: str = "1h") -> Dataset:
    report = QualityReport("made", symbol, interval, len(frame), len(frame), "", "", 0, 0, (), ())
    candles = Candles(frame, symbol, parse_interval(interval), report)
    return build_dataset(candles, replace(PIPELINE, interval=interval), horizon=1)


@pytest.fixture(scope="module")
def markets() -> dict[str, pd.DataFrame]:
    """B begins 300 hours after A, and has another price level."""
    other = frame_of(2)
    other = other.set_axis(other.index + pd.Timedelta(hours=300))
    return {"AAA": frame_of(1), "BBB": other.assign(**{name: other[name] / 1000 for name in other.columns[:4]})}


@pytest.fixture(scope="module")
def pool(markets) -> Dataset:
    return pool_datasets([dataset_of(symbol, frame) for symbol, frame in markets.items()])


def train(dataset: Dataset, n_folds: int = 3) -> dict[str, ModelResult]:
    plan = plan_for(dataset, ratio=0.8, n_folds=n_folds, gap_candles=None)
    with engine_for(dataset, OPTIONS) as engine:
        done = list(train_models(dataset, plan, CHOICES, OPTIONS, engine))
    assert all(isinstance(one, ModelResult) for one in done)
    return {one.choice.spec.key: one for one in done if isinstance(one, ModelResult)}


def test_rows_are_those_of_the_markets_by_time_whatever_the_order_of_files(markets, pool):
    again = pool_datasets([dataset_of(symbol, markets[symbol]) for symbol in ("BBB", "AAA")])
    pd.testing.assert_frame_equal(pool.features, again.features, check_exact=True)
    np.testing.assert_array_equal(pool.markets, again.markets)
    assert pool.index.is_monotonic_increasing
    assert (pool.symbol, pool.symbols) == (POOL, ("AAA", "BBB"))
    for number, symbol in enumerate(pool.symbols):
        alone = dataset_of(symbol, markets[symbol])
        own = pool.markets == number
        pd.testing.assert_frame_equal(pool.features[own], alone.features, check_exact=True, check_freq=False)
        np.testing.assert_array_equal(pool.target[own], alone.target)
        np.testing.assert_array_equal(pool.actual_price[own], alone.actual_price)


def test_every_window_divides_all_markets_at_the_same_instant(pool):
    plan = plan_for(pool, ratio=0.8, n_folds=3, gap_candles=None)
    for task in fit_tasks(pool, plan, CHOICES[1:]):
        last_target = pool.index[task.fit_rows].max() + pd.Timedelta(hours=1)
        assert last_target <= pool.index[task.forecast_rows].min()
        assert set(pool.markets[task.forecast_rows]) == {0, 1}


def test_the_future_of_no_market_changes_a_fit(markets, pool):
    plan = plan_for(pool, ratio=0.8, n_folds=3, gap_candles=None)
    changed = {}
    for symbol, frame in markets.items():
        later = frame.index > plan.train.end
        changed[symbol] = frame.mask(pd.Series(later, index=frame.index), frame * 2, axis=0)
    other = pool_datasets([dataset_of(symbol, frame) for symbol, frame in changed.items()])
    one, two = train(pool)["ridge"], train(other)["ridge"]
    np.testing.assert_array_equal(one.forecaster.estimator.coef_, two.forecaster.estimator.coef_)
    part = rows(pool.index, plan.train)
    np.testing.assert_array_equal(pool.features.iloc[part], other.features.iloc[part])


def test_scores_together_and_by_market(pool):
    result = train(pool)["ridge"]
    assert result.metrics["skill"] > 0
    assert [market.symbol for market in result.markets] == ["AAA", "BBB"]
    held = result.predictions[result.predictions["part"] == "holdout"]
    for market in result.markets:
        own = held[held["symbol"] == market.symbol]
        rmse = np.sqrt(np.mean((own["actual_price"] - own["forecast_price"]) ** 2))
        baseline = np.sqrt(np.mean((own["actual_price"] - own["price_now"]) ** 2))
        assert market.skill == pytest.approx(1 - rmse / baseline, rel=1e-12)
        inside = own["actual_price"].between(own["lower_price"], own["upper_price"])
        assert market.interval_coverage == pytest.approx(inside.mean())
        assert market.n_test_samples == len(own)
    relative = held["actual_price"] / held["price_now"] - held["forecast_price"] / held["price_now"]
    assert result.metrics["test_rmse"] == pytest.approx(np.sqrt(np.mean(relative**2)), rel=1e-12)


def test_a_market_of_the_pool_has_its_own_interval_and_another_one_that_of_the_pool(markets, pool):
    forecaster = train(pool)["ridge"].forecaster
    interval = forecaster.interval
    assert isinstance(interval, ScaledInterval)
    assert set(interval.scores) == {"AAA", "BBB", ""}
    widths = {}
    for symbol, candles in (("AAA", markets["AAA"]), ("BBB", markets["BBB"]), ("NEW", markets["BBB"])):
        found = forecaster.forecast(candles, newest=1, symbol=symbol)
        widths[symbol] = np.log(found["upper_price"] / found["forecast_price"]).item()
        scores = interval.scores.get(symbol) or interval.scores[""]
        size = interval.volatility.predict_grid(candles)[-1]
        assert widths[symbol] == pytest.approx(conformal_quantile(scores.scores, 0.9) * size)
    assert len(set(widths.values())) == 3


def test_a_market_with_few_forecasts_gets_the_interval_of_the_pool(markets):
    short = dataset_of("CCC", markets["BBB"].iloc[:-420].tail(400))
    pool = pool_datasets([dataset_of("AAA", markets["AAA"]), short])
    result = train(pool, n_folds=2)["ridge"]
    interval = result.forecaster.interval
    assert isinstance(interval, ScaledInterval)
    few = int((result.predictions.query("part != 'holdout'")["symbol"] == "CCC").sum())
    assert 0 < few < MIN_SCORES
    np.testing.assert_array_equal(interval.scores["CCC"].scores, interval.scores[""].scores)
    assert len(interval.scores["AAA"].scores) < len(interval.scores[""].scores)


def test_markets_that_cannot_be_pooled_are_refused(markets):
    one = dataset_of("AAA", markets["AAA"])
    with pytest.raises(UsageError, match="AAA: two of the files"):
        pool_datasets([one, one])
    daily = markets["BBB"].set_axis(pd.date_range("2019-01-01", periods=1500, freq="D", tz="UTC"))
    with pytest.raises(UsageError, match="one interval: BBB has 1d, AAA has 1h"):
        pool_datasets([one, dataset_of("BBB", daily, interval="1d")])


def test_the_verdict_counts_correlated_markets_at_one_time_once():
    """Ten copies of one random walk are no more evidence than one; treated as independent, they often "beat"."""
    rng = np.random.default_rng(5)
    naive = together = 0
    for _ in range(300):
        actual, forecast = rng.normal(size=400), 0.05 * rng.normal(size=400)
        copies = np.repeat(actual, 10) + 0.1 * rng.normal(size=4000)
        error = copies - np.repeat(forecast, 10)
        times = np.repeat(np.arange(400), 10)
        naive += verdict(error, copies, 1, level=0.05).word != "ties"
        losses = sums_by_time(times, error**2, copies**2)
        together += verdict_of_losses(*losses, 1, level=0.05).word != "ties"
    assert together / 300 < 0.09
    assert naive / 300 > 0.3


def test_sums_by_time_keep_the_mean():
    times = np.array([1, 1, 2, 4, 4, 4])
    (sums,) = sums_by_time(times, np.array([1.0, 2, 3, 4, 5, 6]))
    np.testing.assert_allclose(sums, np.array([3.0, 3, 15]) / 2)
    assert sums.mean() == pytest.approx(3.5)


def test_all_features_are_independent_of_price_and_volume_level(markets):
    frame = markets["AAA"][:400]
    pipeline = FeaturePipeline(features=tuple(FEATURES), lag_windows=(1, 3), rolling_windows=(6, 24))
    scaled = frame.assign(**{name: frame[name] * 1024 for name in ("open", "high", "low", "close")})
    scaled["volume"] = frame["volume"] * 4096
    np.testing.assert_allclose(
        pipeline.transform(scaled).to_numpy(), pipeline.transform(frame).to_numpy(), rtol=1e-4, atol=1e-6
    )
