"""`cryptoml tune`: the file it writes, its runs in MLflow, and its mistakes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import mlflow
import pytest
import yaml

from tests.conftest import Done, Project, make_project

QUICK = ("--set", "split.cross_validation_folds=2", "--set", "features.rolling_windows=[6]")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("tune"))
    done = made.run("sample-data", "--years", 0.25, "--signal", 0.0, "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    return made


@pytest.fixture(scope="module")
def tuned(project: Project) -> Done:
    done = project.run("tune", "--models", "ridge,xgb", "--trials", 5, *QUICK, "--json")
    assert done.code == 0, done.err
    return done


def test_on_a_random_walk_it_says_that_the_gain_is_chance(tuned: Done):
    for model in tuned.json()["models"]:
        assert not model["better"]
        assert "no more than chance" in model["sentence"] or "no trial was better" in model["sentence"]
        assert model["trials"][0]["number"] == 0


def test_train_takes_the_file(project: Project, tuned: Done):
    written = project.folder / tuned.json()["output"]
    config = yaml.safe_load(written.read_text())
    by_model = {one["model_type"]: one["params"] for one in tuned.json()["models"]}
    assert {key: config["models"][key] for key in by_model} == by_model
    assert config["split"]["cross_validation_folds"] == 2
    done = project.run("train", "--config", written, "--set", "tracking.profile_report=false", "--json")
    assert done.code in (0, 6), done.err
    trained = {one["model_type"] for one in done.json()["models"]}
    assert trained == {"persistence", "ridge", "xgb"}
    run = next(one for one in project.run("compare", "--json").json()["runs"] if one["model_type"] == "xgb")
    assert run["params"]["max_depth"] == str(by_model["xgb"]["max_depth"])


def test_mlflow_has_nested_runs_of_the_best_trials(project: Project, tuned: Done):
    client = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name(tuned.json()["experiment"])
    runs = client.search_runs([experiment.experiment_id])
    parents = {run.data.tags["model_type"]: run for run in runs if "model_type" in run.data.tags}
    assert set(parents) == {"ridge", "xgb"}
    for key, parent in parents.items():
        (model,) = [one for one in tuned.json()["models"] if one["model_type"] == key]
        nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        complete = [one for one in model["trials"] if one["state"] == "complete"]
        assert len(nested) == min(len(complete), 10)
        assert parent.data.metrics["holdout_skill"] == model["tuned_skill"]
        assert max(run.data.metrics["folds_skill"] for run in nested) == model["folds_skill"]


def test_the_same_command_continues(project: Project, tuned: Done):
    more = project.run("tune", "--models", "ridge", "--trials", 7, *QUICK, "--json").json()["models"][0]
    first = tuned.json()["models"][0]
    assert more["n_resumed"] == 5
    assert more["trials"][:5] == first["trials"]
    assert len(more["trials"]) == 7


def test_a_killed_search_continues(project: Project):
    words = ("tune", "--models", "gbm", "--trials", 12, *QUICK, "--output", "configs/killed.yaml")
    process = subprocess.Popen(project.command(*words), cwd=project.folder, env=dict(project.environ),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stderr is not None
    until = time.monotonic() + 120
    for line in process.stderr:
        if line.startswith("gbm: 4/12") or time.monotonic() > until:
            break
    process.kill()
    process.wait(30)
    process.stderr.close()
    done = project.run(*words, "--json")
    assert done.code == 0, done.err
    model = done.json()["models"][0]
    assert 4 <= model["n_resumed"] <= 12
    assert len(model["trials"]) == 12


def test_a_file_that_it_did_not_write_is_kept(project: Project):
    mine = project.folder / "configs" / "mine.yaml"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("training: {models: [ridge]}\n")
    done = project.run("tune", "--models", "ridge", "--trials", 1, "--output", mine)
    assert done.code == 6
    assert "cryptoml tune did not write it" in done.err
    assert mine.read_text() == "training: {models: [ridge]}\n"


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("--timeout", "soon"), "is not a duration"),
        (("--timeout", "0m"), "is not a duration"),
        (("--output", "tuned.json"), "must end with .yaml"),
        (("--models", "nonsense"), "nonsense"),
        (("--models", "persistence"), "persistence: no parameters to tune"),
        (("--trials", "0"), "--trials"),
    ],
)
def test_mistakes_are_named(project: Project, words: tuple[str, ...], fact: str):
    done = project.run("tune", *words)
    assert done.code == 2
    assert fact in done.err


def test_nothing_is_left_half_written(tmp_path: Path):
    empty = make_project(tmp_path)
    done = empty.run("tune", "--models", "ridge")
    assert done.code == 2
    assert not (empty.folder / "configs").exists()
