"""Computes the result of a model from its fits: shrinkage, prediction interval, metrics, verdict and forecaster.

Shrinkage is out of fold. The forecasts of a fold are shrunk by what the preceding folds show. The first fold has no
preceding one, so its scores use the following folds, and it is excluded from the verdict.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptoml.evaluation.folds import Fold, Plan, rows
from cryptoml.evaluation.forecasts import Forecasts, IntervalForecasts
from cryptoml.evaluation.metrics import METRICS, fold_values, summarize
from cryptoml.evaluation.shrinkage import shrinkage
from cryptoml.evaluation.significance import Verdict, sums_by_time, verdict_of_losses
from cryptoml.models.forecaster import FittedParts, Forecaster
from cryptoml.models.interval import Interval
from cryptoml.training.intervals import Volatility, interval_forecasts
from cryptoml.training.market_scores import market_scores, relative
from cryptoml.training.results import FINAL, Fit, FoldScore, ModelChoice, ModelResult, TrainingOptions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cryptoml.training.dataset import Dataset


def assemble(
    dataset: Dataset,
    plan: Plan,
    choice: ModelChoice,
    options: TrainingOptions,
    fits: Mapping[int, Fit],
    volatility: Volatility,
) -> ModelResult:
    """Score the fits of one model and build its forecaster; `fits`: fold number or FINAL -> fit."""
    train, holdout = rows(dataset.index, plan.train), rows(dataset.index, plan.test)
    validation = {fold.number: rows(dataset.index, fold.validation) for fold in plan.folds}
    slopes = _slopes(dataset, plan.folds, {n: (part, fits[n].raw_return) for n, part in validation.items()})
    out_of_fold = {n: (part, slopes[n] * fits[n].raw_return) for n, part in validation.items()}
    later = [out_of_fold[fold.number] for fold in plan.folds[1:]]
    final, slope = fits[FINAL], slopes[FINAL]
    assert final.raw_return_in_sample is not None
    assert final.parts is not None
    tested = (holdout, slope * final.raw_return)
    intervals, interval = interval_forecasts(
        dataset, volatility, {**out_of_fold, FINAL: tested}, level=options.interval_level
    )
    scored = {
        "train": _forecasts(dataset, train, slope * final.raw_return_in_sample, None),
        "test": _forecasts(dataset, *tested, intervals[FINAL]),
    }
    by_fold = {n: _forecasts(dataset, *out_of_fold[n], intervals[n]) for n in out_of_fold}
    test = _verdict(dataset, [*later, tested], options)
    forecaster = _forecaster(dataset, plan, choice, final.parts, slope, interval)
    fold_metrics = fold_values([_scored(dataset, one) for one in by_fold.values()])
    frames = [_frame(dataset, validation[n], f"fold_{n}", one, fits[n].raw_return) for n, one in by_fold.items()]
    frames.append(_frame(dataset, holdout, "holdout", scored["test"], final.raw_return))
    return ModelResult(
        choice=choice,
        implementation=final.parts.implementation,
        metrics={
            **summarize(_scored(dataset, scored["train"]), _scored(dataset, scored["test"]), fold_metrics),
            "baseline_rmse": METRICS["rmse"].compute(_persistence(_scored(dataset, scored["test"]))),
            "dm_p_value": test.p_value,
            "dm_p_value_adjusted": test.p_adjusted,
            "dm_p_value_holdout": _verdict(dataset, [tested], options).p_value,
            "shrinkage": slope,
            "n_train_samples": float(_length(train)),
            "n_test_samples": float(_length(holdout)),
            "n_features": float(dataset.features.shape[1]),
            "training_time_seconds": math.fsum(fit.seconds for fit in fits.values()),
            "prediction_latency_ms": _latency_ms(forecaster, dataset),
        },
        fold_metrics=fold_metrics,
        folds=tuple(_fold_score(dataset, fold, by_fold[fold.number], slopes[fold.number]) for fold in plan.folds),
        verdict=test,
        forecaster=forecaster,
        predictions=_concatenated(frames),
        importance=forecaster.feature_importance(),
        markets=market_scores(
            dataset, holdout, scored["test"], [*later, tested],
            level=options.significance_level, n_models=options.n_models,
        ),
    )  # fmt: skip


def _slopes(dataset: Dataset, folds: Sequence[Fold], parts: Mapping[int, tuple[slice, np.ndarray]]) -> dict[int, float]:
    """Return the shrinkage of each fold, by number, and of the final fit, which uses all folds.

    parts: fold number -> rows and raw forecast returns of its validation window.
    """
    import numpy as np

    def slope(numbers: Sequence[int]) -> float:
        return shrinkage(
            np.concatenate([dataset.target[parts[n][0]] for n in numbers]),
            np.concatenate([parts[n][1] for n in numbers]),
            dataset.horizon,
            times=np.concatenate([dataset.index.values[parts[n][0]] for n in numbers]) if dataset.symbols else None,
        )

    numbers = [fold.number for fold in folds]
    slopes = {n: slope(numbers[:index]) for index, n in enumerate(numbers) if index}
    slopes[numbers[0]] = slope(numbers[1:])
    slopes[FINAL] = slope(numbers)
    return slopes


def _actual_and_error(dataset: Dataset, parts: Sequence[tuple[slice, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate actual returns and errors (actual minus forecast) of the parts (rows, forecast returns)."""
    import numpy as np

    actual = np.concatenate([dataset.target[part] for part, _ in parts])
    error = np.concatenate([dataset.target[part] - forecast for part, forecast in parts])
    return actual, error


