"""Each entry of the table of metrics is complete; docs/metrics.md is generated from it."""

from __future__ import annotations

import pytest

from cryptoml.evaluation.metrics import stored_metrics


@pytest.mark.parametrize("name", stored_metrics())
def test_every_stored_metric_says_what_it_is(name: str) -> None:
    metric = stored_metrics()[name]
    assert metric.title
    assert metric.unit
    assert metric.formula
    assert metric.text(1.0)
    assert metric.text(float("nan")) == "–"
    assert metric.text(None) == ""
    assert (metric.better == "nominal") == bool(metric.nominal)
