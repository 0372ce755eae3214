"""Options, choices and results of a training: the records that the modules of this package exchange."""

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

# The number of the final fit, on the whole training part; folds count from 1.
FINAL = 0


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
class ModelResult:
    """A trained model with everything that is reported about it.

    predictions: one row a forecast of the folds and the hold-out, in time order; columns part, price_now,
    actual_price, forecast_price, lower_price, upper_price, actual_return, forecast_return, raw_return.
    metrics: by MLflow name; training_time_seconds is the computing of all fits together, without the waits.
    fold_metrics: metric name -> value per fold, in the order of the folds.
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


@dataclass(frozen=True)
class ModelFailure:
    """A model whose fit raised; the others go on."""

    choice: ModelChoice
    error: Exception


@dataclass(frozen=True)
class TrainingOptions:
    """What all models of one training share."""

    seed: int
    clip_sigma: float
    scaling_method: str
    interval_level: float
    significance_level: float
    workers: int | None = None


@dataclass(frozen=True)
class Fit:
    """One fit of a model: on the training window of a fold, or the final one on the whole training part.

    raw_return: forecasts of the log return, not yet shrunk, for the fold's validation window or the hold-out;
    raw_return_in_sample: for the rows of the fit, of the final fit only. seconds: computing time.
    """

    parts: FittedParts
    raw_return: np.ndarray
    raw_return_in_sample: np.ndarray | None
    seconds: float
