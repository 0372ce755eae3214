"""The whole way, by REST alone: candles, gates, features, DVC, training, registry; and the same once more."""

from __future__ import annotations

import subprocess

import pytest

from tests.airflow.conftest import PARAMS, TOKEN, World
from tests.airflow.instance import DagRun


def compared(result: dict) -> dict:
    """All metrics of a training but its times."""
    return {
        row["model_type"]: {
            name: value for name, value in row["metrics"].items() if not name.endswith(("seconds", "ms"))
        }
        for row in result["models"]
    }


def test_candles_become_a_registered_model(world: World, first: DagRun):
    raw = first.xcom("extract_data")
    data = first.xcom("transform_data")
    assert raw == ["data/raw/BTCUSDT_1h.csv"]
    assert data == "data/processed/BTCUSDT_1h.parquet"
    assert len((world.project / raw[0]).read_text().splitlines()) == 2000  # the last candle is not complete
    assert (world.project / data).is_file()
    assert "passed: missing: 0 of 1,999" in first.log("transform_data", 1)
    result = first.xcom("train_model")
    assert result["best"]["model_type"] == "ridge"
    assert (result["registered"], result["stage"]) == (True, "none")


def test_dvc_holds_what_was_trained_on(world: World, first: DagRun):
    version = first.xcom("version_data")
    result = first.xcom("train_model")
    assert result["dataset_version"] == version
    md5, _, revision = version.partition("@")
    data = first.xcom("transform_data")
    pinned = subprocess.run(
        ["git", "show", f"{revision}:{data}.dvc"], cwd=world.project, capture_output=True, text=True, check=True
    )
    assert md5 in pinned.stdout
    (world.project / data).unlink()
    assert world.cryptoml("pull-data", data, "--rev", revision).code == 0
    assert (world.project / data).is_file()


def test_xcom_and_mlflow_agree(world: World, first: DagRun):
    result = first.xcom("train_model")
    runs = {run["run_id"]: run for run in world.runs()}
    best = runs[result["best"]["run_id"]]
    assert best["status"] == "FINISHED"
    assert best["tags"]["training_id"] == result["training_id"]
    assert best["tags"]["dataset_version"] == result["dataset_version"]
    assert best["metrics"]["cv_rmse_mean"] == pytest.approx(result["best"]["cv_rmse_mean"], rel=1e-12)
    # The version is of the first run with this data, config and model.
    registered = runs[world.versions()[result["model_name"], result["version"]]]
    assert registered["metrics"]["cv_rmse_mean"] == best["metrics"]["cv_rmse_mean"]
    assert registered["tags"]["config_hash"] == best["tags"]["config_hash"]
    content = [run["tags"]["dataset_version"].partition("@")[0] for run in (registered, best)]
    assert content[0] == content[1]


def test_a_cleared_run_and_a_second_run_give_the_same_metrics(world: World, first: DagRun):
    before = first.xcom("train_model")
    number = first.task("train_model")["try_number"] + 1
    first.clear()
    first.until("train_model", lambda task: task["try_number"] == number)
    after = first.end("success").xcom("train_model")
    assert after["training_id"] != before["training_id"]
    assert compared(after) == compared(before)
    second = world.airflow.trigger("crypto_training", **PARAMS).end("success").xcom("train_model")
    assert compared(second) == compared(before)
    assert second["dataset_version"] == before["dataset_version"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbols": ["BTC/USDT", "ETH/USDT"]},
        {"symbols": ["$(touch /tmp/x)/USDT"]},
        {"symbols": ["BTC/USDT\n"]},
        {"interval": "1h; id"},
        {"interval": "1h\n"},
        {"models": ["rf", "oracle"]},
        {"config": "../../etc/passwd.yaml"},
        {"config": "--set"},
        {"config": "x.yaml\n"},
    ],
)
def test_parameters_that_do_not_fit_are_refused(world: World, wrong: dict):
    document = {"logical_date": None, "conf": {**PARAMS, **wrong}}
    status, answer = world.airflow.ask("POST", "/dags/crypto_training/dagRuns", document)
    assert (status, next(iter(wrong)) in answer) == (400, True)


def test_the_token_of_the_connection_is_written_nowhere(world: World, first: DagRun):
    rendered = world.airflow.call("GET", f"{first.path}/taskInstances/train_model")["rendered_fields"]
    assert rendered["env"]["CONNECTION_DAGSHUB_TOKEN"] == "***"
    planted = [TOKEN.encode(), b"planted-webhook-path"]
    files = [path for top in (world.project, world.airflow.folder) for path in top.rglob("*") if path.is_file()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in planted)] == []
