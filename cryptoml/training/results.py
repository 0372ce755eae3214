"""Records of a training: options, chosen models, fits and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.significance import Verdict
from cryptoml.models.base import Model
from cryptoml.models.forecaster import FittedParts, Forecaster

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# The number of the final fit on the whole training part; folds are numbered from 1.
FINAL = 0
# The number of the fit on all rows, for the model to be registered.
REFIT = -1


@dataclass(frozen=True)
class ModelChoice:
    """A model and the parameters to train it with."""

    spec: Model[Any]
    params: Mapping[str, object]


@dataclass(frozen=True)
class FoldScore:
    """One validation fold: its windows (UTC, ends exclusive), rows, shrinkage and RMSE in price units."""

    number: int
    train_start: pd.Timestamp
    train_end: pd.Timestamp
    validation_start: pd.Timestamp
    validation_end: pd.Timestamp
    n_train: int
    n_validation: int
    shrinkage: float
    rmse: float
    baseline_rmse: float


@dataclass(frozen=True)
class MarketScore:
    """The scores of a pooled model on one of its markets: on its hold-out, and the verdict on that and the folds."""

    symbol: str
    n_test_samples: int
    skill: float
    directional_accuracy: float
    interval_coverage: float
    verdict: Verdict


@dataclass(frozen=True)
class ModelResult:
    """A trained model with its metrics and forecasts.

    predictions: one row per forecast of the folds and the hold-out, in time order; columns part, price_now,
    actual_price, forecast_price, lower_price, upper_price, actual_return, forecast_return, raw_return; in a pool the
    first column is symbol, and the times repeat. markets: the scores by market of a pool, else empty.
    metrics: by MLflow name; training_time_seconds is the total CPU time of all fits.
    fold_metrics: metric name -> one value per fold. refit_rows: number of rows of the forecaster's fit, if it was
    fitted again on all of them; all metrics and forecasts are of the fit before the hold-out. further: the results at
    the further horizons; the forecaster has those that may be registered.
    """

    choice: ModelChoice
    implementation: str
    metrics: Mapping[str, float]
    fold_metrics: Mapping[str, tuple[float, ...]]
    folds: tuple[FoldScore, ...]
    verdict: Verdict
    forecaster: Forecaster
    predictions: pd.DataFrame
    importance: pd.Series[float] | None
    markets: tuple[MarketScore, ...] = ()
    refit_rows: int = 0
    further: tuple[ModelResult, ...] = ()


@dataclass(frozen=True)
class ModelFailure:
    """A model with a failed fit; the other models continue."""

    choice: ModelChoice
    error: Exception


@dataclass(frozen=True)
class TrainingOptions:
    """Options shared by all models of a training. n_models: their number, without the baseline."""

    seed: int
    clip_sigma: float
    scaling_method: str
    interval_level: float
    significance_level: float
    n_models: int = 1
    workers: int | None = None


@dataclass(frozen=True)
class Fit:
    """One fit of a model: on the training window of a fold, the whole training part (FINAL) or all rows (REFIT).

    raw_return: forecasts of the log return before shrinkage, for the fold's validation window or the hold-out; empty
    for REFIT. raw_return_in_sample: the same for the rows of the fit, only for FINAL. parts: not of a fold. seconds:
    CPU time.
    """

    parts: FittedParts | None
    raw_return: np.ndarray
    raw_return_in_sample: np.ndarray | None
    seconds: float
