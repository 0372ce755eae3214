"""The entries of the metrics table, from which docs/metrics.md is generated, are complete."""

from __future__ import annotations

import pytest

from cryptoml.evaluation.metrics import stored_metrics


@pytest.mark.parametrize("name", stored_metrics())
def test_every_stored_metric_is_documented(name: str) -> None:
    metric = stored_metrics()[name]
    assert metric.title
    assert metric.unit
    assert metric.formula
    assert metric.text(1.0)
    assert metric.text(float("nan")) == "–"
    assert metric.text(None) == ""
    assert (metric.better == "nominal") == bool(metric.nominal)
