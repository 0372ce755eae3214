"""`cryptoml sync --from` from a local store to DagsHub, where the same commands give the same results."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cryptoml.settings import Settings
from cryptoml.tracking.store.store import open_store
from cryptoml.workflows.predict import PredictRequest, predict
from cryptoml.workflows.promote import PromoteRequest, promote, read_history
from cryptoml.workflows.register import RegisterRequest, register
from tests.conftest import Hub, Project
from tests.lab import Lab, config_of


@pytest.mark.timeout(600)
def test_copy_from_a_local_store_to_dagshub(lab: Lab, hub: Hub) -> None:
    name = f"moved-{hub.slug.rpartition('-')[2]}"
    config = config_of(name, gate={"min_skill": -1})
    register(RegisterRequest(lab.settings, config, lab.runs["ridge"]))
    promote(PromoteRequest(lab.settings, config, "v1", "production", reason="the first", force=True))
    # The team's machine: the project without what it keeps below .cryptoml/, and with one of its runs.
    for part in ("mlartifacts", "data"):
        shutil.copytree(lab.project.folder / part, hub.folder / part)
    paths = [folder / "mlflow.db" for folder in (lab.project.folder, hub.folder)]
    with closing(sqlite3.connect(paths[0])) as source, closing(sqlite3.connect(paths[1])) as copy:
        source.backup(copy)
    with open_store(f"sqlite:///{hub.folder / 'mlflow.db'}") as store:
        experiment = store.experiment_id(lab.settings.experiment_name)
        for run in store.client.search_runs([experiment]):
            if run.info.run_id != lab.runs["ridge"]:
                store.client.delete_run(run.info.run_id)
        training_id = store.client.get_run(lab.runs["ridge"]).data.tags["training_id"]
        for model in store.client.search_registered_models():
            if model.name != name:
                store.client.delete_registered_model(model.name)

    hub.standin.state.set_mode("legacy")
    done = hub.run("sync", "--from", "sqlite:///mlflow.db", "--json", timeout=500)
    assert done.code == 0, done.err
    result = done.json()
    assert result["tracking_uri"] == f"{hub.url}.mlflow"
    assert (result["runs"], result["versions"], result["aliases"], result["ledger_entries"]) == (1, 1, 1, 2)
    assert hub.token not in done.out + done.err

    settings = settings_of(hub)
    entries, faults = read_history(settings, config)
    assert ([entry.to_stage for entry in entries], faults) == (["staging", "production"], ())
    digits = []
    for one in (settings, lab.settings):
        table = predict(PredictRequest(one, config, data=lab.data, stale_ok=True)).table
        columns = ("forecast_price", "lower_price", "upper_price")
        digits.append([[repr(value) for value in table[column]] for column in columns])
    assert digits[0] == digits[1]
    # The server is shared with other tests: their trainings may be later, and the copy's name takes the next number.
    compared = hub.run("compare", "--training-id", training_id, "--json")
    assert compared.code == 0, compared.err
    assert [(run["model_type"], run["training_id"]) for run in compared.json()["runs"]] == [("ridge", training_id)]

    again = hub.run("sync", "--from", "sqlite:///mlflow.db")
    assert again.code == 0, again.err
    assert again.out.splitlines()[-1] == "nothing to copy: 1 run already exists"


def settings_of(hub: Hub) -> Settings:
    return Settings(
        _env_file=None, project_dir=hub.folder, tracking_uri=f"{hub.url}.mlflow", store_timeout_s=20,
        tracking_username=hub.standin.state.owner, tracking_password=hub.token,
    )  # fmt: skip


def test_options_that_require_from_are_refused_without_it(project: Project) -> None:
    done = project.run("sync", "--dry-run")
    assert done.code == 2
    assert "require --from" in done.err
    both = project.run("sync", "--from", "sqlite:///x.db", "--experiment", "a", "--all-experiments")
    assert both.code == 2


def test_a_missing_source_is_reported_and_not_created(project: Project) -> None:
    done = project.run("sync", "--from", "sqlite:///old.db", environ={"MLFLOW_TRACKING_URI": "sqlite:///new.db"})
    assert done.code == 2
    assert "old.db: the file does not exist" in done.err
    assert sorted(Path(path).name for path in project.folder.iterdir()) == [".cryptoml"]
    assert done.out == ""
