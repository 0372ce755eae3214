"""The cache of fits: what is reused, with which digits, and what is computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryptoml.data.candles import Candles, QualityReport
from cryptoml.data.interval import parse_interval
from cryptoml.data.simulation.simulate import simulate
from cryptoml.features.pipeline import FeaturePipeline
from cryptoml.models.zoo import MODELS
from cryptoml.training.cache import FitCache
from cryptoml.training.cross_validate import engine_for, plan_for, train_models
from cryptoml.training.dataset import Dataset, build_dataset
from cryptoml.training.results import ModelChoice, ModelResult, TrainingOptions

OPTIONS = TrainingOptions(
    seed=1, clip_sigma=4.0, scaling_method="standard", interval_level=0.9, significance_level=0.05
)
N_FOLDS = 2


def dataset_of(seed: int) -> Dataset:
    frame = simulate(interval="1h", candles=1500, signal=0.1, seed=seed).frame
    report = QualityReport("sim.csv", "SIM", "1h", len(frame), len(frame), "", "", 0, 0, (), ())
    candles = Candles(frame[["open", "high", "low", "close", "volume"]], "SIM", parse_interval("1h"), report)
    return build_dataset(candles, FeaturePipeline(lag_windows=(1, 2), rolling_windows=(6, 24)), horizon=1)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return dataset_of(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "fits"
    path.mkdir()
    return path


def choice(key: str, **more: object) -> ModelChoice:
    return ModelChoice(MODELS[key], MODELS[key].parameters().model_dump() | more)


ALL = [choice("persistence"), choice("rf", n_estimators=5), choice("gbm"), choice("ridge"), choice("xgb")]


def train(
    dataset: Dataset, choices: list[ModelChoice], folder: Path, options: TrainingOptions = OPTIONS
) -> tuple[int, Mapping[str, ModelResult]]:
    """Return the number of reused fits and the results by model."""
    plan = plan_for(dataset, ratio=0.8, n_folds=N_FOLDS, gap_candles=None)
    with engine_for(dataset, options, cache_folder=folder) as engine:
        results = list(train_models(dataset, plan, choices, options, engine))
        assert all(isinstance(one, ModelResult) for one in results)
        return engine.n_cached_fits, {one.choice.spec.key: one for one in results if isinstance(one, ModelResult)}


def test_a_repeated_training_computes_nothing_and_has_the_same_digits(dataset, folder):
    n_first, first = train(dataset, ALL, folder)
    n_second, second = train(dataset, ALL, folder)
    assert (n_first, n_second) == (0, len(ALL) * (N_FOLDS + 1))
    for key, one in second.items():
        assert one.predictions.equals(first[key].predictions)
        before = {name: value for name, value in first[key].metrics.items() if name != "prediction_latency_ms"}
        assert {name: one.metrics[name] for name in before} == pytest.approx(before, rel=0, abs=0, nan_ok=True)
        sample = dataset.features.to_numpy()[:50]
        np.testing.assert_array_equal(one.forecaster.raw_return(sample), first[key].forecaster.raw_return(sample))


def test_an_added_model_is_the_only_one_fitted(dataset, folder):
    train(dataset, ALL[:3], folder)
    n_cached, results = train(dataset, ALL[:4], folder)
    assert n_cached == 3 * (N_FOLDS + 1)
    assert results.keys() == {"persistence", "rf", "gbm", "ridge"}


def test_an_interrupted_training_continues_with_the_missing_fits(dataset, folder):
    plan = plan_for(dataset, ratio=0.8, n_folds=N_FOLDS, gap_candles=None)
    with engine_for(dataset, replace(OPTIONS, workers=1), cache_folder=folder) as engine:
        next(iter(train_models(dataset, plan, ALL, OPTIONS, engine)))
    n_done = len(list(folder.glob("[!.]*")))
    assert N_FOLDS + 1 <= n_done < len(ALL) * (N_FOLDS + 1)
    assert train(dataset, ALL, folder)[0] >= n_done


@pytest.mark.parametrize(
    ("choices", "options"),
    [
        ([choice("ridge", alpha=7.0)], OPTIONS),
        ([choice("ridge")], replace(OPTIONS, seed=2)),
        ([choice("ridge")], replace(OPTIONS, clip_sigma=3.0)),
        ([choice("ridge")], replace(OPTIONS, scaling_method="none")),
    ],
    ids=["parameters", "seed", "clip", "scaling"],
)
def test_other_inputs_are_fitted_again(dataset, folder, choices, options):
    train(dataset, [choice("ridge")], folder)
    assert train(dataset, choices, folder, options)[0] == 0


def test_other_data_is_fitted_again(dataset, folder):
    train(dataset, [choice("ridge")], folder)
    assert train(dataset_of(4), [choice("ridge")], folder)[0] == 0


@pytest.mark.parametrize("damage", ["truncate", "delete", "replace"])
def test_a_damaged_fit_is_computed_again(dataset, folder, damage):
    _, first = train(dataset, ALL, folder)
    for file in [file for entry in folder.iterdir() for file in entry.iterdir()]:
        if damage == "truncate":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        elif damage == "delete":
            file.unlink()
        else:
            file.write_text("{}")
    n_cached, results = train(dataset, ALL, folder)
    assert n_cached == 0
    assert all(one.predictions.equals(first[key].predictions) for key, one in results.items())
    assert train(dataset, ALL, folder)[0] == len(ALL) * (N_FOLDS + 1)


def test_a_folder_that_cannot_be_written_does_not_prevent_a_training(dataset, folder):
    (folder / "cache").write_text("a file, not a folder")
    assert train(dataset, [choice("ridge")], folder / "cache")[0] == 0


def test_the_least_recently_used_fits_are_deleted_beyond_the_limit(dataset, folder):
    train(dataset, ALL, folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    FitCache(folder, "", 1, max_bytes=size // 2).trim()
    left = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert 0 < left <= size // 2
    FitCache(folder, "", 1, max_bytes=0).trim()
    assert list(folder.iterdir()) == []
