"""`cryptoml train` with registration and promotion, on all server variants that DagsHub may use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cryptoml.tracking.store.store import open_store
from tests.conftest import Hub
from tests.faults.kinds import kind_of
from tests.standin.state import Mode

# Limits of a training per run: files in the store, and requests to it with all checks, uploads and the registration.
ARTIFACTS_PER_RUN = 14
REQUESTS_PER_RUN = 30
TRAIN = ("train", "--data", "data/raw/sim.csv", "--models", "ridge", "--set", "tracking.profile_report=false", "--json")


@pytest.mark.parametrize("mode", ["full", "legacy", "no-model-id"])
def test_train_registers_and_promotes(hub: Hub, mode: Mode, tmp_path: Path) -> None:
    made = hub.run("sample-data", "--years", "0.5", "--signal", "0.03", "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    hub.standin.state.set_mode(mode)
    hub.standin.state.requests.clear()
    name = f"coins-{mode}"
    done = hub.run(*TRAIN, "--set", f"registry.model_name={name}", "--set", "gate.min_skill=-1")
    assert done.code == 0, (done.err, [one for one in hub.standin.state.requests if one.status == 404])
    result: dict[str, Any] = done.json()
    assert result["tracking_uri"] == f"{hub.url}.mlflow"
    assert result["registered"] is True
    assert result["version"] == "1"
    # How often an unused name is looked up to see whether the server answers depends on how long the fits take.
    requests = Counter(
        kind_of(one.method, one.path)
        for one in hub.standin.state.requests
        if ".mlflow/" in one.path and "cryptoml-probe" not in one.path
    )
    assert requests.total() <= REQUESTS_PER_RUN * len(result["models"]), requests
    assert requests["artifact-put"] <= ARTIFACTS_PER_RUN * len(result["models"]), requests
    # One for each run, and one for the tags of the best.
    assert requests["log-batch"] <= len(result["models"]) + 1, requests
    first = hub.run(
        "promote", "v1", "production", "--reason", "first", "--set", f"registry.model_name={name}", "--json"
    )
    assert first.code == 0, first.err
    assert first.json()["stage"] == "production"
    told = hub.run("promote", "--history", "--set", f"registry.model_name={name}", "--json")
    assert told.code == 0, told.out
    refused = [one for one in hub.standin.state.requests if one.status >= 400 and one.status != 404]
    # Nothing was tried that such a server refuses.
    assert not refused, refused
    owner = hub.standin.state.owner
    with open_store(f"{hub.url}.mlflow", timeout_s=20, username=owner, password=hub.token) as store:
        run = store.client.get_run(result["best"]["run_id"])
        assert run.info.status == "FINISHED"
        assert run.data.metrics["cv_rmse_mean"] == result["best"]["cv_rmse_mean"]
        stored = store.download(run.info.run_id, "", tmp_path / "run")
        files = [path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file()]
        assert "models/model/MLmodel" in files
        assert len(files) <= ARTIFACTS_PER_RUN, files
        model = store.client.get_registered_model(name)
        assert {alias: str(version) for alias, version in model.aliases.items()} == {"production": "1"}


def test_a_server_failure_during_delivery_loses_no_run(hub: Hub) -> None:
    """The server fails during a delivery; sync delivers the rest without duplicates."""
    assert hub.run("sample-data", "--years", "0.5", "-o", "data/raw/sim.csv").code == 0
    state = hub.standin.state
    state.down_from = 25
    state.set_mode("down-at")
    name = f"coins-{hub.slug.rpartition('-')[2]}"
    options = ("--set", f"registry.model_name={name}", "--set", "gate.min_skill=-1")
    done = hub.run(*TRAIN, *options, environ={"CRYPTOML_STORE_TIMEOUT_S": "5"})
    assert done.code == 5, done.err
    assert done.json()["registered"] is False
    state.set_mode("full")
    synced = hub.run("sync", "--json")
    assert synced.code == 0, synced.err
    assert hub.run("sync", "--json").json()["delivered"] == []
    owner = state.owner
    with open_store(f"{hub.url}.mlflow", timeout_s=20, username=owner, password=hub.token) as store:
        experiment = store.find_experiment_id("crypto-price-prediction")
        assert experiment is not None
        training = done.json()["training_id"]
        runs = store.client.search_runs([experiment], f"tags.training_id = '{training}'")
        assert sorted(run.data.tags["model_type"] for run in runs) == ["persistence", "ridge"]
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert len(store.client.search_model_versions(f"name = '{name}'")) == 1
