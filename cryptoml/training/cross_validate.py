"""Split, cross-validation, hold-out and final fit: every chosen model on the same rows, folds and hold-out."""

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
    """The one hold-out and the one set of folds; raises DataError when there are too few candles."""
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
    """Raise DataError when a window holds too few rows to mean anything (gaps can empty one)."""
    windows = [(f"fold {fold.number}, training", fold.train) for fold in plan.folds]
    windows += [(f"fold {fold.number}, validation", fold.validation) for fold in plan.folds]
    windows += [("the training part", plan.train), ("the hold-out", plan.test)]
    for name, window in windows:
        part = rows(dataset.index, window)
        if part.stop - part.start < least:
            raise DataError(
                f"{name} ({window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC) holds "
                f"{part.stop - part.start} usable rows of {len(dataset.index)}, at least {least} are needed.",
                hint="bring more candles, or fewer folds (--set split.cross_validation_folds=2)",
            )


def train_models(
    dataset: Dataset,
    plan: Plan,
    choices: Sequence[ModelChoice],
    options: TrainingOptions,
    *,
    on_fit: Callable[[str, int], None] = lambda model, fold: None,
) -> Iterator[ModelResult | ModelFailure]:
    """Yield each model's result as soon as its last fit is done.

    `on_fit(model, fold)` is called after each fit; fold 0 is the final one, on the whole training part.
    """
    import numpy as np

    features = np.ascontiguousarray(dataset.features.to_numpy(dtype=np.float32))
    done: dict[str, dict[int, Fit]] = {choice.spec.key: {} for choice in choices}
    failed: set[str] = set()
    tasks = _tasks(dataset, plan, choices)
    work = partial(_fit, features, dataset.target, options)
    for task, outcome in run_tasks(tasks, work, workers=options.workers):
        key = task.choice.spec.key
        if isinstance(outcome, Exception):
            if key not in failed:
                failed.add(key)
                yield ModelFailure(task.choice, outcome)
            continue
        done[key][task.number] = outcome
        on_fit(key, task.number)
        if len(done[key]) == len(plan.folds) + 1 and key not in failed:
            yield assemble(dataset, plan, task.choice, options, done.pop(key))


def _tasks(dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice]) -> list[_Task]:
    """One task for each model and fit, the longest fits first, so that the cores stay busy to the end."""
    windows = [(FINAL, plan.train, plan.test)]
    windows += [(fold.number, fold.train, fold.validation) for fold in reversed(plan.folds)]
    return [
        _Task(choice, number, rows(dataset.index, train), rows(dataset.index, forecast))
        for number, train, forecast in windows
        for choice in choices
    ]


def _fit(features: np.ndarray, target: np.ndarray, options: TrainingOptions, task: _Task) -> Fit:
    # The time of this thread alone: wall time would include waiting for the fits that share the cores.
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
