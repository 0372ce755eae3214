"""Trainings with enough rows for worker processes: a killed worker, a stopped training."""

from __future__ import annotations

import json
import signal
import time

import psutil
import pytest

from tests.cli.pause import Started
from tests.conftest import Project, make_project

# Fits of several seconds, by scikit-learn's own forest.
SLOW = (
    "train", "--data", "data/raw/sim.csv", "--models", "rf", "--set", "split.cross_validation_folds=2",
    "--set", "models.rf.n_estimators=80", "--set", "models.rf.implementation=sklearn",
    "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1", "--no-cache",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("large"))
    done = project.run("sample-data", "--years", 1.2, "--seed", 3, "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    return project


def fitting(pid: int) -> list[psutil.Process]:
    """Wait for a worker of the training that computes, and return all such workers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        below = psutil.Process(pid).children(recursive=True)
        servers = [one for one in below if "multiprocessing.forkserver" in " ".join(one.cmdline())]
        workers = [one for one in servers if one.parent() in servers and one.cpu_times().user > 0.5]
        if workers:
            return workers
        time.sleep(0.05)
    raise AssertionError("no worker process computes")


def test_a_killed_worker_costs_one_fit_that_is_repeated(project):
    expected = project.run(*SLOW, "--json")
    assert expected.code == 0, expected.err
    with Started(project, *SLOW, "--json") as training:
        training.wait_for("persistence: done")
        fitting(training.process.pid)[0].kill()
        training.ended(time.monotonic())
    assert training.code == 0, training.seen
    result = json.loads(training.seen.splitlines()[-1])["result"]
    rmse = {one["model_type"]: one["metrics"]["test_rmse"] for one in result["models"]}
    assert rmse == {one["model_type"]: one["metrics"]["test_rmse"] for one in expected.json()["models"]}


def test_a_stopped_training_ends_its_workers(project):
    with Started(project, *SLOW) as training:
        training.wait_for("persistence: done")
        workers = fitting(training.process.pid)
        began = time.monotonic()
        training.process.send_signal(signal.SIGTERM)
        seconds = training.ended(began)
    assert seconds < 5, training.seen
    assert training.code == 128 + signal.SIGTERM
    assert psutil.wait_procs(workers, timeout=5)[1] == []
