"""Prediction intervals of a training: the forecast of volatility for each part of the plan, and the bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptoml.evaluation.folds import Plan, rows
from cryptoml.evaluation.forecasts import IntervalForecasts
from cryptoml.features.volatility import volatility_windows
from cryptoml.models.conformal import MIN_SCORES, RECENT, conformal_quantile, is_symmetric, recent_bounds
from cryptoml.models.interval import PastScores, ScaledInterval, interval_levels, known_scores
from cryptoml.models.volatility import VolatilityModel, fit_volatility
from cryptoml.training.results import FINAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cryptoml.training.dataset import Dataset

    Values = NDArray[np.float64]

# The key of the scores of all markets of a pool.
ALL_MARKETS = ""


@dataclass(frozen=True)
class Volatility:
    """Forecasts of the size of the return, the same for all models.

    model: fitted on the training part. by_part: expected absolute log return by fold number, for its validation window,
    from a fit on its training window; and for the hold-out, under FINAL.
    """

    model: VolatilityModel
    by_part: Mapping[int, Values]


def fit_volatilities(dataset: Dataset, plan: Plan) -> Volatility:
    """Fit the volatility model on the training window of each fold and on the training part."""
    windows = volatility_windows(dataset.pipeline.warmup_candles)
    parts = [(fold.number, fold.train, fold.validation) for fold in plan.folds] + [(FINAL, plan.train, plan.test)]
    by_part = {}
    for number, train, forecast in parts:
        fitted, used = rows(dataset.index, train), rows(dataset.index, forecast)
        model = fit_volatility(dataset.volatility[fitted], dataset.target[fitted], windows, dataset.interval.seconds)
        by_part[number] = model.predict(dataset.volatility[used])
    return Volatility(model, by_part)


@dataclass(frozen=True)
class _Scored:
    """The rows of consecutive parts, in time order: errors of the return, expected sizes, times and markets."""

    error: Values
    size: Values
    opened_s: NDArray[np.int64]
    market: NDArray[np.int16] | None

    def of_market(self, number: int | None) -> NDArray[np.bool_]:
        """Return which rows are of a market; all for None."""
        import numpy as np

        if number is None or self.market is None:
            return np.ones(len(self.error), dtype=bool)
        rows: NDArray[np.bool_] = self.market == number
        return rows


def interval_forecasts(
    dataset: Dataset, volatility: Volatility, forecasts: Mapping[int, tuple[slice, Values]], *, level: float
) -> tuple[dict[int, IntervalForecasts], ScaledInterval]:
    """Return the intervals of each part, and the interval part of the forecaster.

    forecasts: by fold number in the order of time, then FINAL for the hold-out: rows and forecast returns. The bounds
    of a row depend on forecasts whose outcome was known by then; in the first MIN_SCORES rows of the folds, which are
    not scored, on those of all folds.
    """
    import numpy as np

    levels = interval_levels(level)
    scored = _scored(dataset, volatility, forecasts)
    n_folds = len(scored.error) - len(forecasts[FINAL][1])
    later = len(next(iter(forecasts.values()))[1])
    scores = scored.error / scored.size
    symmetric = is_symmetric(scores[later:n_folds], dataset.horizon)
    lower, upper = np.empty((len(scores), len(levels))), np.empty((len(scores), len(levels)))
    constant = np.empty(len(scores))
    # The outcome of the last `horizon` forecasts is not known at the last row.
    kept, keep = {}, RECENT + dataset.horizon
    place = np.arange(len(scores))
    in_folds, in_later = place < n_folds, (place >= later) & (place < n_folds)
    for number, symbol in _markets(dataset):
        own = scored.of_market(number)
        # A market with few forecasts has the interval of the pool.
        source = own if np.sum(own & in_folds) >= MIN_SCORES else scored.of_market(None)
        for asked, among in ((own & in_folds, source & in_folds), (own & ~in_folds, source)):
            known = known_scores(scored.opened_s[among], scored.opened_s[asked], _horizon_s(dataset))
            low, high = recent_bounds(scores[among], known, levels, symmetric=symmetric)
            size = scored.size[asked, np.newaxis]
            lower[asked], upper[asked] = low * size, high * size
        width_from = own & in_later if np.sum(own & in_later) >= MIN_SCORES else in_later
        constant[own] = conformal_quantile(scored.error[width_from], level)
        kept[symbol] = PastScores(scored.opened_s[source][-keep:], scores[source][-keep:])
    if dataset.symbols:
        kept[ALL_MARKETS] = PastScores(scored.opened_s[-keep:], scores[-keep:])
    found, start = {}, 0
    for number, (_, forecast) in forecasts.items():
        part = slice(start, start + len(forecast))
        start = part.stop
        found[number] = IntervalForecasts(
            levels=levels,
            level=level,
            lower=forecast[:, np.newaxis] + lower[part],
            upper=forecast[:, np.newaxis] + upper[part],
            size=scored.size[part],
            constant=constant[part],
            horizon=dataset.horizon,
        )
    return found, ScaledInterval(volatility.model, kept, symmetric, level)


def _scored(dataset: Dataset, volatility: Volatility, forecasts: Mapping[int, tuple[slice, Values]]) -> _Scored:
    import numpy as np

    parts = [part for part, _ in forecasts.values()]
    seconds = dataset.index.to_numpy(dtype="datetime64[s]").astype(np.int64)
    return _Scored(
        error=np.concatenate([dataset.target[part] - forecast for part, forecast in forecasts.values()]),
        size=np.concatenate([volatility.by_part[number] for number in forecasts]),
        opened_s=np.concatenate([seconds[part] for part in parts]),
        market=None if dataset.markets is None else np.concatenate([dataset.markets[part] for part in parts]),
    )


def _markets(dataset: Dataset) -> Sequence[tuple[int | None, str]]:
    return list(enumerate(dataset.symbols)) if dataset.symbols else [(None, dataset.symbol)]


def _horizon_s(dataset: Dataset) -> int:
    return dataset.horizon * dataset.interval.seconds
