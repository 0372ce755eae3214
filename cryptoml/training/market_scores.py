"""Prediction intervals and scores of a pooled model by market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from cryptoml.evaluation.metrics import METRICS, Forecasts
from cryptoml.evaluation.shrinkage import conformal_quantile
from cryptoml.evaluation.significance import verdict
from cryptoml.training.results import MarketScore

if TYPE_CHECKING:
    import numpy as np

    from cryptoml.training.dataset import Dataset

# A market with fewer out-of-fold forecasts gets the interval of the pool.
MIN_FORECASTS = 100


def market_quantiles(
    dataset: Dataset, parts: Sequence[slice], errors: np.ndarray, level: float, pooled: float
) -> dict[str, float]:
    """Return the half-width of the prediction interval by symbol, in log return; empty for one market.

    errors: out-of-fold errors of the log return, for the rows of `parts`. pooled: the half-width over all markets.
    """
    import numpy as np

    if dataset.markets is None:
        return {}
    markets = np.concatenate([dataset.markets[part] for part in parts])
    found = {}
    for number, symbol in enumerate(dataset.symbols):
        own = errors[markets == number]
        found[symbol] = conformal_quantile(own, level) if len(own) >= MIN_FORECASTS else pooled
    return found


def row_quantiles(dataset: Dataset, by_market: Mapping[str, float], pooled: float) -> np.ndarray:
    """Return the half-width of the prediction interval of each row."""
    import numpy as np

    if dataset.markets is None:
        return np.full(len(dataset.target), pooled)
    widths: np.ndarray = np.array([by_market[symbol] for symbol in dataset.symbols])[dataset.markets]
    return widths


def relative(forecasts: Forecasts) -> Forecasts:
    """Return forecasts with all prices relative to the price now, comparable between markets."""
    prices = ("actual_price", "forecast_price", "lower_price", "upper_price", "price_now")
    now = forecasts.price_now
    return replace(forecasts, **{name: getattr(forecasts, name) / now for name in prices})


def market_scores(
    dataset: Dataset,
    holdout: slice,
    forecasts: Forecasts,
    tested: Sequence[tuple[slice, np.ndarray]],
    *,
    level: float,
) -> tuple[MarketScore, ...]:
    """Return the scores of each market with rows in the hold-out; empty for one market.

    forecasts: of the hold-out. tested: rows and forecast returns that the verdict is based on, in time order.
    """
    import numpy as np

    if dataset.markets is None:
        return ()
    markets = np.concatenate([dataset.markets[part] for part, _ in tested])
    actual = np.concatenate([dataset.target[part] for part, _ in tested])
    error = actual - np.concatenate([forecast for _, forecast in tested])
    scores = []
    for number, symbol in enumerate(dataset.symbols):
        rows = dataset.markets[holdout] == number
        if not rows.any():
            continue
        own = Forecasts(**{field.name: getattr(forecasts, field.name)[rows] for field in fields(forecasts)})
        mine = markets == number
        scores.append(
            MarketScore(
                symbol=symbol,
                n_test_samples=int(rows.sum()),
                skill=METRICS["skill"].compute(own),
                directional_accuracy=METRICS["directional_accuracy"].compute(own),
                interval_coverage=METRICS["interval_coverage"].compute(own),
                verdict=verdict(error[mine], actual[mine], dataset.horizon, level=level),
            )
        )
    return tuple(scores)
