"""Fits the chosen models on the same folds and training part, and forecasts validation windows and hold-out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import DataError
from cryptoml.evaluation.folds import Plan, make_plan, rows
from cryptoml.training.assemble import assemble
from cryptoml.training.cache import fit_cache
from cryptoml.training.engine import Engine
from cryptoml.training.fit_task import FitTask
from cryptoml.training.results import FINAL, Fit, ModelChoice, ModelFailure, ModelResult, TrainingOptions

if TYPE_CHECKING:
    from cryptoml.training.dataset import Dataset


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


def engine_for(dataset: Dataset, options: TrainingOptions, *, cache_folder: Path | None = None) -> Engine:
    """Return the engine for the rows of a data set; it keeps fits in `cache_folder`, and without one keeps none."""
    import numpy as np

    features = np.ascontiguousarray(dataset.features.to_numpy(dtype=np.float32))
    cache = fit_cache(cache_folder, features, dataset.target) if cache_folder else None
    return Engine(features, dataset.target, options, cache=cache)


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
    engine: Engine,
    *,
    on_fit: Callable[[str, int], None] = lambda model, fold: None,
) -> Iterator[ModelResult | ModelFailure]:
    """Yield the result of each model when its last fit is done; `engine` has the rows of the data set.

    on_fit(model, fold): called after each fit; fold 0 is the final fit on the whole training part.
    """
    fits: dict[str, dict[int, Fit]] = {choice.spec.key: {} for choice in choices}
    failed: set[str] = set()
    for task, outcome in engine.run_fits(_tasks(dataset, plan, choices)):
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


def _tasks(dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice]) -> list[FitTask]:
    """Return one task per model and fit: model by model, so that results are recorded during the fits of the others.

    The longest fits of a model are first.
    """
    windows = [(FINAL, plan.train, plan.test)]
    windows += [(fold.number, fold.train, fold.validation) for fold in reversed(plan.folds)]
    return [
        FitTask(choice, number, rows(dataset.index, train), rows(dataset.index, forecast))
        for choice in choices
        for number, train, forecast in windows
    ]
