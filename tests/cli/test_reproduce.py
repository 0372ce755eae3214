"""`cryptoml reproduce`: equal digits in the same environment, and what differs in another."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project, make_project
from tests.lab import Lab

QUICK = ("--models", "ridge", "--set", "split.cross_validation_folds=2", "--set", "tracking.profile_report=false")


@pytest.fixture
def trained(tmp_path: Path) -> Project:
    """A project with a git repository and one training, whose data is not versioned."""
    project = make_project(tmp_path)
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(project.folder)], check=True)
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        subprocess.run(["git", "config", "--file", project.environ["GIT_CONFIG_GLOBAL"], name, text], check=True)
    made = project.run("sample-data", "--years", 0.25, "--signal", 0.2, "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    return project


def train(project: Project, *more: object) -> None:
    done = project.run("train", "--data", "data/raw/sim.csv", *QUICK, *more)
    assert done.code == 0, done.err


@pytest.mark.parametrize("model", ["ridge", "xgb", "gbm"])
def test_each_model_is_reproduced_to_the_last_digit(lab: Lab, model: str):
    done = lab.project.run("reproduce", lab.names[model], "--json")
    assert done.code == 0, done.err
    result = done.json()
    assert result["reproduced"]
    assert result["model_type"] == model
    assert result["changes"] == []
    forecasts = result["comparisons"][0]
    assert (forecasts["what"], forecasts["difference"]) == ("forecasts", 0)
    assert forecasts["then"] == forecasts["now"] > 100
    assert {"skill", "cv_rmse_mean", "dm_p_value"} <= {one["what"] for one in result["comparisons"]}


def test_further_horizons_are_reproduced(trained: Project):
    train(trained, "--horizons", "1,3")
    result = trained.run("reproduce", "--json").json()
    assert result["reproduced"]
    assert {"forecasts", "3 candles ahead: forecasts", "horizon_3/skill"} <= {
        one["what"] for one in result["comparisons"]
    }


def test_other_digits_in_the_store_are_found(trained: Project):
    train(trained)
    run = trained.run("compare", "--json").json()["runs"][-1]
    with sqlite3.connect(trained.folder / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics"):
            database.execute(
                f"UPDATE {table} SET value = value + 1e-9 WHERE run_uuid = ? AND key = 'skill'", [run["run_id"]]
            )
    done = trained.run("reproduce")
    assert done.code == 6
    assert "41 of 42 values are equal" in done.out
    assert "skill" in done.out
    assert "1e-09" in done.out


def test_changed_candles_without_a_pin_are_refused_and_a_copy_is_taken(trained: Project, tmp_path: Path):
    train(trained)
    file = trained.folder / "data" / "raw" / "sim.csv"
    copy = tmp_path / "elsewhere" / "sim.csv"
    copy.parent.mkdir()
    shutil.copy(file, copy)
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    done = trained.run("reproduce")
    assert done.code == 4
    assert "has changed since" in done.err
    assert "--data FILE" in done.err
    wrong = trained.run("reproduce", "--data", "data/raw/sim.csv")
    assert wrong.code == 4
    assert "is not the data set of" in wrong.err
    assert trained.run("reproduce", "--data", copy).code == 0


def test_a_pinned_version_is_restored_without_changing_the_work_tree(trained: Project):
    assert trained.run("setup-remotes", "--local").code == 0
    assert trained.run("push-data", "data/raw/sim.csv").code == 0
    train(trained)
    longer = trained.run("sample-data", "--years", 0.3, "--signal", 0.2, "-o", "data/raw/sim.csv", "--force")
    assert longer.code == 0, longer.err
    file = trained.folder / "data" / "raw" / "sim.csv"
    before = file.read_bytes()
    assert trained.run("push-data", "data/raw/sim.csv").code == 0
    shutil.rmtree(trained.folder / ".dvc" / "cache")
    done = trained.run("reproduce", "--json")
    assert done.code == 0, done.err
    assert "restored from DVC" in done.err
    assert done.json()["reproduced"]
    assert file.read_bytes() == before


def test_another_environment_is_described(trained: Project):
    train(trained)
    metadata = next(trained.folder.rglob("training_metadata.json"))
    for path in trained.folder.rglob("training_metadata.json"):
        record = json.loads(path.read_text())
        record["environment"]["packages"]["numpy"] = "1.26.0"
        record["environment"]["python"] = "3.10.1"
        path.write_text(json.dumps(record))
    done = trained.run("reproduce")
    assert done.code == 0, done.err
    assert metadata.is_file()
    for word in ("python", "3.10.1", "numpy", "1.26.0"):
        assert word in done.out


def test_a_run_without_records_is_refused(trained: Project):
    train(trained)
    for path in trained.folder.rglob("training_metadata.json"):
        path.unlink()
    done = trained.run("reproduce")
    assert done.code == 6
    assert "has no stored config" in done.err


def test_without_a_run_it_says_so(tmp_path: Path):
    done = make_project(tmp_path).run("reproduce")
    assert done.code == 2
    assert "cryptoml train" in done.err
