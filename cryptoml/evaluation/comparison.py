"""The comparison of runs: comparability, ranking, best values and differing parameters; accesses no store."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.metrics import stored_metrics, stored_value
from cryptoml.evaluation.significance import sums_by_time
from cryptoml.evaluation.stored_metric import StoredMetric

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.backtest import Backtest
    from cryptoml.evaluation.pairwise_tests import Pair

# Scores are comparable if all of these are equal.
COMPARABLE_TAGS = ("dataset_version",)
COMPARABLE_PARAMS = (
    "symbol", "interval", "target_column", "prediction_horizon", "train_test_split_ratio", "cross_validation_folds",
    "gap_candles", "start_date", "end_date", "markets",
)  # fmt: skip
ComparabilityKey = tuple[str, ...]


@dataclass(frozen=True)
class RunDetails:
    """The artifacts of a run that the report shows.

    predictions: as in `ModelResult.predictions`, None if missing. folds: as in training_metadata.json, in time order.
    importance: feature -> share, may be empty.
    """

    predictions: pd.DataFrame | None
    folds: tuple[Mapping[str, Any], ...]
    importance: Mapping[str, float]

    def holdout(self) -> pd.DataFrame:
        """Return the forecasts of the hold-out."""
        assert self.predictions is not None
        return self.predictions[self.predictions["part"] == "holdout"]

    def holdout_losses(self, *, of_persistence: bool = False) -> pd.Series[float]:
        """Return the squared errors of the log return on the hold-out, by time; of a pool, as in its verdict.

        of_persistence: those of the forecast "no change" instead.
        """
        rows = self.holdout()
        forecast = 0.0 if of_persistence else rows["forecast_return"]
        losses: pd.Series[float] = (rows["actual_return"] - forecast) ** 2
        if "symbol" not in rows:
            return losses
        import pandas as pd

        (sums,) = sums_by_time(rows.index.values, losses.to_numpy())
        return pd.Series(sums, index=rows.index.unique())


@dataclass(frozen=True)
class ComparedRun:
    """A run of the comparison; params, metrics and tags as in MLflow.

    is_baseline: whether it is persistence. comparable: whether its scores are comparable with those of the others.
    places: its model versions, such as "v3 production". details: its artifacts, loaded for the report only.
    """

    run_id: str
    name: str
    status: str
    start_time_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    is_baseline: bool
    comparable: bool = True
    places: tuple[str, ...] = ()
    details: RunDetails | None = None

    @property
    def model_type(self) -> str:
        """The key of the model; empty for a run of another program."""
        return self.tags.get("model_type", "")

    @property
    def training_id(self) -> str:
        """The training of the run; empty for a run of another program."""
        return self.tags.get("training_id", "")

    @property
    def verdict(self) -> str:
        """The verdict against persistence, or the run's status without a verdict; empty for persistence."""
        return "" if self.is_baseline else self.tags.get("verdict", self.status.lower())

    def value(self, metric: StoredMetric) -> float | None:
        """Return the stored value; None if there is none, or for persistence if the metric is not defined for it."""
        if self.is_baseline and not metric.of_persistence:
            return None
        return stored_value(self.metrics, metric.name)


