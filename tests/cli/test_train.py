"""`cryptoml train`: the contents of the store, the result and the exit codes."""

from __future__ import annotations

import csv
import gzip
import json
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from cryptoml.data.cleaning.quality import QualityReport
from tests.conftest import REPOSITORY, Done, Project, make_project

SMALL = (
    "--set",
    "models.rf.n_estimators=20",
    "--set",
    "models.gbm.n_estimators=20",
    "--set",
    "models.xgb.n_estimators=20",
)
QUICK = (*SMALL, "--set", "split.cross_validation_folds=3", "--set", "tracking.profile_report=false")

PARAMS = {
    "prediction_horizon", "lag_windows", "rolling_windows", "train_test_split_ratio", "cross_validation_folds",
    "start_date", "end_date", "random_seed", "scaling_method", "target_column", "interval", "symbol",
}  # fmt: skip
METRICS = {
    *(f"{part}_{name}" for part in ("train", "test", "cv") for name in ("rmse", "mae", "mape", "r2_score")),
    "cv_rmse_mean", "cv_rmse_std", "baseline_rmse", "skill", "directional_accuracy", "dm_p_value", "shrinkage",
    "training_time_seconds", "prediction_latency_ms", "n_train_samples", "n_test_samples", "n_features",
}  # fmt: skip
TAGS = {
    "model_type", "status", "dataset_version", "author", "purpose", "training_id", "git_commit", "config_hash",
    "verdict", "implementation",
}  # fmt: skip
ARTIFACTS = {"data/predictions.csv.gz", "metadata/training_metadata.json"}
MODEL_ARTIFACTS = {
    f"models/model/{name}"
    for name in (
        "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "cryptoml.zip",
        "data/forecaster/forecaster.json",
    )
}  # fmt: skip
MOST_ARTIFACTS = 14
PLOTS = {"actual_vs_predicted", "residuals", "folds"}


