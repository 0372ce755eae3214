"""Each step in a clone of its own, as on Celery or Kubernetes: git carries the pins and DVC the data."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.conftest import TINY, git_project
from tests.airflow.test_dag_integrity import ORDER, facts_of
from tests.airflow.test_steps import run_step
from tests.conftest import REPOSITORY, clean_environ
from tests.exchange.server import StandIn, make_standin

HOUR_MS = 3_600_000


@pytest.fixture
def exchange():
    made = make_standin(candles=2000).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The tasks of `crypto_training` where data go by version."""
    found = facts_of(tmp_path_factory.mktemp("facts"), {"handover": "version"})
    return found["dags"]["crypto_training"]["tasks"]


def environ_of(folder: Path, exchange: StandIn) -> dict[str, str]:
    return clean_environ(folder / "user") | {
        "PATH": f"{REPOSITORY / '.venv' / 'bin'}:{clean_environ(folder)['PATH']}",
        "CRYPTOML_EXCHANGE_URL": exchange.url,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "RUN_ID": "scheduled__2024-01-02",
        "CONFIG": "configs/tiny.yaml",
        "SYMBOLS": "BTC/USDT",
        "INTERVAL": "1h",
        "MODELS": "ridge",
    }


def test_each_step_on_a_machine_of_its_own(tmp_path: Path, tasks, exchange):
    environ = environ_of(tmp_path, exchange)
    origin = shared_project(tmp_path, environ)
    values: dict[str, str] = {}
    printed = {}
    for name in ORDER:
        machine = new_machine(tmp_path, name, origin, environ)
        printed[name] = run_step(tasks[name], machine, environ | values)
        values |= {"RAW": printed.get("extract_data", ""), "DATA": printed.get("transform_data", "")}
        if name == "version_data":
            files = json.loads(printed[name])["result"]["files"]
            values["VERSION"] = next(one["version"] for one in files if one["path"] == values["DATA"])
    result = json.loads(printed["train_model"])["result"]
    assert result["dataset_version"] == values["VERSION"]
    assert result["registered"]


def test_a_machine_that_was_cut_off_catches_up(tmp_path: Path, tasks, exchange):
    environ, step = environ_of(tmp_path, exchange), tasks["extract_data"]
    origin = shared_project(tmp_path, environ)
    ours, theirs = (new_machine(tmp_path, name, origin, environ) for name in ("ours", "theirs"))
    away = origin.with_name("away.git")
    add_hook(ours, f"mv {origin} {away} && exit 1")
    exchange.now_ms -= 900 * HOUR_MS
    assert "git push failed, so the pins are not published" in run_step(step, ours, environ, code=5)
    away.rename(origin)
    exchange.now_ms += 300 * HOUR_MS
    run_step(step, theirs, environ)
    # Cut off once more while it wrote candles; and the others push just before this machine does.
    raw = ours / "data" / "raw" / "BTCUSDT_1h.csv"
    raw.chmod(0o644)
    raw.write_text("".join(raw.read_text().splitlines(keepends=True)[:50]))
    exchange.now_ms += 600 * HOUR_MS
    hook = add_hook(
        ours,
        "unset $(git rev-parse --local-env-vars)",
        f"cd {theirs} && git commit --quiet --allow-empty -m quicker && git push --quiet",
    )
    assert run_step(step, ours, environ) == "data/raw/BTCUSDT_1h.csv"
    assert not hook.exists()
    times = [line.partition(",")[0] for line in raw.read_text().splitlines()[1:]]
    assert (len(times), times) == (1999, sorted(set(times)))
    pinned, subjects = (
        subprocess.run(
            ["git", "-C", str(origin), *what], capture_output=True, text=True, check=True, env=environ
        ).stdout
        for what in (("show", "main:data/raw/BTCUSDT_1h.csv.dvc"), ("log", "--format=%s", "main"))
    )
    assert hashlib.md5(raw.read_bytes()).hexdigest() in pinned
    assert "quicker" in subjects


def add_hook(clone: Path, *lines: str) -> Path:
    """Have these lines run once, just before the next push from the clone."""
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.write_text("\n".join(["#!/bin/sh", 'rm -- "$0"', *lines, ""]))
    hook.chmod(0o755)
    return hook


def new_machine(folder: Path, name: str, origin: Path, environ: dict[str, str]) -> Path:
    """A fresh clone."""
    machine = folder / f"machine-{name}"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(machine)], check=True, env=environ)
    return machine


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
