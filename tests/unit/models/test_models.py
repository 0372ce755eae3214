"""The contract of all models: reproducible, finite forecasts, unchanged by save and load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.simulation.simulate import simulate
from cryptoml.errors import AccessError, DataError, UsageError
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.forecaster import Forecaster, fit, load_forecaster
from cryptoml.models.interval import ConstantInterval, Interval
from cryptoml.models.serving import _load_pyfunc
from cryptoml.models.zoo import MODELS, get_model

PIPELINE = FeaturePipeline(lag_windows=(1, 2, 3), rolling_windows=(6, 24), interval="1h")
SMALL = {"n_estimators": 12}


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    frame = simulate(interval="1h", candles=3000, signal=0.05, seed=1).frame
    return frame[["open", "high", "low", "close", "volume"]].assign(no_trade=False)


@pytest.fixture(scope="module")
def rows(market) -> tuple[np.ndarray, np.ndarray]:
    features = PIPELINE.transform(market).to_numpy()
    target = np.log(market["close"].shift(-1) / market["close"]).to_numpy()
    usable = ~np.isnan(features).any(axis=1) & ~np.isnan(target)
    return np.ascontiguousarray(features[usable]), target[usable]


CONSTANT = ConstantInterval(0.02, 0.9)


def params_of(key: str, **more: object) -> dict[str, object]:
    parameters = MODELS[key].parameters
    small = {name: value for name, value in SMALL.items() if name in parameters.model_fields}
    return parameters().model_dump() | small | more


def variants() -> Iterator[Any]:
    """Yield every model with each of its implementations."""
    for key, model in MODELS.items():
        choosable = "implementation" in model.parameters.model_fields
        for implementation, modules in model.implementations.items():
            missing = [name for name in modules if find_spec(name.partition(".")[0]) is None]
            yield pytest.param(
                key,
                {"implementation": implementation} if choosable else {},
                id=f"{key}-{implementation}",
                marks=pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed"),
            )


def make(
    key: str, more: dict[str, object], rows, scaling: str = "standard", interval: Interval = CONSTANT
) -> Forecaster:
    X, y = rows
    params = params_of(key, **more)
    parts = fit(MODELS[key], params, seed=4, X=X, y=y, scaling_method=scaling, clip_sigma=4.0)
    return Forecaster(
        model_type=key, implementation=parts.implementation, params=params, pipeline=PIPELINE, horizon=1, symbol="SIM",
        max_no_trade_candles=0, scaler=parts.scaler, estimator=parts.estimator, clip=parts.clip, shrinkage=0.5,
        interval=interval,
    )  # fmt: skip


@pytest.mark.parametrize(("key", "more"), list(variants()))
def test_results_are_reproducible_and_unchanged_by_save_and_load(key, more, rows, market, tmp_path):
    X, _ = rows
    one, other = make(key, more, rows), make(key, more, rows)
    forecast = one.raw_return(X)
    assert forecast.dtype == np.float64
    assert np.isfinite(forecast).all()
    np.testing.assert_array_equal(forecast, other.raw_return(X))
    # A row forecast alone has the digits it has among others.
    np.testing.assert_array_equal(forecast[100:101], one.raw_return(X[100:101]))
    one.save(tmp_path / "f")
    loaded = load_forecaster(tmp_path / "f")
    pd.testing.assert_frame_equal(loaded.forecast(market), one.forecast(market), check_exact=True)
    assert not list((tmp_path / "f").glob("*.pkl"))
    assert loaded.params == one.params
    importance = one.feature_importance()
    if MODELS[key].is_baseline:
        assert (forecast == 0).all()
        assert importance is None
    elif importance is not None:
        assert list(importance.index) == list(PIPELINE.feature_names)
        assert importance.sum() == pytest.approx(1)


@pytest.mark.parametrize("key", [key for key, model in MODELS.items() if not model.is_baseline])
def test_every_model_learns_a_planted_signal(key, rows):
    X, y = rows
    planted = y + 0.5 * np.std(y) * np.sign(X[:, 0])
    half = len(y) // 2
    strong = {"alpha": 100.0, "n_estimators": 60, "learning_rate": 0.1}
    fields = MODELS[key].parameters.model_fields
    parts = fit(
        MODELS[key],
        {name: value for name, value in strong.items() if name in fields},
        seed=1,
        X=X[:half],
        y=planted[:half],
        scaling_method="standard",
        clip_sigma=4,
    )
    assert np.corrcoef(parts.raw_return(X[half:]), planted[half:])[0, 1] > 0.2


def test_results_do_not_depend_on_the_number_of_cores(tmp_path):
    script = """
