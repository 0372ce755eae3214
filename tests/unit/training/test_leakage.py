"""The leakage audit finds each planted mistake and names it; a sound training passes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.config.load import load_config
from cryptoml.config.schema import Config
from cryptoml.data.simulation.simulate import simulate
from cryptoml.errors import CheckFailedError
from cryptoml.evaluation.folds import check_targets_known, make_plan, overlaps
from cryptoml.events import ignore
from cryptoml.features import library, price
from cryptoml.models.zoo import MODELS
from cryptoml.settings import load_settings
from cryptoml.training import leakage
from cryptoml.training.fit_task import FitTask, run_fit
from cryptoml.training.results import Fit, ModelChoice, TrainingOptions
from cryptoml.workflows.audit import AuditResult, audit
from cryptoml.workflows.training.inputs import read_training_data
from cryptoml.workflows.training.train import choose_models

FEATURES = ["log_return", "return_std", "planted"]


def config_of(**features: object) -> Config:
    overrides = ["training.models=ridge", "split.cross_validation_folds=2", "features.rolling_windows=[6, 24]"]
    overrides += [f"features.{name}={json.dumps(value)}" for name, value in features.items()]
    return load_config(None, models=MODELS, overrides=overrides, environ={}, dotenv={}).config


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    path = tmp_path / "BTCUSDT_1h.csv"
    simulate(candles=2500, seed=5).frame.to_csv(path)
    return path


@pytest.fixture(autouse=True)
def _nothing_is_audited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leakage, "_audited", set())


def plant(monkeypatch: pytest.MonkeyPatch, feature: object) -> None:
    spec = library.FeatureSpec("planted", "fixed", feature, 1)  # type: ignore[arg-type]
    monkeypatch.setitem(library.FEATURES, "planted", spec)


def audited(candles: Path, config: Config) -> AuditResult:
    return audit(load_settings(cwd=candles.parent), config, candles)


def next_return(bars, window):
    """Return the next return."""
    return np.append(bars.log_return[1:], 0.0)


def centred(bars, window):
    """Return the mean of the candles around."""
    return pd.Series(bars.close).rolling(5, center=True, min_periods=1).mean().to_numpy() / bars.close


def scaled(bars, window):
    """Return the close, scaled with all closes."""
    return (bars.close - np.nanmean(bars.close)) / np.nanstd(bars.close)


def filled(bars, window):
    """Return the return over 24 candles, filled backwards."""
    return pd.Series(bars.close).pct_change(24, fill_method=None).bfill().fillna(0.0).to_numpy()


@pytest.mark.parametrize("feature", [next_return, centred, scaled, filled])
def test_a_feature_that_knows_the_future_is_named_and_stops_the_training(
    feature: object, candles: Path, monkeypatch: pytest.MonkeyPatch
):
    plant(monkeypatch, feature)
    config = config_of(include=FEATURES)
    with pytest.raises(CheckFailedError, match="the feature planted changes when later candles change"):
        read_training_data(candles, config, on_event=ignore)
    failed = audited(candles, config).failed
    assert [(one.check, one.columns) for one in failed] == [("features", ("planted",))]


def test_a_sound_training_passes_every_check(candles: Path, monkeypatch: pytest.MonkeyPatch):
    plant(monkeypatch, price.candle_body)
    result = audited(candles, config_of(include=FEATURES))
    assert result.failed == ()
    assert {one.check for one in result.findings} == {
        "features", "volatility", "target", "windows", "fit", "shuffled targets", "reversed targets",
        "planted features", "planted overlap", "planted target",
    }  # fmt: skip
    assert result.to_dict()["passed"]


def test_a_trend_is_no_leak(candles: Path):
    frame = pd.read_csv(candles, index_col=0)
    prices = ["open", "high", "low", "close"]
    frame[prices] = frame[prices].mul(np.exp(0.001 * np.arange(len(frame))), axis=0)
    frame.to_csv(candles)
    config = config_of(include=["log_return", "return_std"])
    target = config.target.model_copy(update={"prediction_horizon": 24})
    assert audited(candles, config.model_copy(update={"target": target})).failed == ()


def test_windows_without_a_gap_overlap_at_horizon_24():
    index = pd.date_range("2026-01-01", periods=3000, freq="1h", tz="UTC")
    windows = {"interval_seconds": 3600, "ratio": 0.8, "n_folds": 3}
    sound = make_plan(index[0], index[-1], horizon=24, gap_candles=None, **windows)
    assert overlaps(sound, index, pd.Timedelta(hours=24)) == []
    check_targets_known(sound, index, pd.Timedelta(hours=24))
    planted = make_plan(index[0], index[-1], horizon=1, gap_candles=1, **windows)
    assert overlaps(planted, index, pd.Timedelta(hours=24)) == ["fold 1", "fold 2", "fold 3", "the hold-out"]
    with pytest.raises(CheckFailedError, match="overlap the forecasts of fold 1, fold 2"):
        check_targets_known(planted, index, pd.Timedelta(hours=24))


def test_one_candle_of_overlap_is_found():
    index = pd.date_range("2026-01-01", periods=3000, freq="1h", tz="UTC")
    plan = make_plan(index[0], index[-1], interval_seconds=3600, ratio=0.8, n_folds=2, horizon=23)
    # The target of the last row of a window is known when the first forecast is made, or one candle later.
    assert overlaps(plan, index, pd.Timedelta(hours=24)) == []
    assert overlaps(plan, index, pd.Timedelta(hours=25)) == ["fold 1", "fold 2", "the hold-out"]


class TestUsesLaterRows:
    @pytest.fixture
    def task(self) -> FitTask:
        (choice,) = [one for one in choose_models(["ridge"], config_of().models) if one.spec.key == "ridge"]
        return FitTask(ModelChoice(choice.spec, choice.params), 1, slice(0, 300), slice(310, 400))

    @pytest.fixture
    def options(self) -> TrainingOptions:
        return TrainingOptions(1, 4.0, "standard", 0.9, 0.05)

    def check(self, run: object, task: FitTask, options: TrainingOptions) -> bool:
        rng = np.random.default_rng(0)
        features = rng.normal(size=(500, 3)).astype(np.float32)
        target = features[:, 0] * 0.01 + rng.normal(0, 0.01, 500)
        return leakage.uses_later_rows(run, features, target, options, task)  # type: ignore[arg-type]

    def test_a_fit_does_not(self, task: FitTask, options: TrainingOptions):
        assert not self.check(run_fit, task, options)

    def test_a_scaler_on_everything_does(self, task: FitTask, options: TrainingOptions):
        def planted(features: np.ndarray, target: np.ndarray, options: TrainingOptions, task: FitTask) -> Fit:
            scaled = (features - features.mean(axis=0)) / features.std(axis=0)
            return run_fit(scaled.astype(np.float32), target, replace(options, scaling_method="none"), task)

        assert self.check(planted, task, options)

    def test_a_fit_on_the_rows_to_forecast_does(self, task: FitTask, options: TrainingOptions):
        def planted(features: np.ndarray, target: np.ndarray, options: TrainingOptions, task: FitTask) -> Fit:
            return run_fit(features, target, options, replace(task, fit_rows=slice(0, task.forecast_rows.stop)))

        assert self.check(planted, task, options)