def artifacts_of(run) -> Path:
    """Return the folder of a run's artifacts."""
    return Path(run.info.artifact_uri.removeprefix("file://"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Project, Done]:
    project = make_project(tmp_path_factory.mktemp("trained"))
    made = project.run("sample-data", "--years", 0.3, "--signal", 0.05, "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    assert "SIMULATED" in made.out
    done = project.run(
        "train", "--models", "rf,gbm,ridge,xgb", *SMALL, "--set", "split.cross_validation_folds=3", "--json",
        environ={"CRYPTOML_MODELS__RIDGE__ALPHA": "500"},
    )  # fmt: skip
    return project, done


@pytest.fixture(scope="module")
def runs(trained):
    """The runs in the store, after the profile report was added."""
    from mlflow import MlflowClient

    project, _ = trained
    client = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("crypto-price-prediction")
    deadline = time.monotonic() + 180
    while True:
        found = client.search_runs([experiment.experiment_id])
        if any(artifacts_of(run).joinpath("data/profile_report.html").is_file() for run in found):
            return client, found
        assert time.monotonic() < deadline, "the profile report did not arrive"
        time.sleep(1)


def test_the_result_is_single_line_json(trained):
    project, done = trained
    assert done.code == 0, done.err
    assert len(done.out.strip().splitlines()) == 1
    result = done.json()
    assert result["experiment"] == "crypto-price-prediction"
    assert result["tracking_uri"] == f"sqlite:///{project.folder / 'mlflow.db'}"
    assert result["dataset_version"].startswith("untracked:")
    assert result["registered"] is True
    assert (result["model_name"], result["version"], result["stage"]) == ("crypto-price-predictor", "1", "none")
    assert result["gate"] == {
        "passed": True, "reasons": [], "warnings": result["gate"]["warnings"], "alternative": None,
    }  # fmt: skip
    assert [one["model_type"] for one in result["models"]] == ["persistence", "rf", "gbm", "ridge", "xgb"]
    best = min(result["models"][1:], key=lambda one: one["metrics"]["cv_rmse_mean"])
    assert result["best"]["model_type"] == best["model_type"]
    assert result["best"]["run_id"] == best["run_id"]
    assert set(result["best"]) == {"run_id", "model_type", "cv_rmse_mean", "test_rmse", "skill", "verdict"}


def test_every_run_has_the_documented_contents(trained, runs):
    client, found = runs
    assert len(found) == 5
    for run in found:
        key = run.data.tags["model_type"]
        assert run.info.status == "FINISHED"
        assert run.info.run_name.split("_20")[0] in {
            "persistence", "random_forest", "gradient_boosting", "ridge", "xgboost",
        }  # fmt: skip
        assert run.info.run_name.endswith("_001")
        assert set(run.data.params) >= PARAMS
        assert set(run.data.metrics) >= METRICS
        assert set(run.data.tags) >= TAGS
        steps = client.get_metric_history(run.info.run_id, "cv_rmse")
        assert [point.step for point in steps] == [1, 2, 3]
        root = artifacts_of(run)
        files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        expected = ARTIFACTS | (MODEL_ARTIFACTS if key != "persistence" else {"data/profile_report.html"})
        assert expected <= files
        assert len(files) <= (MOST_ARTIFACTS if key != "persistence" else 6)
        metadata = json.loads((root / "metadata/training_metadata.json").read_text())
        assert QualityReport.from_dict(metadata["quality_report"]).interval == "1h"
        assert metadata["config"]["split"]["cross_validation_folds"] == 3
        assert metadata["environment"]["packages"]["scikit-learn"] == version("scikit-learn")
        assert set(metadata["feature_importance"]) == (set() if key == "persistence" else set(metadata["features"]))
        plots = {name.rpartition("_")[0].removeprefix("plots/") for name in files if name.startswith("plots/")}
        assert plots == PLOTS | ({"feature_importance", "intervals"} if key != "persistence" else set())
        assert not [name for name in files if name.endswith((".pkl", ".tmp", ".partial"))]


def test_parameters_from_all_sources_are_logged(runs):
    _, found = runs
    by_key = {run.data.tags["model_type"]: run.data.params for run in found}
    assert by_key["ridge"]["alpha"] == "500"
    assert by_key["rf"]["n_estimators"] == "20"
    assert by_key["rf"]["min_samples_leaf"] == "100"
    assert by_key["gbm"]["prediction_horizon"] == "1"


def test_logged_metrics_match_the_stored_forecasts(runs):
    _, found = runs
    for run in found:
        with gzip.open(artifacts_of(run) / "data" / "predictions.csv.gz", "rt") as file:
            rows = [row for row in csv.DictReader(file) if row["part"] == "holdout"]
        errors = [float(row["actual_price"]) - float(row["forecast_price"]) for row in rows]
        rmse = (sum(error**2 for error in errors) / len(errors)) ** 0.5
        assert rmse == pytest.approx(run.data.metrics["test_rmse"], rel=1e-9)
        assert len(rows) == run.data.metrics["n_test_samples"]


def test_the_version_is_described(trained, runs):
    client, _ = runs
    _, done = trained
    version = client.get_model_version("crypto-price-predictor", "1")
    assert version.run_id == done.json()["best"]["run_id"]
    assert "persistence" in version.description
    assert version.tags["dataset_version"] == done.json()["dataset_version"]
    assert version.tags["verdict"] == done.json()["best"]["verdict"]


def digits(result):
    timings = ("training_time_seconds", "prediction_latency_ms")
    return [{name: value for name, value in one["metrics"].items() if name not in timings} for one in result["models"]]


def test_training_is_reproducible_on_one_core(trained):
    project, done = trained
    again = project.run(
        "train", "--models", "rf,gbm,ridge,xgb", *QUICK, "--json", "--no-cache",
        environ={"CRYPTOML_MODELS__RIDGE__ALPHA": "500", "CRYPTOML_WORKERS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert again.code == 0, again.err
    assert "reused" not in again.err
    assert digits(again.json()) == digits(done.json())
    assert [one["run_name"][-3:] for one in again.json()["models"]] == ["002"] * 5
    assert again.json()["version"] == "2"


def test_a_repeated_training_reuses_its_fits(trained):
    project, done = trained
    again = project.run("train", "--models", "rf,gbm,ridge,xgb", *QUICK, "--json",
                        environ={"CRYPTOML_MODELS__RIDGE__ALPHA": "500"})  # fmt: skip
    assert again.code == 0, again.err
    assert "20 of 20 fits were reused from the cache" in again.err
    assert digits(again.json()) == digits(done.json())


def test_the_registered_model_serves_in_a_new_process_elsewhere(trained, runs, tmp_path):
    project, _ = trained
    rows = (project.folder / "data/raw/sim.csv").read_text().splitlines()
    header = rows[0].split(",")
    keep = [header.index(name) for name in ("timestamp", "open", "high", "low", "close", "volume")]
    newest = [[row.split(",")[place] for place in keep] for row in (rows[0], *rows[-200:])]
    (tmp_path / "in.csv").write_text("\n".join(",".join(row) for row in newest))
    environ = {**project.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project.folder / 'mlflow.db'}"}
    environ.pop("PYTHONPATH", None)
    served = subprocess.run(
        [
            sys.executable, "-m", "mlflow", "models", "predict", "-m", "models:/crypto-price-predictor/1",
            "-i", str(tmp_path / "in.csv"), "-t", "csv", "-o", str(tmp_path / "out.json"), "--env-manager", "local",
        ],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert served.returncode == 0, served.stderr[-2000:]
    last = json.loads((tmp_path / "out.json").read_text())["predictions"][-1]
    assert last["timestamp"] == newest[-1][0]
    close = float(newest[-1][4])
    assert last["lower_price"] < last["forecast_price"] < last["upper_price"]
    assert abs(last["forecast_price"] / close - 1) < 0.05


def test_a_processed_file_gives_the_same_results(trained):
    project, done = trained
    script = (
        "from pathlib import Path\n"
        "from cryptoml.data.candles import read_candles\n"
        "from cryptoml.data.grid import to_grid\n"
        "from cryptoml.data.processed import write_processed\n"
        "from cryptoml.features.pipeline import FeaturePipeline, log_return_target\n"
        "candles = read_candles(Path('data/raw/sim.csv'))\n"
        "grid = to_grid(candles.frame, candles.interval, max_no_trade_candles=0)\n"
        "for name in ('a', 'b'):\n"
        "    write_processed(Path(f'data/{name}.parquet'), candles, FeaturePipeline().transform(grid),\n"
        "                    log_return_target(grid, 1), about={'horizon': 1})\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=project.folder, env=project.environ, check=True)
    assert (project.folder / "data/a.parquet").read_bytes() == (project.folder / "data/b.parquet").read_bytes()
    again = project.run("train", "--data", "data/a.parquet", "--models", "ridge", *QUICK, "--json", "--no-cache",
                        environ={"CRYPTOML_MODELS__RIDGE__ALPHA": "500"})  # fmt: skip
    assert again.code == 0, again.err
    ridge = {one["model_type"]: one for one in done.json()["models"]}["ridge"]
    assert again.json()["best"]["test_rmse"] == ridge["metrics"]["test_rmse"]


def test_the_table_on_the_terminal(trained):
    project, _ = trained
    done = project.run("train", "--models", "ridge", *QUICK)
    assert done.code == 0, done.err
    assert "registered: crypto-price-predictor v" in done.out
    assert "vs persistence" in done.out
    assert "ridge *" in done.out
    assert "fold 3" in done.err
    assert "fold 3" not in done.out


BAD_INPUT = [
    (("--data", "no.csv"), 4, "there is no such file"),
    (("--data", ".cryptoml"), 2, "no candle file found"),
    (("--data", "empty.csv"), 4, "is empty"),
    (("--data", "other.csv"), 4, "not candles"),
    (("--data", "few.csv"), 4, "candles"),
    (("--data", "flat.csv"), 4, "never changes"),
    (("--data", "data/raw/sim.csv", "--models", "ridgee"), 2, "use ridge"),
    (("--data", "data/raw/sim.csv", "--models", ""), 3, "training.models"),
    (("--data", "data/raw/sim.csv", "--set", "split.fold=3"), 3, "split.fold"),
    (("--data", "data/raw/sim.csv", "--config", "no.yaml"), 3, "no.yaml"),
    (("--data", "data/raw/sim.csv", "--device", "tpu"), 3, "models.xgb.device"),
    (("--nonsense",), 2, "--nonsense"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), BAD_INPUT, ids=lambda one: str(one)[:40])
def test_invalid_input_is_reported(trained, arguments, code, said):
    project, _ = trained
    folder = project.folder
    rows = (folder / "data/raw/sim.csv").read_text().splitlines()
    (folder / "empty.csv").write_text("")
    (folder / "other.csv").write_text("city,people\nBonn,1\n")
    (folder / "few.csv").write_text("\n".join(rows[:150]))
    flat = [f"2024-01-{1 + place // 24:02d}T{place % 24:02d}:00:00Z,5,5,5,5,1" for place in range(700)]
    (folder / "flat.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *flat]))
    before = sorted(str(path) for path in (folder / ".cryptoml" / "journal").glob("*/*.jsonl"))
    done = project.run("train", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 8
    assert sorted(str(path) for path in (folder / ".cryptoml" / "journal").glob("*/*.jsonl")) == before


def test_a_failed_model_does_not_stop_the_others(trained):
    """The forest requests the accelerator, which is not installed."""
    project, _ = trained
    (project.folder / "block").mkdir(exist_ok=True)
    (project.folder / "block" / "sitecustomize.py").write_text(
        "import sklearn.ensemble as e\n"
        "def fit(self, *a, **k): raise RuntimeError('out of luck')\n"
        "e.RandomForestRegressor.fit = fit\n"
    )
    done = project.run(
        "train", "--models", "rf,ridge", "--set", "models.rf.implementation=sklearn", *QUICK, "--json",
        environ={"PYTHONPATH": str(project.folder / "block")},
    )  # fmt: skip
    assert done.code == 1, done.err
    rows = {one["model_type"]: one for one in done.json()["models"]}
    assert (rows["rf"]["status"], rows["ridge"]["status"]) == ("FAILED", "FINISHED")
    assert "out of luck" in rows["rf"]["error"]
    from mlflow import MlflowClient

    run = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}").get_run(rows["rf"]["run_id"])
    assert (run.info.status, run.data.tags["status"]) == ("FAILED", "failed")
    assert "out of luck" in run.data.tags["error"]


def test_a_refused_registration_is_explained_with_exit_code_6(trained):
    project, _ = trained
    done = project.run("train", "--models", "ridge", *QUICK, "--set", "gate.min_skill=0.9", "--json")
    assert done.code == 6
    result = done.json()
    assert (result["registered"], result["version"]) == (False, None)
    assert "below the minimum" in result["gate"]["reasons"][0]


def test_an_unavailable_server_loses_no_result(trained):
    project, _ = trained
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        done = project.run("train", "--models", "ridge", *QUICK, "--json", environ={"MLFLOW_TRACKING_URI": uri})
        assert time.monotonic() - started < 90
    assert done.code == 5, done.err
    assert "cryptoml sync" in done.err
    result = done.json()
    assert result["undelivered"]
    assert result["best"]["run_id"] is None
    synced = project.run("sync", "--json")
    assert synced.code == 0, synced.err
    assert {one["run_name"] for one in synced.json()["delivered"]} == {one["run_name"] for one in result["models"]}
    assert [one["versions"] for one in synced.json()["delivered"] if one["versions"]]
    assert project.run("sync", "--json").json()["delivered"] == []


def test_help_imports_no_heavy_modules():
    script = (
        "import sys; from cryptoml.cli.app import run; run(['--help']); "
        "heavy = {'pandas', 'numpy', 'sklearn', 'mlflow', 'xgboost', 'matplotlib', 'dagshub', 'dvc', 'scipy'}; "
        "found = heavy & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=REPOSITORY)


def test_every_config_file_is_valid():
    from cryptoml.config.load import load_config
    from cryptoml.models.zoo import MODELS

    files = sorted((REPOSITORY / "configs").glob("*.yaml"))
    assert files
    for file in files:
        load_config(file, models=MODELS)
