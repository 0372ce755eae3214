"""Split, cross-validate, hold out, final fit: every chosen model on the same rows, folds and hold-out.

Shrinkage is always out of fold. A fold's forecasts are shrunk by the slope of the folds before it; the first
has none before it, so for its scores the folds after it are used, and the verdict leaves it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.folds import Fold, Plan, make_plan, rows
from cryptoml.evaluation.metrics import METRICS, Forecasts, fold_values, summarize
from cryptoml.evaluation.shrinkage import conformal_quantile, shrinkage
from cryptoml.evaluation.significance import Verdict, verdict
from cryptoml.models.base import Model
from cryptoml.models.forecaster import FittedParts, Forecaster, fit
from cryptoml.training.engine import run_tasks

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cryptoml.training.dataset import Dataset

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
class _Task:
    choice: ModelChoice
    number: int
    fit_rows: slice
    forecast_rows: slice


@dataclass(frozen=True)
class _Outcome:
    parts: FittedParts
    raw: np.ndarray
    raw_fit: np.ndarray | None
    seconds: float


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
    from cryptoml.errors import DataError

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
    final_rows = rows(dataset.index, plan.train)
    tasks = [_Task(choice, FINAL, final_rows, rows(dataset.index, plan.test)) for choice in choices]
    for fold in reversed(plan.folds):
        # The longest fits first: the cores stay busy to the end.
        parts = rows(dataset.index, fold.train), rows(dataset.index, fold.validation)
        tasks += [_Task(choice, fold.number, *parts) for choice in choices]

    def work(task: _Task) -> _Outcome:
        # Computing, of this thread: on the clock, a fit also waits for the others that it shares the cores with.
        started = time.thread_time()
        parts = fit(
            task.choice.spec,
            task.choice.params,
            seed=options.seed,
            X=features[task.fit_rows],
            y=dataset.target[task.fit_rows],
            scaling_method=options.scaling_method,
            clip_sigma=options.clip_sigma,
        )
        raw = parts.raw_return(features[task.forecast_rows])
        raw_fit = parts.raw_return(features[task.fit_rows]) if task.number == FINAL else None
        return _Outcome(parts, raw, raw_fit, time.thread_time() - started)

    done: dict[str, dict[int, _Outcome]] = {choice.spec.key: {} for choice in choices}
    failed: set[str] = set()
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
            yield _assemble(dataset, plan, task.choice, options, done.pop(key))


def _assemble(
    dataset: Dataset,
    plan: Plan,
    choice: ModelChoice,
    options: TrainingOptions,
    outcomes: Mapping[int, _Outcome],
) -> ModelResult:
    import numpy as np
    import pandas as pd

    target = dataset.target
    parts_of = {fold.number: rows(dataset.index, fold.validation) for fold in plan.folds}
    slopes = _slopes(plan.folds, {n: (target[part], outcomes[n].raw) for n, part in parts_of.items()})
    final_slope = slopes[FINAL]
    out_of_fold = {n: slopes[n] * outcomes[n].raw for n in parts_of}
    after_first = [n for n in parts_of if n != plan.folds[0].number]
    quantile = conformal_quantile(
        np.concatenate([target[parts_of[n]] - out_of_fold[n] for n in after_first]), options.interval_level
    )
    final = outcomes[FINAL]
    train_part, test_part = rows(dataset.index, plan.train), rows(dataset.index, plan.test)
    assert final.raw_fit is not None
    scored = {
        "train": _forecasts(dataset, train_part, final_slope * final.raw_fit, quantile),
        "test": _forecasts(dataset, test_part, final_slope * final.raw, quantile),
    }
    by_fold = [_forecasts(dataset, parts_of[n], out_of_fold[n], quantile) for n in parts_of]
    word = verdict(
        np.concatenate(
            [
                *(target[parts_of[n]] - out_of_fold[n] for n in after_first),
                target[test_part] - final_slope * final.raw,
            ]
        ),
        np.concatenate([*(target[parts_of[n]] for n in after_first), target[test_part]]),
        dataset.horizon,
        level=options.significance_level,
    )
    fold_scores = tuple(
        FoldScore(
            fold.number,
            fold.train.start,
            fold.train.end,
            fold.validation.start,
            fold.validation.end,
            _length(rows(dataset.index, fold.train)),
            len(scores.actual_price),
            slopes[fold.number],
            METRICS["rmse"].compute(scores),
            METRICS["rmse"].compute(_persistence(scores)),
        )
        for fold, scores in zip(plan.folds, by_fold, strict=True)
    )
    forecaster = Forecaster(
        model_type=choice.spec.key,
        implementation=final.parts.implementation,
        params=dict(choice.params),
        pipeline=dataset.pipeline,
        horizon=dataset.horizon,
        symbol=dataset.symbol,
        max_no_trade_candles=dataset.max_no_trade_candles,
        scaler=final.parts.scaler,
        estimator=final.parts.estimator,
        clip=final.parts.clip,
        shrinkage=final_slope,
        interval_quantile=quantile,
        interval_level=options.interval_level,
        unseen_from=f"{plan.test.start:%Y-%m-%dT%H:%M:%SZ}",
    )
    predictions = pd.concat(
        [
            _frame(dataset, parts_of[n], f"fold_{n}", scores, outcomes[n].raw)
            for n, scores in zip(parts_of, by_fold, strict=True)
        ]
        + [_frame(dataset, test_part, "holdout", scored["test"], final.raw)]
    )
    cv = fold_values(by_fold)
    metrics = summarize(scored["train"], scored["test"], cv)
    metrics |= {
        "baseline_rmse": METRICS["rmse"].compute(_persistence(scored["test"])),
        "dm_p_value": word.p_value,
        "shrinkage": final_slope,
        "n_train_samples": float(_length(train_part)),
        "n_test_samples": float(_length(test_part)),
        "n_features": float(dataset.features.shape[1]),
        "training_time_seconds": sum(outcome.seconds for outcome in outcomes.values()),
        "prediction_latency_ms": _latency_ms(forecaster, dataset),
    }
    importance = forecaster.feature_importance()
    return ModelResult(
        choice,
        final.parts.implementation,
        metrics,
        cv,
        fold_scores,
        word,
        forecaster,
        predictions,
        importance,
    )


def _slopes(folds: Sequence[Fold], pairs: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> dict[int, float]:
    """Shrinkage for each fold (number -> lambda) and, under FINAL, from all folds together."""
    import numpy as np

    def slope(numbers: Sequence[int]) -> float:
        return shrinkage(np.concatenate([pairs[n][0] for n in numbers]), np.concatenate([pairs[n][1] for n in numbers]))

    numbers = [fold.number for fold in folds]
    slopes = {n: slope(numbers[:place]) for place, n in enumerate(numbers) if place}
    slopes[numbers[0]] = slope(numbers[1:])
    slopes[FINAL] = slope(numbers)
    return slopes


def _forecasts(dataset: Dataset, part: slice, forecast_return: np.ndarray, quantile: float) -> Forecasts:
    import numpy as np

    now = dataset.price_now[part]
    return Forecasts(
        price_now=now,
        actual_price=dataset.actual_price[part],
        forecast_price=now * np.exp(forecast_return),
        actual_return=dataset.target[part],
        forecast_return=forecast_return,
        lower_price=now * np.exp(forecast_return - quantile),
        upper_price=now * np.exp(forecast_return + quantile),
    )


def _persistence(scores: Forecasts) -> Forecasts:
    from dataclasses import replace

    return replace(scores, forecast_price=scores.price_now, forecast_return=scores.forecast_return * 0.0)


def _frame(dataset: Dataset, part: slice, name: str, scores: Forecasts, raw: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "part": name,
            "price_now": scores.price_now,
            "actual_price": scores.actual_price,
            "forecast_price": scores.forecast_price,
            "lower_price": scores.lower_price,
            "upper_price": scores.upper_price,
            "actual_return": scores.actual_return,
            "forecast_return": scores.forecast_return,
            "raw_return": raw,
        },
        index=dataset.index[part],
    )


def _latency_ms(forecaster: Forecaster, dataset: Dataset) -> float:
    """Median of a few forecasts of one candle from raw candles, in milliseconds."""
    from statistics import median

    from cryptoml.data.grid import to_grid

    times = []
    for _ in range(5):
        started = time.perf_counter()
        grid = to_grid(dataset.newest_candles, dataset.interval, max_no_trade_candles=dataset.max_no_trade_candles)
        forecaster.forecast(grid)
        times.append(time.perf_counter() - started)
    return 1000 * median(times)


def _length(part: slice) -> int:
    length: int = part.stop - part.start
    return length