import sys, numpy as np
from cryptoml.models.interval import ConstantInterval, Interval
from cryptoml.models.forecaster import fit
from cryptoml.models.zoo import MODELS
rng = np.random.default_rng(0)
X = rng.normal(size=(12_000, 8)).astype("float32"); y = 0.1 * X[:, 0] + rng.normal(size=12_000)
for key, spec in MODELS.items():
    params = {"n_estimators": 8} if "n_estimators" in spec.parameters.model_fields else {}
    parts = fit(spec, params, seed=1, X=X, y=y, scaling_method="standard", clip_sigma=4.0)
    print(key, parts.raw_return(X).tobytes().hex()[:4000])
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True, text=True, check=True,
        ).stdout
        for threads in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == len(MODELS)


def test_targets_are_clipped(rows):
    X, y = rows
    wild = y.copy()
    wild[0] = 50.0
    parts = fit(get_model("ridge"), params_of("ridge"), seed=1, X=X, y=wild, scaling_method="standard", clip_sigma=4.0)
    assert parts.clip == pytest.approx(4 * np.std(wild))
    assert np.abs(parts.raw_return(X)).max() < parts.clip


def test_boosting_uses_exact_splits_on_few_rows():
    spec = get_model("gbm")
    assert spec.implementation(spec.read({}), 10_000) == "exact"
    assert spec.implementation(spec.read({}), 10_001) == "hist"
    assert spec.implementation(spec.read({"implementation": "exact"}), 10**6) == "exact"


@pytest.mark.parametrize("implementation", ["sklearn", "auto"])
def test_max_samples_and_max_tree_rows_limit_the_rows_of_a_tree(rows, implementation):
    def seen(**more: object) -> set[float]:
        forest = make("rf", {"implementation": implementation, "max_samples": 0.5, **more}, rows).estimator
        return {float(tree.tree_.weighted_n_node_samples[0]) for tree in forest.estimators_}

    half = len(rows[0]) // 2
    assert seen() == {half}
    assert seen(max_tree_rows=150) == {150}


def test_a_share_of_1_uses_all_features_and_rows(rows):
    """scikit-learn interprets the integer 1 as one feature and one row."""
    forest = make("rf", {"implementation": "sklearn", "max_features": 1, "max_samples": 1}, rows).estimator
    assert (forest.max_features, forest.max_samples) == (1.0, 1.0)
    assert (type(forest.max_features), type(forest.max_samples)) == (float, float)


@pytest.mark.parametrize(("asked", "nearest"), [("ridg", "ridge"), ("xgboost", "xgb"), ("random_forest", "rf")])
def test_an_unknown_model_error_suggests_the_most_similar_name(asked, nearest):
    with pytest.raises(UsageError, match="unknown model") as caught:
        get_model(asked)
    assert caught.value.hint == f"use {nearest}"


def test_a_file_with_untrusted_code_is_refused(rows, tmp_path):
    import skops.io

    make("ridge", {}, rows).save(tmp_path / "f")
    skops.io.dump(subprocess.Popen, tmp_path / "f" / "estimator.skops")
    with pytest.raises(AccessError, match="untrusted code"):
        load_forecaster(tmp_path / "f")


def test_a_folder_without_a_forecaster_is_refused(tmp_path):
    with pytest.raises(DataError, match="contains no valid forecaster"):
        load_forecaster(tmp_path)
    (tmp_path / "forecaster.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(DataError, match="has format 99"):
        load_forecaster(tmp_path)


def test_serving_accepts_raw_candles(rows, market, tmp_path):
    one = make("ridge", {}, rows)
    one.save(tmp_path / "f")
    served = _load_pyfunc(str(tmp_path / "f"))
    newest = market.drop(columns="no_trade").tail(PIPELINE.warmup_candles + 3)
    table = newest.reset_index(names="timestamp")
    table["timestamp"] = table["timestamp"].astype(str)
    found = served.predict(table.sample(frac=1, random_state=0))
    expected = one.forecast(market).tail(3)
    np.testing.assert_array_equal(found["forecast_price"].tail(3), expected["forecast_price"])
    assert found["timestamp"].iloc[-1] == f"{market.index[-1]:%Y-%m-%dT%H:%M:%SZ}"
    with pytest.raises(DataError, match="without a forecast"):
        served.predict(table.tail(5))
    with pytest.raises(DataError, match="lack volume"):
        served.predict(table.drop(columns="volume"))
    with pytest.raises(DataError, match="Duplicate candle at"):
        served.predict(pd.concat([table, table.tail(1)]))
