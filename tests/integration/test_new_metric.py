"""One entry in METRICS is all that a new metric needs: it is trained, stored, shown, sorted by and documented."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cryptoml.evaluation import metrics
from tests.conftest import make_project
from tools.reference import metrics_page

# The command with one more metric.
ENTRY = """
from cryptoml.evaluation.metrics import METRICS
from cryptoml.evaluation.stored_metric import Metric
METRICS["drift"] = Metric(
    name="drift", title="drift sum", unit="price", better="higher", formula="sum(actual - forecast)",
    cross_validated=True, compute=lambda one: float((one.actual_price - one.forecast_price).sum()),
)
"""
COMMAND = f"{ENTRY}\nfrom cryptoml.cli.app import main\nmain()"


def test_one_entry_adds_a_metric_everywhere(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    assert project.run("sample-data", "--years", 0.2, "--seed", 3, "-o", "data/raw/sim.csv").code == 0

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=project.folder, env=dict(project.environ), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    options = ("split.cross_validation_folds=2", "gate.min_skill=-1", "tracking.profile_report=false",
               "registry.register_best=false")  # fmt: skip
    train = ("train", "--models", "ridge,gbm", *(part for option in options for part in ("--set", option)))
    assert "test drift sum" in run(*train)
    stored = {"cv_drift", "cv_drift_mean", "cv_drift_std", "test_drift", "train_drift"}
    document = run("compare", "--sort", "test_drift", "--csv", "runs.csv", "--html", "r.html", "--json")
    compared = json.loads(document)["result"]
    for one in compared["runs"]:
        assert stored <= set(one["metrics"])
    drifts = [one["metrics"]["test_drift"] for one in compared["runs"][1:]]
    assert drifts == sorted(drifts, reverse=True)
    assert compared["best"]["test_drift"] == [compared["runs"][1]["run_id"]]
    assert stored <= set(pd.read_csv(project.folder / "runs.csv").columns)
    report = (project.folder / "r.html").read_text(encoding="utf-8")
    assert '<option value="test_drift">test drift sum</option>' in report
    assert report.count("test drift sum</button>") == 1


def test_the_page_of_metrics_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = metrics.Metric(
        name="drift", title="drift sum", unit="price", better="none", formula="sum(errors)", compute=lambda one: 0.0
    )
    monkeypatch.setitem(metrics.METRICS, "drift", extra)
    assert "| `drift` | drift sum | price | – | sum(errors) |" in metrics_page()
