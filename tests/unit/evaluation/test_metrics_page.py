"""docs/metrics.md is made of the table of metrics, and each entry of that table is complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cryptoml.evaluation.metrics import FIGURES, METRICS, StoredMetric, stored_metrics

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
BEST = {"lower": "lowest", "higher": "highest", "none": "–"}
HEAD = """# Metrics

Every number that a run stores in MLflow, by its name there. All of them can be given to `cryptoml compare --sort`,
which lists the best value first (the lowest, where no value is better than another). `cryptoml compare --json` and
`--csv` hold them all; tables show the main ones.

Price errors are in the quote currency. Shares are stored as fractions (0.01 is shown as 1 %). A skill or an R2 whose
baseline makes no error is not defined: it is stored as NaN, null in JSON, and shown as –.

`cv_NAME_mean` and `cv_NAME_std` are the mean and the sample standard deviation over the folds, `cv_NAME` has a step
for each fold (a search returns the last one), `test_NAME` is computed on the hold-out, `train_NAME` on the training
part. Metrics without a prefix are computed on the hold-out. The model of a training is chosen by
`cv_rmse_mean`.
"""


def reference() -> str:
    """The page."""
    lines = [HEAD, "| stored as | title | unit | best | formula or source |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        names = ", ".join(f"`{stored.name}`" for stored in metric.stored())
        lines.append(f"| {names} | {_facts(metric)} |")
    lines += [f"| `{figure.name}` | {_facts(figure)} |" for figure in FIGURES.values()]
    return "\n".join(lines) + "\n"


def _facts(metric: StoredMetric) -> str:
    best = f"nearest to `{metric.nominal}`" if metric.better == "nominal" else BEST[metric.better]
    return " | ".join([metric.title, metric.unit, best, metric.formula])


def test_the_page_has_not_drifted() -> None:
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(reference(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == reference(), "run it again with UPDATE_DOCS=1"


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
