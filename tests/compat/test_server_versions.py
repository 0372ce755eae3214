"""MLflow servers of other versions, each real and in its own environment: sync, register, promote, predict.

`make compat-setup` makes the environments from the locks beside this file.
"""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Project, make_project
from tests.services import free_port, mlflow_server

FOLDER = Path(__file__).resolve().parent
VERSIONS = ("2.9", "2.22", "3")
TRAIN = (
    "train", "--models", "ridge", "--set", "tracking.profile_report=false", "--set", "split.cross_validation_folds=3",
    "--set", "registry.register_best=false", "--json",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained_offline(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose runs wait in the journal, because no server answered."""
    project = make_project(tmp_path_factory.mktemp("offline"))
    made = project.run("sample-data", "--years", 0.3, "--signal", 0.2, "--seed", 7, "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    nobody = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
    done = project.run(*TRAIN, environ=nobody)
    assert done.code == 5, done.err
    assert "stay in the journal" in done.err
    return project


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    python = FOLDER / f".venv-{request.param}" / "bin" / "python"
    assert python.is_file(), f"no environment for MLflow {request.param}: make compat-setup"
    options = ("--serve-artifacts", "--artifacts-destination", str(tmp_path / "artifacts"))
    yield from mlflow_server([str(python), "-m", "mlflow"], tmp_path / "server", *options)


def test_the_whole_way_on_a_server_of_that_version(
    server: str, request: pytest.FixtureRequest, trained_offline: Project, tmp_path: Path
) -> None:
    with urllib.request.urlopen(f"{server}/version", timeout=60) as answer:
        version = answer.read().decode()
    assert version.startswith(f"{request.node.callspec.params['server']}.")
    folder = Path(shutil.copytree(trained_offline.folder, tmp_path / "work"))
    environ = {**trained_offline.environ, "MLFLOW_TRACKING_URI": server, "CRYPTOML_STORE_TIMEOUT_S": "30"}
    project = replace(trained_offline, folder=folder, environ=environ)

    synced = project.run("sync", "--json")
    assert synced.code == 0, synced.err
    delivered = list(synced.json()["delivered"])  # type: ignore[call-overload]
    assert (len(delivered), synced.json()["left"]) == (2, 0)
    (ridge,) = [one["run_id"] for one in delivered if one["run_name"].startswith("ridge")]

    registered = project.run("register", ridge, "--force", "--reason", "compatibility", "--json")
    assert registered.code == 0, registered.err
    assert str(registered.json()["version"]) == "1"

    promoted = project.run("promote", "v1", "production", "--reason", "x", "--force", "--data", "data/raw/sim.csv")
    assert promoted.code == 0, promoted.err
    predicted = project.run("predict", "--data", "data/raw/sim.csv", "--stale-ok")
    assert predicted.code == 0, predicted.err
    assert "model v1" in predicted.out
