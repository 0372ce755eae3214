"""Each step in a clone of its own, as on Celery or Kubernetes: git carries the pins and DVC the data."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import TINY, git_project
from tests.airflow.test_dag_integrity import ORDER, facts_of
from tests.conftest import REPOSITORY, clean_environ
from tests.exchange.server import make_standin


@pytest.fixture
def exchange():
    made = make_standin(candles=2000).start()
    yield made
    made.stop()


def test_each_step_on_a_machine_of_its_own(tmp_path: Path, exchange):
    tasks = facts_of(tmp_path, {"handover": "version"})["dags"]["crypto_training"]["tasks"]
    environ = clean_environ(tmp_path / "user") | {
        "PATH": f"{REPOSITORY / '.venv' / 'bin'}:{clean_environ(tmp_path)['PATH']}",
        "CRYPTOML_EXCHANGE_URL": exchange.url,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }
    origin = shared_project(tmp_path, environ)
    values = {
        "RUN_ID": "scheduled__2024-01-02",
        "CONFIG": "configs/tiny.yaml",
        "SYMBOLS": "BTC/USDT",
        "INTERVAL": "1h",
        "MODELS": "ridge",
    }
    printed = {}
    for name in ORDER:
        machine = tmp_path / f"machine-of-{name}"
        subprocess.run(["git", "clone", "--quiet", str(origin), str(machine)], check=True, env=environ)
        printed[name] = run_step(tasks[name], machine, environ | values)
        values |= {"RAW": printed.get("extract_data", ""), "DATA": printed.get("transform_data", "")}
        if name == "version_data":
            files = json.loads(printed[name])["files"]
            values["VERSION"] = next(one["version"] for one in files if one["path"] == values["DATA"])
    result = json.loads(printed["train_model"])
    assert result["dataset_version"] == values["VERSION"]
    assert result["registered"]


def shared_project(folder: Path, environ: dict[str, str]) -> Path:
    """A bare repository whose project has a DVC remote that every machine reaches."""
    project = folder / "first"
    (project / "configs").mkdir(parents=True)
    (project / "configs" / "tiny.yaml").write_text(TINY)
    git_project(project, environ)
    origin = folder / "origin.git"
    for command in (
        ["git", "config", "--global", "user.name", "Ada"],
        ["git", "config", "--global", "user.email", "ada@example.org"],
        ["dvc", "init", "--quiet"],
        ["dvc", "remote", "add", "--default", "storage", str(folder / "storage")],
        ["git", "add", "."],
        ["git", "commit", "--quiet", "-m", "A project"],
        ["git", "clone", "--quiet", "--bare", ".", str(origin)],
    ):
        subprocess.run(command, cwd=project, env=environ, check=True)
    return origin


def run_step(task: dict[str, Any], machine: Path, environ: dict[str, str]) -> str:
    """Run a task's command as BashOperator does; the last line it prints."""
    fixed = {name: text for name, text in task["env"].items() if "{" not in text}
    templates = dict.fromkeys(task["env"].keys() - fixed.keys(), "")
    done = subprocess.run(
        ["bash", "-c", task["command"]],
        cwd=machine,
        env={**templates, **fixed, **environ, "CRYPTOML_PROJECT_DIR": str(machine)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()[-1]
