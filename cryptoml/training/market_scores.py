"""Scores of a pooled model by market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptoml.evaluation.forecasts import Forecasts
from cryptoml.evaluation.metrics import METRICS
from cryptoml.evaluation.significance import verdict
from cryptoml.training.results import MarketScore

if TYPE_CHECKING:
    import numpy as np

    from cryptoml.training.dataset import Dataset


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
    n_models: int,
) -> tuple[MarketScore, ...]:
    """Return the scores of each market with rows in the hold-out; empty for one market.

    forecasts: of the hold-out. tested: rows and forecast returns that the verdict is based on, in time order.
    n_models: as in `verdict`.
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
        own = forecasts.take(rows)
        mine = markets == number
        scores.append(
            MarketScore(
                symbol=symbol,
                n_test_samples=int(rows.sum()),
                skill=METRICS["skill"].compute(own),
                directional_accuracy=METRICS["directional_accuracy"].compute(own),
                interval_coverage=METRICS["interval_coverage"].compute(own),
                verdict=verdict(error[mine], actual[mine], dataset.horizon, level=level, n_models=n_models),
            )
        )
    return tuple(scores)
