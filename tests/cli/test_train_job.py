"""`train --job`, `--text`, CRYPTOML_RUN_TAGS and `pull-data --version`: what a scheduler needs for its retries."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.conftest import Done, Project, make_project

NOBODY = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
QUICK = ("--models", "ridge", "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1")


@pytest.fixture
def project(tmp_path) -> Project:
    made = make_project(tmp_path)
    done = made.run("sample-data", "--years", "0.3", "--signal", "0.2", "--seed", "4", "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    return made


def train(project: Project, *more: str, **options: dict[str, str]) -> Done:
    return project.run("train", "--data", "data/raw/sim.csv", *QUICK, "--json", *more, **options)


def count(project: Project, table: str) -> int:
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as store:
        return int(store.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_the_next_try_of_a_job_delivers_what_is_finished(project: Project):
    first = train(project, "--job", "daily/1", environ=NOBODY)
    assert first.code == 5
    before = first.envelope()["result"]
    assert before["undelivered"]
    again = train(project, "--job", "daily/1", environ=NOBODY)
    assert again.code == 5, "the store is still away"
    done = train(project, "--job", "daily/1")
    assert done.code == 0, done.err
    result = done.json()
    assert result["training_id"] == before["training_id"]
    assert result["undelivered"] is None
    assert (result["registered"], result["version"], result["stage"]) == (True, "1", "none")
    assert [row["metrics"] for row in result["models"]] == [row["metrics"] for row in before["models"]]
    assert all(row["run_id"] for row in result["models"])
    assert result["best"]["run_id"] == result["models"][1]["run_id"]
    assert (count(project, "runs"), count(project, "model_versions")) == (2, 1)
    # The job is done: a further try is a new training, here of the same model.
    further = train(project, "--job", "daily/1").json()
    assert further["training_id"] != before["training_id"]
    assert (further["version"], count(project, "runs"), count(project, "model_versions")) == ("1", 4, 1)


def test_another_job_other_data_or_another_config_is_trained(project: Project):
    assert train(project, "--job", "a", environ=NOBODY).code == 5
    first = train(project, "--job", "b").json()
    other = train(project, "--job", "a", "--set", "training.random_seed=7").json()
    file = project.folder / "data" / "raw" / "sim.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-5]) + "\n")
    changed = train(project, "--job", "a").json()
    assert len({first["training_id"], other["training_id"], changed["training_id"]}) == 3
    # The runs of the job's first try were delivered, too.
    assert count(project, "runs") == 8


def test_a_job_that_the_gate_refused_keeps_its_answer(project: Project):
    strict = ("--set", "gate.min_skill=0.9", "--job", "x")
    assert train(project, *strict, environ=NOBODY).code == 5
    done = train(project, *strict)
    assert done.code == 6
    assert "hold-out skill" in done.err
    assert done.envelope()["result"]["registered"] is False


def test_a_job_has_one_market(project: Project):
    (project.folder / "data" / "raw" / "more.csv").write_bytes(
        (project.folder / "data" / "raw" / "sim.csv").read_bytes()
    )
    done = project.run("train", "data/raw/sim.csv", "data/raw/more.csv", "--job", "x")
    assert (done.code, "--job is for one market" in done.err) == (2, True)


def test_text_goes_to_standard_error_and_tags_to_the_runs(project: Project):
    done = train(project, "--text", environ={"CRYPTOML_RUN_TAGS": json.dumps({"team": "quant", "model_type": "mine"})})
    assert done.code == 0, done.err
    assert "registered: crypto-price-predictor v1" in done.err
    assert json.loads(done.out)["ok"]
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as store:
        rows = store.execute("SELECT value FROM tags WHERE key = 'team'").fetchall()
        kinds = {row[0] for row in store.execute("SELECT value FROM tags WHERE key = 'model_type'").fetchall()}
    assert rows == [("quant",)] * 2
    assert kinds == {"persistence", "ridge"}, "own tags do not replace those of cryptoml"


def test_a_file_is_restored_to_a_version(project: Project):
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(project.folder)], check=True)
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        subprocess.run(["git", "config", "--file", project.environ["GIT_CONFIG_GLOBAL"], name, text], check=True)
    assert project.run("setup-remotes", "--local").code == 0
    file = project.folder / "data" / "raw" / "sim.csv"
    old = file.read_bytes()
    pushed = project.run("push-data", "data/raw/sim.csv", "--json").json()
    version = pushed["files"][0]["version"]
    assert project.run("pull-data", "data/raw/sim.csv", "--version", version, "--json").json()["transferred"] == 0
    for change in (file.unlink, lambda: file.write_text("newer\n")):
        change()
        done = project.run("pull-data", "data/raw/sim.csv", "--version", version, "--json")
        assert done.code == 0, done.err
        assert done.json()["files"] == [{"path": "data/raw/sim.csv", "version": version, "state": "restored"}]
        assert file.read_bytes() == old
    file.write_text("newer\n")
    for unknown in ("untracked:" + "0" * 64, "0" * 32 + "@uncommitted"):
        done = project.run("pull-data", "data/raw/sim.csv", "--version", unknown)
        assert done.code == 4, done.err
        assert file.read_text() == "newer\n"
    assert [one.name for one in file.parent.iterdir() if one.name.startswith(".restoring")] == []
    assert project.run("pull-data", "--version", version).code == 2
