"""The table of models that `cryptoml train` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptoml.evaluation.stored_metric import StoredMetric
    from cryptoml.reports.tables import Column
    from cryptoml.workflows.training.results import ModelRow, TrainResult


def result_columns(result: TrainResult) -> list[Column]:
    """Return a row for each model; the best one has an asterisk."""
    from cryptoml.reports.tables import Column, metric_columns

    best = result.best.model_type if result.best else ""
    names = [f"{row.model_type} *" if row.model_type == best else row.model_type for row in result.models]
    return [
        Column("model", names, align="left"),
        *metric_columns(result.models, value=_value, verdict=_verdict),
    ]


def _verdict(row: ModelRow) -> str:
    if row.error:
        return "failed"
    return "" if row.is_baseline else str(row.verdict)


def _value(row: ModelRow, metric: StoredMetric) -> float | None:
    """Return the stored value; None for a failed model, or for persistence if the metric is not defined for it."""
    if row.is_baseline and not metric.of_persistence:
        return None
    return (row.metrics or {}).get(metric.name)
