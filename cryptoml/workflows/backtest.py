"""Backtest the compared runs on their stored hold-out forecasts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cryptoml.config.schema import BacktestSection
from cryptoml.evaluation.backtest import Backtest, TradingRules, backtest
from cryptoml.evaluation.comparison import ComparedRun
from cryptoml.models.zoo import BASELINE
from cryptoml.tracking.runs import search_runs

if TYPE_CHECKING:
    from cryptoml.tracking.store.store import Store


def trading_rules(config: BacktestSection) -> TradingRules:
    """Return the rules of a config."""
    return TradingRules(config.fee_bps, config.slippage_bps, config.threshold, config.short)


def backtests_of(
    rows: Sequence[ComparedRun], rules: TradingRules, n_models: Mapping[str, int], *, seed: int
) -> dict[str, Backtest]:
    """Return run ID -> backtest, of each model with stored forecasts; n_models: number of models by training ID."""
    from cryptoml.data.interval import parse_interval

    found = {}
    for row in rows:
        if row.is_baseline or row.details is None or row.details.predictions is None or row.details.holdout().empty:
            continue
        found[row.run_id] = backtest(
            row.details.holdout(),
            rules,
            horizon=int(row.params["prediction_horizon"]),
            step=parse_interval(row.params["interval"]).timedelta,
            n_models=n_models.get(row.training_id, 1),
            seed=seed,
        )
    return found


def count_models(store: Store, experiment: str, rows: Sequence[ComparedRun]) -> dict[str, int]:
    """Return training ID -> number of its models, without persistence, also of those that are not compared."""
    counts = {}
    for training in {row.training_id for row in rows if not row.is_baseline}:
        if re.fullmatch(r"[\w-]+", training):
            runs = search_runs(store, experiment, query=f"tags.training_id = '{training}'")
            counts[training] = sum(run.tags.get("model_type") != BASELINE for run in runs)
    return counts
