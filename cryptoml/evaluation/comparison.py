"""Runs side by side: which are comparable, in which order, what is best and what differs. Pure; no store."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.metrics import StoredMetric, stored_metrics

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.evaluation.pairwise_tests import Pair

# What must be the same for two scores to mean the same.
FAIR_TAGS = ("dataset_version",)
FAIR_PARAMS = (
    "symbol", "interval", "target_column", "prediction_horizon", "train_test_split_ratio", "cross_validation_folds",
    "gap_candles", "start_date", "end_date",
)  # fmt: skip
FairKey = tuple[str, ...]


@dataclass(frozen=True)
class RunDetails:
    """predictions: as `ModelResult.predictions`, or None where the run has none.

    folds: as training_metadata.json has them, in order of time. importance: feature -> share, empty where none.
    """

    predictions: pd.DataFrame | None
    folds: tuple[Mapping[str, Any], ...]
    importance: Mapping[str, float]

    def holdout(self) -> pd.DataFrame:
        """The forecasts of the hold-out."""
        assert self.predictions is not None
        return self.predictions[self.predictions["part"] == "holdout"]

    def holdout_losses(self) -> pd.Series[float]:
        """Squared errors of the log return on the hold-out, by time."""
        rows = self.holdout()
        losses: pd.Series[float] = (rows["actual_return"] - rows["forecast_return"]) ** 2
        return losses


@dataclass(frozen=True)
class ComparedRun:
    """A run of the comparison; params, metrics and tags as MLflow has them.

    is_baseline: whether it is persistence. comparable: whether its scores mean the same as those of the others.
    places: where it is in the registry, such as "v3 production". details: what its artifacts hold, where asked for.
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
        """The model's key; empty for a run of another program."""
        return self.tags.get("model_type", "")

    @property
    def verdict(self) -> str:
        """How it stands against persistence, or the run's status where it has no verdict; empty for persistence."""
        return "" if self.is_baseline else self.tags.get("verdict", self.status.lower())

    def value(self, metric: StoredMetric) -> float | None:
        """The stored value; None where the run has none or where it says nothing about persistence."""
        if self.is_baseline and not metric.of_persistence:
            return None
        return self.metrics.get(metric.name)


@dataclass(frozen=True)
class RunComparison:
    """Runs, persistence first and then by the sort metric; those without a value last.

    best: metric -> ids of the runs that have its best value. differing: parameter -> run id -> value. level:
    significance level of `pairs`.
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

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        return {
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "sort": self.sort,
            "runs": [_document(one) for one in self.runs],
            "best": {metric: sorted(ids) for metric, ids in self.best.items()},
            "differing_params": {name: dict(values) for name, values in self.differing.items()},
            "significance_level": self.level,
            "significance": [vars(pair) for pair in self.pairs],
            "notes": list(self.notes),
        }


def fair_key(params: Mapping[str, str], tags: Mapping[str, str]) -> FairKey:
    """What two runs must have in common to be comparable."""
    return (*(tags.get(name, "") for name in FAIR_TAGS), *(params.get(name, "") for name in FAIR_PARAMS))


def most_common_key(keys: Sequence[FairKey]) -> FairKey:
    """The key that most runs have; the first one in a tie."""
    return Counter(keys).most_common(1)[0][0]


def difference(keys: Sequence[FairKey]) -> str:
    """What keeps runs apart, as "name: value (count), ..."."""
    parts = []
    for place, name in enumerate((*FAIR_TAGS, *FAIR_PARAMS)):
        counts = Counter(key[place] for key in keys)
        if len(counts) > 1:
            values = ", ".join(f"{value[:24] or 'none'} ({count})" for value, count in counts.items())
            parts.append(f"{name}: {values}")
    return "; ".join(parts)


def ranked(rows: Sequence[ComparedRun], sort: str) -> list[ComparedRun]:
    """Persistence first, then the comparable runs from best to worst, the others, and those without a value."""
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
    """Metric -> the runs with its best value among comparable models; persistence is what they are held against."""
    best = {}
    rivals = [row for row in rows if row.comparable and not row.is_baseline]
    for name, metric in stored_metrics().items():
        losses = {row.run_id: metric.loss(row.metrics.get(name, math.nan), row.params) for row in rivals}
        known = {run_id: loss for run_id, loss in losses.items() if math.isfinite(loss)}
        if known and metric.better != "none":
            least = min(known.values())
            best[name] = frozenset(run_id for run_id, loss in known.items() if loss == least)
    return best


def differing_params(rows: Sequence[ComparedRun]) -> dict[str, dict[str, str]]:
    """The parameters that have more than one value among the runs that have them."""
    found = {}
    for name in sorted({name for row in rows for name in row.params}):
        values = {row.run_id: row.params[name] for row in rows if name in row.params}
        if len(set(values.values())) > 1:
            found[name] = values
    return found


def _document(row: ComparedRun) -> dict[str, Any]:
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
