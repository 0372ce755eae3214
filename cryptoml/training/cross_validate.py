"""Fits the chosen models on the same folds and training part, and forecasts validation windows and hold-out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cryptoml.errors import DataError
from cryptoml.evaluation.folds import Plan, make_plan, rows
from cryptoml.models.forecaster import fit
from cryptoml.training.assemble import assemble
from cryptoml.training.engine import run_tasks
from cryptoml.training.results import FINAL, Fit, ModelChoice, ModelFailure, ModelResult, TrainingOptions

if TYPE_CHECKING:
    import numpy as np

    from cryptoml.training.dataset import Dataset


@dataclass(frozen=True)
class _Task:
    choice: ModelChoice
    number: int
    fit_rows: slice
    forecast_rows: slice


def plan_for(dataset: Dataset, *, ratio: float, n_folds: int, gap_candles: int | None) -> Plan:
    """Return the plan of hold-out and folds; raises DataError if there are too few candles."""
    plan = make_plan(
        dataset.index[0],
        dataset.index[-1],
        interval_seconds=dataset.interval.seconds,
        horizon=dataset.horizon,
        ratio=ratio,
        n_folds=n_folds,
        gap_candles=gap_candles,
    )
    check_rows(plan, dataset)
    return plan


def check_rows(plan: Plan, dataset: Dataset, *, least: int = 50) -> None:
    """Raise DataError if a window has fewer than `least` rows, for example because of gaps."""
    windows = [(f"fold {fold.number}, training", fold.train) for fold in plan.folds]
    windows += [(f"fold {fold.number}, validation", fold.validation) for fold in plan.folds]
    windows += [("the training part", plan.train), ("the hold-out", plan.test)]
    for name, window in windows:
        part = rows(dataset.index, window)
        if part.stop - part.start < least:
            raise DataError(
                f"{name} ({window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC) has "
                f"{part.stop - part.start} of {len(dataset.index):,} usable rows; at least {least} are required.",
                hint="use more candles, or fewer folds (--set split.cross_validation_folds=2)",
            )


def train_models(
    dataset: Dataset,
    plan: Plan,
    choices: Sequence[ModelChoice],
    options: TrainingOptions,
    *,
    on_fit: Callable[[str, int], None] = lambda model, fold: None,
) -> Iterator[ModelResult | ModelFailure]:
    """Yield the result of each model when its last fit is done.

    on_fit(model, fold): called after each fit; fold 0 is the final fit on the whole training part.
    """
    import numpy as np

    features = np.ascontiguousarray(dataset.features.to_numpy(dtype=np.float32))
    fits: dict[str, dict[int, Fit]] = {choice.spec.key: {} for choice in choices}
    failed: set[str] = set()
    tasks = _tasks(dataset, plan, choices)
    run_task = partial(_fit, features, dataset.target, options)
    for task, outcome in run_tasks(tasks, run_task, workers=options.workers):
        key = task.choice.spec.key
        if isinstance(outcome, Exception):
            if key not in failed:
                failed.add(key)
                yield ModelFailure(task.choice, outcome)
            continue
        fits[key][task.number] = outcome
        on_fit(key, task.number)
        if len(fits[key]) == len(plan.folds) + 1 and key not in failed:
            yield assemble(dataset, plan, task.choice, options, fits.pop(key))


def _tasks(dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice]) -> list[_Task]:
    """Return one task per model and fit, the longest fits first to keep all cores busy until the end."""
    windows = [(FINAL, plan.train, plan.test)]
    windows += [(fold.number, fold.train, fold.validation) for fold in reversed(plan.folds)]
    return [
        _Task(choice, number, rows(dataset.index, train), rows(dataset.index, forecast))
        for number, train, forecast in windows
        for choice in choices
    ]


def _fit(features: np.ndarray, target: np.ndarray, options: TrainingOptions, task: _Task) -> Fit:
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
    raw = parts.raw_return(features[task.forecast_rows])
    in_sample = parts.raw_return(features[task.fit_rows]) if task.number == FINAL else None
    return Fit(parts, raw, in_sample, time.thread_time() - started)
