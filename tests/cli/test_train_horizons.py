"""`train --horizons`: one model, one run and one table for several horizons, each as if it were trained alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Project, make_project

QUICK = ("--models", "ridge", "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("horizons"))
    done = project.run("sample-data", "--years", "0.6", "--signal", "0.05", "--seed", "4", "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    return project


@pytest.fixture(scope="module")
def result(trained: Project) -> dict:
    done = trained.run("train", *QUICK, "--horizons", "1,4", "--json")
    assert done.code == 0, done.err
    found: dict = done.json()
    return found


def model_of(result: dict) -> dict:
    return next(one for one in result["models"] if one["model_type"] == "ridge")


def test_each_horizon_has_the_scores_of_a_training_of_its_own(trained: Project, result: dict):
    (further,) = model_of(result)["further"]
    assert further["horizon"] == 4
    alone = trained.run(
        "train", *QUICK, "--no-cache", "--set", "target.prediction_horizon=4", "--set", "registry.model_name=alone",
        "--json",
    )  # fmt: skip
    assert alone.code in (0, 6), alone.err
    expected = model_of(alone.json())["metrics"]
    timed = {"training_time_seconds", "prediction_latency_ms"}
    assert {name: further["metrics"][name] for name in further["metrics"] if name not in timed} == {
        name: expected[name] for name in expected if name not in timed
    }


def test_the_run_has_the_metrics_and_forecasts_of_both(trained: Project, result: dict):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{trained.folder / 'mlflow.db'}")
    row = model_of(result)
    run = client.get_run(row["run_id"])
    assert run.data.metrics["skill"] == row["metrics"]["skill"]
    assert run.data.metrics["horizon_4/skill"] == row["further"][0]["metrics"]["skill"]
    assert run.data.params["further_horizons"] == "[4]"
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    both = [pd.read_csv(root / "data" / name) for name in ("predictions.csv.gz", "predictions_h4.csv.gz")]
    later = [np.log(one["actual_price"] / one["price_now"]) for one in both]
    for one, actual in zip(both, later, strict=True):
        np.testing.assert_allclose(one["actual_return"], actual)
    assert later[1].std() > 1.5 * later[0].std()


def test_forecasts_of_all_registered_horizons_have_their_target_times(trained: Project, result: dict):
    assert result["registered"], result["gate"]
    promoted = trained.run("promote", "v1", "production", "--reason", "first")
    assert promoted.code == 0, promoted.err
    done = trained.run("predict", "--stale-ok", "--last", "3", "--json")
    assert done.code == 0, done.err
    rows = done.json()["forecasts"]
    kept = [1, 4] if not any("4 candles ahead" in one for one in result["gate"]["warnings"]) else [1]
    assert [row["horizon"] for row in rows] == kept * 3
    for row in rows:
        ahead = pd.Timestamp(row["target_time"]) - pd.Timestamp(row["made_at"])
        assert ahead == pd.Timedelta(hours=row["horizon"])
    if kept == [1, 4]:
        one, four = rows[:2]
        assert four["upper_price"] - four["lower_price"] > one["upper_price"] - one["lower_price"]


def test_logged_forecasts_are_scored_by_horizon(trained: Project, result: dict):
    logged = trained.run("predict", "--stale-ok", "--last", "200", "--log", "--model", "v1", "--json")
    assert logged.code == 0, logged.err
    horizons = {row["horizon"] for row in logged.json()["forecasts"]}
    assert logged.json()["logged"] == 200 * len(horizons)
    for horizon in sorted(horizons):
        done = trained.run("monitor", "--model", "v1", "--horizon", str(horizon), "--json")
        assert done.code in (0, 6), done.err
        assert done.json()["scored"] == 200 - horizon
    missing = trained.run("monitor", "--model", "v1", "--horizon", "9")
    assert missing.code == 2
    assert "does not forecast 9 candles ahead" in missing.err


def test_the_stored_model_serves_all_horizons(trained: Project, result: dict):
    from mlflow import MlflowClient

    from cryptoml.models.forecaster import load_forecaster
    from cryptoml.models.serving import ServedForecaster

    run = MlflowClient(f"sqlite:///{trained.folder / 'mlflow.db'}").get_run(model_of(result)["run_id"])
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "models/model"
    forecaster = load_forecaster(folder / "data" / "forecaster")
    served = ServedForecaster(forecaster).predict(pd.read_csv(trained.folder / "data/raw/sim.csv").tail(400))
    assert set(served) == {"timestamp", *forecaster.served_columns}
    signature = (folder / "MLmodel").read_text()
    for name in forecaster.served_columns:
        assert json.dumps(name)[1:-1] in signature


def test_a_horizon_that_says_nothing_is_left_out_of_the_model(trained: Project):
    done = trained.run(
        "train", *QUICK, "--horizons", "1,200", "--set", "registry.model_name=left-out", "--set",
        "split.cross_validation_folds=2", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    shrinkage = model_of(done.json())["further"][0]["metrics"]["shrinkage"]
    notes = [one for one in done.json()["gate"]["warnings"] if "200 candles ahead" in one]
    assert bool(notes) == (shrinkage == 0)
    assert notes, "choose a horizon at which this market says nothing"
    run = model_of(done.json())["run_id"]
    rows = trained.run("predict", "--stale-ok", "--model", run, "--json").json()["forecasts"]
    assert [row["horizon"] for row in rows] == [1]


@pytest.mark.parametrize(("text", "code"), [("6,6", 3), ("0", 3), ("1,x", 3)])
def test_wrong_horizons_are_refused(trained: Project, text: str, code: int):
    done = trained.run("train", *QUICK, "--horizons", text)
    assert done.code == code, done.err
    assert "horizon" in done.err


def test_compare_and_backtest_at_a_further_horizon(trained: Project, result: dict):
    (further,) = model_of(result)["further"]
    run = model_of(result)["run_name"]
    done = trained.run("compare", run, "--horizon", "4", "--backtest", "--significance", "--json")
    assert done.code == 0, done.err
    persistence, row = done.json()["runs"]
    assert persistence["model_type"] == "persistence"
    assert row["params"]["prediction_horizon"] == persistence["params"]["prediction_horizon"] == "4"
    assert row["metrics"] == further["metrics"]
    assert row["verdict"] == further["verdict"]
    (pair,) = [one for one in done.json()["significance"] if {one["better"], one["other"]} == {"persistence", run}]
    assert pair["p_value"] == pytest.approx(further["metrics"]["dm_p_value_holdout"])
    (alone,) = trained.run("backtest", run, "--horizon", "4", "--json").json()["backtests"]
    assert [alone] == done.json()["backtests"]
    (main,) = trained.run("backtest", run, "--json").json()["backtests"]
    assert main["gross_return"] != alone["gross_return"]
    report = trained.folder / "further.html"
    assert trained.run("compare", run, "--horizon", "4", "--html", str(report)).code == 0
    assert report.stat().st_size > 10_000


def test_a_horizon_without_scores_is_refused(trained: Project, result: dict):
    done = trained.run("backtest", model_of(result)["run_name"], "--horizon", "6")
    assert done.code == 2
    assert "no run was scored 6 candles ahead" in done.err
    assert "use one of 1, 4" in done.err
