"""`training.refit`: the registered model is fitted before the hold-out, or on all candles, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Project, make_project

QUICK = ("--models", "ridge", "--no-cache", "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = make_project(tmp_path_factory.mktemp("refit"))
    done = made.run("sample-data", "--years", "0.5", "--signal", "0.2", "--seed", "4", "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    return made


@pytest.fixture(scope="module")
def versions(project: Project) -> dict[str, dict]:
    found = {}
    for refit in ("none", "full"):
        done = project.run("train", *QUICK, "--set", f"training.refit={refit}", "--json")
        assert done.code == 0, done.err
        found[refit] = next(one for one in done.json()["models"] if one["model_type"] == "ridge")
    return found


def stored(project: Project, model: dict) -> tuple[dict, dict]:
    """Return the tags of the run and the stored facts of its model."""
    from mlflow import MlflowClient

    run = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}").get_run(model["run_id"])
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "models" / "model" / "data" / "forecaster"
    return run.data.tags, json.loads((folder / "forecaster.json").read_text())


def test_by_default_the_registered_fit_is_the_evaluated_one(project: Project, versions: dict):
    tags, facts = stored(project, versions["none"])
    assert tags["fit"] == "before the hold-out"
    candles = pd.read_csv(project.folder / "data" / "raw" / "sim.csv", parse_dates=["timestamp"])["timestamp"]
    share = (candles < pd.Timestamp(facts["unseen_from"])).mean()
    assert share == pytest.approx(0.8, abs=0.02)


def test_the_fit_on_all_candles_has_the_metrics_of_the_evaluated_one(project: Project, versions: dict):
    before, after = versions["none"], versions["full"]
    timed = {"training_time_seconds", "prediction_latency_ms"}
    assert {name: value for name, value in after["metrics"].items() if name not in timed} == {
        name: value for name, value in before["metrics"].items() if name not in timed
    }
    (_, of_before), (tags, of_after) = stored(project, before), stored(project, after)
    assert tags["fit"] == "all candles"
    assert of_after["shrinkage"] == of_before["shrinkage"]
    newest = pd.read_csv(project.folder / "data" / "raw" / "sim.csv", parse_dates=["timestamp"])["timestamp"].iloc[-1]
    assert pd.Timestamp(of_after["unseen_from"]) > newest
    forecasts = [
        project.run("predict", "--model", model["run_id"], "--stale-ok", "--json").json()["forecasts"][0]
        for model in (before, after)
    ]
    assert forecasts[0]["forecast_price"] != forecasts[1]["forecast_price"]


def test_promote_says_that_it_cannot_be_scored(project: Project, versions: dict):
    done = project.run("promote", "v2", "production", "--json")
    assert done.code == 0, done.err
    (note,) = done.json()["warnings"]
    assert note.startswith("fitted on all candles of sim.csv, so it cannot be scored on them")
