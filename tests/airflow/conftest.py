"""One Airflow for all tests here: a git project with local remotes, a stand-in exchange, a webhook."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.instance import AIRFLOW_BIN, Airflow, DagRun
from tests.airflow.webhook import Webhook
from tests.conftest import Done
from tests.exchange.server import StandIn, make_standin

TOKEN = "planted-dagshub-token-4711"
PARAMS = {"models": ["ridge"], "config": "configs/tiny.yaml"}
TINY = """
extract: {since: 2019-01-01}
tracking: {profile_report: false}
features: {lag_windows: [1, 2, 3], rolling_windows: [6, 24]}
split: {cross_validation_folds: 3}
gate: {min_skill: -0.05}
"""
# Minutes of work, silent for most of them.
SLOW = TINY + "models: {gbm: {n_estimators: 10000, min_samples_leaf: 20, max_depth: 8}}\n"


@dataclass(frozen=True)
class World:
    """The project on disk and everything around it."""

    project: Path
    airflow: Airflow
    exchange: StandIn
    webhook: Webhook

    def cryptoml(self, *arguments: str) -> Done:
        """Run `cryptoml ARGUMENTS` in the project, as a task would."""
        done = subprocess.run(
            [sys.executable, "-m", "cryptoml", *arguments],
            cwd=self.project,
            env=self.airflow.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def runs(self) -> list[dict[str, Any]]:
        """Every run of the project's MLflow store, with its tags and metrics."""
        with closing(sqlite3.connect(self.project / "mlflow.db")) as store:
            found = store.execute("SELECT run_uuid, name, status FROM runs").fetchall()
            tags, metrics = (
                store.execute(f"SELECT run_uuid, key, value FROM {table}").fetchall()
                for table in ("tags", "latest_metrics")
            )
        return [
            {
                "run_id": run_id,
                "name": name,
                "status": status,
                "tags": {key: value for run, key, value in tags if run == run_id},
                "metrics": {key: value for run, key, value in metrics if run == run_id},
            }
            for run_id, name, status in found
        ]

    def statuses(self, training_id: str) -> set[str]:
        """The states of the runs of one `train` call."""
        return {run["status"] for run in self.runs() if run["tags"].get("training_id") == training_id}

    def versions(self) -> dict[tuple[str, str], str]:
        """The registry: model and version -> run."""
        with closing(sqlite3.connect(self.project / "mlflow.db")) as store:
            rows = store.execute("SELECT name, version, run_id FROM model_versions").fetchall()
        return {(name, str(version)): run for name, version, run in rows}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests for `--dist loadgroup`: those of the one Airflow in one worker, the others by file."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            needs_airflow = "world" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("airflow" if needs_airflow else item.path.stem))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project that `setup-remotes --local` made ready, and a running Airflow whose tasks work in it."""
    assert (AIRFLOW_BIN / "airflow").exists(), "Airflow's environment is not there. Hint: make airflow-setup"
    folder = tmp_path_factory.mktemp("airflow")
    project = folder / "project"
    (project / "configs").mkdir(parents=True)
    (project / "configs" / "tiny.yaml").write_text(TINY)
    exchange = make_standin(candles=2000).start()
    # A market with a hole that the quality gates do not let through.
    exchange.remove("ETHBTC", "1h", 500, 400)
    webhook = Webhook()
    environ = {
        "CRYPTOML_EXCHANGE_URL": exchange.url,
        "AIRFLOW_CONN_CRYPTOML_ALERT": json.dumps({"conn_type": "generic", "password": webhook.url}),
        "AIRFLOW_CONN_CRYPTOML_DAGSHUB": json.dumps({"conn_type": "generic", "password": TOKEN}),
    }
    options = {"schedule": "none", "retry_seconds": 2}
    airflow = Airflow(folder / "home", project=project, environ=environ, options=options)
    made = World(project, airflow, exchange, webhook)
    git_project(project, airflow.environ)
    done = made.cryptoml("setup-remotes", "--local")
    assert done.code == 0, done.err
    try:
        airflow.start()
        yield made
    finally:
        airflow.stop()
        exchange.stop()
        webhook.stop()


@pytest.fixture(scope="session")
def first(world: World) -> DagRun:
    """A run of the whole way that has succeeded; tests take it up again from its last task."""
    return world.airflow.trigger("crypto_training", **PARAMS).end("success")


def git_project(folder: Path, environ: dict[str, str]) -> None:
    """Make the folder a git repository whose user has a name."""
    for arguments in (("init", "-b", "main"), ("config", "user.name", "Ada"), ("config", "user.email", "ada@e.org")):
        subprocess.run(["git", *arguments], cwd=folder, env=environ, check=True, capture_output=True)
