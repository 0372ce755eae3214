"""One fit of a model: the task, and the function that runs it in a thread or in a worker process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.models.forecaster import fit
from cryptoml.training.results import FINAL, REFIT, Fit, ModelChoice, TrainingOptions

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FitTask:
    """A model and the rows to fit and to forecast; number: of the fold, FINAL or REFIT."""

    choice: ModelChoice
    number: int
    fit_rows: slice
    forecast_rows: slice


def run_fit(features: np.ndarray, target: np.ndarray, options: TrainingOptions, task: FitTask) -> Fit:
    """Fit and forecast. features: (rows, features), float32, no NaN; target: log returns, one per row."""
    import numpy as np

    # CPU time of this thread; wall time would include the time of parallel fits on the same core.
    started = time.thread_time()
    parts = fit(
        task.choice.spec,
        task.choice.params,
        seed=options.seed,
        X=features[task.fit_rows],
        y=target[task.fit_rows],
        scaling_method=options.scaling_method,
        clip_sigma=options.clip_sigma,
    )
    raw = np.empty(0) if task.number == REFIT else parts.raw_return(features[task.forecast_rows])
    in_sample = parts.raw_return(features[task.fit_rows]) if task.number == FINAL else None
    # Of the folds only the forecasts are used, and a fitted forest is large.
    kept = parts if task.number in (FINAL, REFIT) else None
    return Fit(kept, raw, in_sample, time.thread_time() - started)
