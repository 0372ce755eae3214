"""Training on one plan: reproducible parallel fits, out-of-fold shrinkage, isolated failures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import Candles, QualityReport
from cryptoml.data.interval import parse_interval
from cryptoml.data.simulation.simulate import simulate
from cryptoml.errors import DataError
from cryptoml.evaluation.folds import rows
from cryptoml.evaluation.shrinkage import shrinkage
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import MODELS
from cryptoml.training.cross_validate import engine_for, plan_for, train_models
from cryptoml.training.dataset import build_dataset
from cryptoml.training.pools import ThreadPool
from cryptoml.training.results import ModelChoice, ModelFailure, ModelResult, TrainingOptions

OPTIONS = TrainingOptions(
    seed=1, clip_sigma=4.0, scaling_method="standard", interval_level=0.9, significance_level=0.05
)
PIPELINE = FeaturePipeline(lag_windows=(1, 2), rolling_windows=(6, 24))


def candles_of(frame: pd.DataFrame) -> Candles:
    index = frame.index
    report = QualityReport("made", "SIM", "1h", len(index), len(index), "", "", 0, 0, (), ())
    return Candles(frame[["open", "high", "low", "close", "volume"]], "SIM", parse_interval("1h"), report)


@pytest.fixture(scope="module")
def candles() -> Candles:
    return candles_of(simulate(interval="1h", candles=2500, signal=0.1, seed=3).frame)


@pytest.fixture(scope="module")
def dataset(candles):
    return build_dataset(candles, PIPELINE, horizon=1)


def choice(key: str, **more: object) -> ModelChoice:
    return ModelChoice(MODELS[key], MODELS[key].parameters().model_dump() | more)


CHOICES = [choice("persistence"), choice("ridge", alpha=10.0), choice("xgb", n_estimators=10)]


def train(dataset, choices=CHOICES, **options) -> dict[str, ModelResult]:
    plan = plan_for(dataset, ratio=0.8, n_folds=3, gap_candles=None)
    done = {}
    given = replace(OPTIONS, **options)
    with engine_for(dataset, given) as engine:
        for one in train_models(dataset, plan, choices, given, engine):
            assert isinstance(one, ModelResult)
            done[one.choice.spec.key] = one
    return done


def test_rows_contain_their_target_and_nothing_later(candles, dataset):
    close = candles.frame["close"]
    np.testing.assert_allclose(dataset.target, np.log(close.shift(-1) / close).loc[dataset.index], rtol=0, atol=0)
    np.testing.assert_array_equal(dataset.actual_price, close.shift(-1).loc[dataset.index])
    assert not dataset.features.isna().any().any()
    assert dataset.index[-1] == close.index[-2]


def test_results_do_not_depend_on_the_number_of_workers(dataset):
    one, two = train(dataset, workers=1), train(dataset, workers=2)
    for key, result in one.items():
        for name, value in result.metrics.items():
            if name not in ("training_time_seconds", "prediction_latency_ms"):
                np.testing.assert_equal(value, two[key].metrics[name], err_msg=name)
        pd.testing.assert_frame_equal(result.predictions, two[key].predictions, check_exact=True)


def test_forecasts_are_shrunk_out_of_fold(dataset):
    result = train(dataset)["ridge"]
    frames = dict(list(result.predictions.groupby("part")))

    def slope(*names: str) -> float:
        both = pd.concat([frames[name] for name in names])
        return shrinkage(both["actual_return"].to_numpy(), both["raw_return"].to_numpy(), 1)

    expected = {
        "fold_1": slope("fold_2", "fold_3"),
        "fold_2": slope("fold_1"),
        "fold_3": slope("fold_1", "fold_2"),
        "holdout": slope("fold_1", "fold_2", "fold_3"),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(frames[name]["forecast_return"], value * frames[name]["raw_return"], rtol=1e-12)
    assert result.metrics["shrinkage"] == pytest.approx(expected["holdout"])
    assert [fold.shrinkage for fold in result.folds] == pytest.approx([expected[f"fold_{n}"] for n in (1, 2, 3)])


def test_models_beat_persistence_on_a_predictable_market(dataset):
    done = train(dataset)
    assert done["ridge"].verdict.word == "beats"
    assert done["ridge"].metrics["skill"] > 0.01
    assert (done["persistence"].verdict.word, done["persistence"].metrics["skill"]) == ("ties", 0.0)
    assert done["persistence"].metrics["test_rmse"] == done["ridge"].metrics["baseline_rmse"]
    assert 0.8 < done["ridge"].metrics["interval_coverage"] < 0.98


def test_the_hold_out_is_not_used_for_training(candles, dataset):
    """Different future candles do not change the stored model."""
    plan = plan_for(dataset, ratio=0.8, n_folds=3, gap_candles=None)
    changed = candles.frame.copy()
    later = changed.index >= plan.test.start
    changed.loc[later, ["open", "high", "low", "close"]] *= np.linspace(1, 3, later.sum())[:, None]
    other = build_dataset(candles_of(changed), PIPELINE, horizon=1)
    part = rows(dataset.index, plan.train)
    one, two = train(dataset, CHOICES[1:2])["ridge"], train(other, CHOICES[1:2])["ridge"]
    X = dataset.features.to_numpy()[part]
    np.testing.assert_array_equal(one.forecaster.raw_return(X), two.forecaster.raw_return(X))
    assert one.forecaster.shrinkage == two.forecaster.shrinkage
    assert one.metrics["test_rmse"] != two.metrics["test_rmse"]


def test_a_failed_model_is_reported_once_and_the_others_continue(dataset):
    def fail(*arguments: object, **options: object) -> None:
        raise ValueError("no fit")

    broken = replace(MODELS["ridge"], key="broken", fit=fail)
    plan = plan_for(dataset, ratio=0.8, n_folds=3, gap_candles=None)
    with engine_for(dataset, OPTIONS) as engine:
        done = list(train_models(dataset, plan, [ModelChoice(broken, {}), choice("ridge")], OPTIONS, engine))
    assert [type(one) for one in done].count(ModelFailure) == 1
    assert {one.choice.spec.key for one in done} == {"broken", "ridge"}


def test_too_few_rows_and_a_constant_price_are_refused(candles):
    with pytest.raises(DataError, match=r"are required"):
        plan_for(
            build_dataset(candles_of(candles.frame[:300]), PIPELINE, horizon=1), ratio=0.8, n_folds=5, gap_candles=1
        )
    with pytest.raises(DataError, match="none of the 20 candles has all features"):
        build_dataset(candles_of(candles.frame[:20]), PIPELINE, horizon=1)
    flat = candles.frame.assign(open=5.0, high=5.0, low=5.0, close=5.0)
    with pytest.raises(DataError, match="never changes"):
        build_dataset(candles_of(flat), PIPELINE, horizon=1)


def test_errors_in_a_pool_are_raised_by_result():
    with ThreadPool(2) as pool:
        futures = [pool.submit(divmod, 7, divisor) for divisor in (2, 0)]
        assert pool.result(futures[0]) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            pool.result(futures[1])


def test_a_constant_price_in_a_fold_does_not_prevent_results(candles):
    frame = candles.frame.copy()
    frame.iloc[:1500, :4] = 100.0
    done = train(build_dataset(candles_of(frame), PIPELINE, horizon=1), CHOICES[:2])
    for one in done.values():
        assert np.isnan(one.metrics["cv_r2_score_std"])
        assert np.isfinite(one.metrics["cv_rmse_mean"])
        assert np.isfinite(one.metrics["test_rmse"])


def test_fits_in_worker_processes_give_the_same_digits_as_in_threads(candles, monkeypatch):
    dataset = build_dataset(candles, PIPELINE, horizon=1)
    in_threads = train(dataset, CHOICES)
    monkeypatch.setattr("cryptoml.training.pools.PROCESS_ROWS", 1)
    for workers in (1, 2):
        in_processes = train(dataset, CHOICES, workers=workers)
        assert in_processes.keys() == in_threads.keys()
        for key, one in in_processes.items():
            assert one.predictions.equals(in_threads[key].predictions)


def test_a_failing_fit_in_a_worker_process_fails_its_model_only(candles, monkeypatch):
    monkeypatch.setattr("cryptoml.training.pools.PROCESS_ROWS", 1)
    dataset = build_dataset(candles, PIPELINE, horizon=1)
    plan = plan_for(dataset, ratio=0.8, n_folds=3, gap_candles=None)
    broken = ModelChoice(MODELS["rf"], {"n_estimators": -1})
    with engine_for(dataset, OPTIONS) as engine:
        done = list(train_models(dataset, plan, [broken, choice("ridge")], OPTIONS, engine))
    failed = next(one for one in done if isinstance(one, ModelFailure))
    assert failed.choice.spec.key == "rf"
    assert "n_estimators" in str(failed.error)
    assert [one.choice.spec.key for one in done if not isinstance(one, ModelFailure)] == ["ridge"]
