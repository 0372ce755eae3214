"""The table of models that `cryptoml train` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptoml.evaluation.stored_metric import StoredMetric
    from cryptoml.reports.tables import Column
    from cryptoml.workflows.training.results import ModelRow, TrainResult


@dataclass(frozen=True)
class _Row:
    """A model at one horizon."""

    model: ModelRow
    name: str
    horizon: str
    metrics: Mapping[str, float]
    verdict: str


def result_columns(result: TrainResult) -> list[Column]:
    """Return a row for each model and horizon; the best model has an asterisk."""
    from cryptoml.reports.tables import Column, metric_columns

    rows = [row for model in result.models for row in _rows(model, result)]
    horizons = [row.horizon for row in rows]
    return [
        Column("model", [row.name for row in rows], align="left"),
        *([Column("horizon", horizons)] if any(horizons) else []),
        *metric_columns(rows, value=_value, verdict=lambda row: row.verdict),
    ]


def _rows(model: ModelRow, result: TrainResult) -> Iterator[_Row]:
    is_best = result.best is not None and model.model_type == result.best.model_type
    horizon = str(result.horizon) if model.further else ""
    verdict = "failed" if model.error else "" if model.is_baseline else str(model.verdict)
    yield _Row(model, f"{model.model_type} *" if is_best else model.model_type, horizon, model.metrics or {}, verdict)
    for one in model.further:
        yield _Row(model, "", str(one.horizon), one.metrics, "" if model.is_baseline else one.verdict)


def _value(row: _Row, metric: StoredMetric) -> float | None:
    """Return the stored value; None for a failed model, or for persistence if the metric is not defined for it."""
    if row.model.is_baseline and not metric.of_persistence:
        return None
    return row.metrics.get(metric.name)