@dataclass(frozen=True)
class RunComparison:
    """Runs: persistence first, then by the sort metric; those without a value last.

    best: metric -> IDs of the runs with the best value. differing: parameter -> run ID -> value. level: significance
    level of `pairs`. backtests: run ID -> backtest, in the order of `runs`; may be empty.
    """

    experiment: str
    tracking_uri: str
    sort: str
    runs: tuple[ComparedRun, ...]
    best: Mapping[str, frozenset[str]]
    differing: Mapping[str, Mapping[str, str]]
    pairs: tuple[Pair, ...]
    level: float
    notes: tuple[str, ...]
    backtests: Mapping[str, Backtest] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the `result` of --json."""
        return {
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "sort": self.sort,
            "runs": [_run_document(run) for run in self.runs],
            "best": {metric: sorted(ids) for metric, ids in self.best.items()},
            "differing_params": {name: dict(values) for name, values in self.differing.items()},
            "significance_level": self.level,
            "significance": [vars(pair) for pair in self.pairs],
            "backtests": [self.backtest_document(run) for run in self.runs if run.run_id in self.backtests],
            "notes": list(self.notes),
        }

    def backtest_document(self, run: ComparedRun) -> dict[str, Any]:
        """Return the backtest of a run for --json."""
        test = self.backtests[run.run_id]
        return {
            "run_id": run.run_id,
            "run_name": run.name,
            "n_trades": test.n_trades,
            "net_return": test.net_return,
            "gross_return": test.gross_return,
            "sharpe": test.sharpe.value,
            "sharpe_standard_error": test.sharpe.standard_error,
            "deflated_sharpe": test.sharpe.deflated,
            "max_drawdown": test.max_drawdown,
            "turnover": test.turnover,
            "exposure": test.exposure,
            "break_even_fee_bps": test.break_even_fee_bps,
            "random_median": test.random_median,
            "random_high": test.random_high,
            "p_random": test.p_random,
            "buy_and_hold": test.hold_return,
        }


def comparability_key(params: Mapping[str, str], tags: Mapping[str, str]) -> ComparabilityKey:
    """Return the values that must be equal for runs to be comparable."""
    return (*(tags.get(name, "") for name in COMPARABLE_TAGS), *(params.get(name, "") for name in COMPARABLE_PARAMS))


def most_common_key(keys: Sequence[ComparabilityKey]) -> ComparabilityKey:
    """Return the key that most runs have; in a tie, the first one."""
    return Counter(keys).most_common(1)[0][0]


def difference(keys: Sequence[ComparabilityKey]) -> str:
    """Describe the differences between keys as "name: value (count), ..."."""
    parts = []
    for index, name in enumerate((*COMPARABLE_TAGS, *COMPARABLE_PARAMS)):
        counts = Counter(key[index] for key in keys)
        if len(counts) > 1:
            values = ", ".join(f"{value[:24] or 'none'} ({count})" for value, count in counts.items())
            parts.append(f"{name}: {values}")
    return "; ".join(parts)


def ranked(rows: Sequence[ComparedRun], sort: str) -> list[ComparedRun]:
    """Sort runs: persistence, comparable runs from best to worst, other runs, runs without a value."""
    metric = stored_metrics()[sort]

    def order(row: ComparedRun) -> tuple[int, float, str]:
        if row.is_baseline and row.comparable:
            return (0, 0.0, "")
        loss = metric.loss(row.metrics.get(sort, math.nan), row.params)
        if math.isnan(loss):
            return (3, 0.0, row.name)
        return (1 if row.comparable else 2, loss, row.name)

    return sorted(rows, key=order)


def best_of(rows: Sequence[ComparedRun]) -> dict[str, frozenset[str]]:
    """Return metric -> IDs of the runs with the best value, among comparable models except persistence."""
    best = {}
    candidates = [row for row in rows if row.comparable and not row.is_baseline]
    for name, metric in stored_metrics().items():
        losses = {row.run_id: metric.loss(row.metrics.get(name, math.nan), row.params) for row in candidates}
        finite = {run_id: loss for run_id, loss in losses.items() if math.isfinite(loss)}
        if finite and metric.better != "none":
            lowest = min(finite.values())
            best[name] = frozenset(run_id for run_id, loss in finite.items() if loss == lowest)
    return best


def differing_params(rows: Sequence[ComparedRun]) -> dict[str, dict[str, str]]:
    """Return the parameters whose values differ: parameter -> run ID -> value."""
    differing = {}
    for name in sorted({name for row in rows for name in row.params}):
        values = {row.run_id: row.params[name] for row in rows if name in row.params}
        if len(set(values.values())) > 1:
            differing[name] = values
    return differing


def _run_document(row: ComparedRun) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "run_name": row.name,
        "model_type": row.tags.get("model_type"),
        "status": row.status,
        "comparable": row.comparable,
        "registered": list(row.places),
        "verdict": row.tags.get("verdict"),
        "dataset_version": row.tags.get("dataset_version"),
        "training_id": row.tags.get("training_id"),
        "start_time_ms": row.start_time_ms,
        "metrics": dict(row.metrics),
        "params": dict(row.params),
    }
