"""Fits the chosen models on the same folds and training part, and forecasts validation windows and hold-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import DataError
from cryptoml.evaluation.folds import Plan, check_targets_known, make_plan, rows, rows_needed
from cryptoml.training.assemble import assemble
from cryptoml.training.cache import fit_cache
from cryptoml.training.engine import Engine
from cryptoml.training.fit_task import FitTask
from cryptoml.training.intervals import Volatility, fit_volatilities
from cryptoml.training.pools import local_pool
from cryptoml.training.results import FINAL, REFIT, Fit, ModelChoice, ModelFailure, ModelResult, TrainingOptions

if TYPE_CHECKING:
    from cryptoml.features.pipeline import FeaturePipeline
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.pools import Pool


# Every window has at least this many rows.
MIN_ROWS = 50


def check_length(
    source: str, n_candles: int, pipeline: FeaturePipeline, *, horizon: int, ratio: float, n_folds: int,
    gap_candles: int | None,
) -> None:  # fmt: skip
    """Raise DataError if there are fewer candles than the features, folds and hold-out need even without a gap."""

    def needed(folds: int) -> int:
        of_plan = rows_needed(horizon=horizon, ratio=ratio, n_folds=folds, gap_candles=gap_candles, least=MIN_ROWS)
        return of_plan + pipeline.warmup_candles - 1 + horizon

    if n_candles >= needed(n_folds):
        return
    hint = "get a longer history, for example with cryptoml extract-data"
    if n_folds > 2 and n_candles >= needed(2):
        hint = f"use fewer folds (--set split.cross_validation_folds=2), or {hint}"
    raise DataError(
        f"{source}: has {n_candles:,} candles; these features and {n_folds} folds need at least {needed(n_folds):,}.",
        hint=hint,
    )


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
    check_targets_known(plan, dataset.index, dataset.horizon * dataset.interval.timedelta)
    return plan


@contextmanager
def engine_for(dataset: Dataset, options: TrainingOptions, *, cache_folder: Path | None = None) -> Iterator[Engine]:
    """Yield the engine of a data set with a pool of its own; without `cache_folder`, no fit is kept."""
    with (
        local_pool(len(dataset.index), workers=options.workers) as pool,
        engine_in(pool, dataset, options, cache_folder=cache_folder) as engine,
    ):
        yield engine


@contextmanager
def engine_in(
    pool: Pool, dataset: Dataset, options: TrainingOptions, *, cache_folder: Path | None = None
) -> Iterator[Engine]:
    """Yield the engine of a data set in a pool; without `cache_folder`, no fit is kept."""
    import numpy as np

    features = np.ascontiguousarray(dataset.features.to_numpy(dtype=np.float32))
    cache = fit_cache(cache_folder, features, dataset.target) if cache_folder else None
    with pool.shared(features, dataset.target) as rows:
        yield Engine(pool, rows, options, cache=cache)
    if cache:
        cache.trim()


def check_rows(plan: Plan, dataset: Dataset, *, least: int = MIN_ROWS) -> None:
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


class Collector:
    """Collects the fits of the models of one training; the last fit of a model completes its result."""

    def __init__(self, dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice], options: TrainingOptions) -> None:
        self._dataset, self._plan, self._options = dataset, plan, options
        self._fits: dict[str, dict[int, Fit]] = {choice.spec.key: {} for choice in choices}
        self._failed: set[str] = set()

    def add(self, task: FitTask, outcome: Fit | Exception) -> ModelResult | ModelFailure | None:
        """Take a fit; return the model's result with its last fit, or its failure with the first fit that failed."""
        key = task.choice.spec.key
        if key in self._failed:
            return None
        if isinstance(outcome, Exception):
            self._failed.add(key)
            return ModelFailure(task.choice, outcome)
        self._fits[key][task.number] = outcome
        if len(self._fits[key]) <= len(self._plan.folds):
            return None
        return assemble(self._dataset, self._plan, task.choice, self._options, self._fits.pop(key), self._volatility)

    @cached_property
    def _volatility(self) -> Volatility:
        """The forecasts of volatility, fitted while the first models are."""
        return fit_volatilities(self._dataset, self._plan)


def train_models(
    dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice], options: TrainingOptions, engine: Engine
) -> Iterator[ModelResult | ModelFailure]:
    """Yield the result of each model when its last fit is done; `engine` has the rows of the data set."""
    collector = Collector(dataset, plan, choices, options)
    futures = {engine.start_fit(task): task for task in fit_tasks(dataset, plan, choices)}
    try:
        for future in as_completed(futures):
            done = collector.add(futures[future], engine.fit_of(future))
            if done is not None:
                yield done
    finally:
        for future in futures:
            future.cancel()


def refit_task(dataset: Dataset, choice: ModelChoice) -> FitTask:
    """Return the fit on all rows, for the model to be registered."""
    n_rows = len(dataset.index)
    return FitTask(choice, REFIT, slice(0, n_rows), slice(n_rows, n_rows))


def fit_tasks(dataset: Dataset, plan: Plan, choices: Sequence[ModelChoice]) -> list[FitTask]:
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