def _verdict(dataset: Dataset, parts: Sequence[tuple[slice, np.ndarray]], options: TrainingOptions) -> Verdict:
    """Test against persistence, whose error is the actual return."""
    actual, error = _actual_and_error(dataset, parts)
    losses, persistence_losses = error**2, actual**2
    if dataset.symbols:
        import numpy as np

        times = np.concatenate([dataset.index.values[part] for part, _ in parts])
        losses, persistence_losses = sums_by_time(times, losses, persistence_losses)
    return verdict_of_losses(
        losses, persistence_losses, dataset.horizon, level=options.significance_level, n_models=options.n_models
    )


def _scored(dataset: Dataset, forecasts: Forecasts) -> Forecasts:
    """Return what the metrics of a run are computed from: in a pool, prices relative to the price now."""
    return relative(forecasts) if dataset.symbols else forecasts


def _forecasts(
    dataset: Dataset, part: slice, forecast_return: np.ndarray, intervals: IntervalForecasts | None
) -> Forecasts:
    """Return forecasts with prediction intervals; without them, the bounds are the forecast."""
    import numpy as np

    now = dataset.price_now[part]
    lower, upper = intervals.at(intervals.level) if intervals else (forecast_return, forecast_return)
    return Forecasts(
        price_now=now,
        actual_price=dataset.actual_price[part],
        forecast_price=now * np.exp(forecast_return),
        actual_return=dataset.target[part],
        forecast_return=forecast_return,
        lower_price=now * np.exp(lower),
        upper_price=now * np.exp(upper),
        intervals=intervals,
    )


def _persistence(scores: Forecasts) -> Forecasts:
    """Return the forecasts of persistence for the same rows."""
    return replace(scores, forecast_price=scores.price_now, forecast_return=scores.forecast_return * 0.0)


def _forecaster(
    dataset: Dataset, plan: Plan, choice: ModelChoice, parts: FittedParts, shrinkage: float, interval: Interval
) -> Forecaster:
    return Forecaster(
        model_type=choice.spec.key,
        implementation=parts.implementation,
        params=dict(choice.params),
        pipeline=dataset.pipeline,
        horizon=dataset.horizon,
        symbol=dataset.symbol,
        max_no_trade_candles=dataset.max_no_trade_candles,
        scaler=parts.scaler,
        estimator=parts.estimator,
        clip=parts.clip,
        shrinkage=shrinkage,
        interval=interval,
        markets=dataset.symbols,
        unseen_from=f"{plan.test.start:%Y-%m-%dT%H:%M:%SZ}",
    )


def refitted(dataset: Dataset, result: ModelResult, fit: Fit) -> ModelResult:
    """Return a result whose forecaster has the fit on all rows; shrinkage and interval are as evaluated."""
    assert fit.parts is not None
    parts = fit.parts
    first_unseen = dataset.index[-1] + (1 + dataset.horizon) * dataset.interval.timedelta
    forecaster = replace(
        result.forecaster,
        implementation=parts.implementation,
        scaler=parts.scaler,
        estimator=parts.estimator,
        clip=parts.clip,
        unseen_from=f"{first_unseen:%Y-%m-%dT%H:%M:%SZ}",
    )
    return replace(result, forecaster=forecaster, refit_rows=len(dataset.index))


def _fold_score(dataset: Dataset, fold: Fold, forecasts: Forecasts, slope: float) -> FoldScore:
    scores = _scored(dataset, forecasts)
    return FoldScore(
        number=fold.number,
        train_start=fold.train.start,
        train_end=fold.train.end,
        validation_start=fold.validation.start,
        validation_end=fold.validation.end,
        n_train=_length(rows(dataset.index, fold.train)),
        n_validation=len(scores.actual_price),
        shrinkage=slope,
        rmse=METRICS["rmse"].compute(scores),
        baseline_rmse=METRICS["rmse"].compute(_persistence(scores)),
    )


def _frame(dataset: Dataset, part: slice, name: str, scores: Forecasts, raw_return: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    symbols: dict[str, object] = {}
    if dataset.markets is not None:
        symbols["symbol"] = pd.Series(dataset.symbols, dtype="category").take(dataset.markets[part]).array
    return pd.DataFrame(
        {
            **symbols,
            "part": name,
            "price_now": scores.price_now,
            "actual_price": scores.actual_price,
            "forecast_price": scores.forecast_price,
            "lower_price": scores.lower_price,
            "upper_price": scores.upper_price,
            "actual_return": scores.actual_return,
            "forecast_return": scores.forecast_return,
            "raw_return": raw_return,
            **({"expected_size": scores.intervals.size} if scores.intervals else {}),
        },
        index=dataset.index[part],
    )


def _concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames)


def _latency_ms(forecaster: Forecaster, dataset: Dataset) -> float:
    """Return the median time of a forecast from raw candles, in milliseconds."""
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
