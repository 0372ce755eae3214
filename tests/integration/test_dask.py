"""Fits on a real Dask scheduler with two worker processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import socket

import psutil
import pytest

import cryptoml
from tests.cli.pause import Started
from tests.conftest import Project, make_project

QUICK = ("--models", "ridge,xgb", "--set", "split.cross_validation_folds=3", "--set", "models.xgb.n_estimators=20",
         "--set", "gate.min_skill=-1", "--set", "tracking.profile_report=false", "--no-cache")  # fmt: skip
# Fits of several seconds.
SLOW = ("train", "--data", "data/raw/AAAUSDT_1h.csv", "--models", "rf", "--set", "models.rf.n_estimators=500",
        "--set", "models.rf.implementation=sklearn", "--set", "split.cross_validation_folds=3",
        "--set", "gate.min_skill=-1", "--set", "tracking.profile_report=false", "--no-cache")  # fmt: skip


class Cluster:
    """A scheduler on a free port, and its workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.options = ("--engine", "dask", "--dask-address", self.address)

    def start(self, *, workers: int = 2, package: Path | None = None) -> None:
        """Start scheduler and workers; package: a folder from which the workers import cryptoml instead."""
        import distributed

        self.scheduler = self._popen("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", str(self._folder))
        environ = {"PYTHONPATH": str(package)} if package else {}
        self.workers = [self._popen("worker", self.address, *options, **environ) for _ in range(workers)]
        with distributed.Client(self.address, timeout=60, set_as_default=False) as client:
            if workers:
                client.wait_for_workers(workers, timeout=60)

    def _popen(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        log = (self._folder / f"{arguments[0]}-{len(self._processes)}.log").open("wb")
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder, env={**os.environ, **environ}
        )
        self._processes.append(process)
        return process

    def processing(self) -> int:
        """Return the number of tasks that the scheduler has."""
        import distributed

        with distributed.Client(self.address, timeout=30, set_as_default=False) as client:
            found: int = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            return found

    def stop(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("dask"))
    for seed, symbol in enumerate(("AAAUSDT", "BBBUSDT"), start=1):
        market = ("--seed", seed, "--symbol", symbol, "--signal", 0.1, "--years", 0.3)
        made = project.run("sample-data", *market, "-o", f"data/raw/{symbol}_1h.csv")
        assert made.code == 0, made.err
    return project


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def own_cluster(tmp_path) -> Iterator[Cluster]:
    """A cluster that the test may break."""
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def digits(done) -> dict[str, dict[str, float]]:
    measured = ("training_time_seconds", "prediction_latency_ms")
    return {
        f"{market['data']} {model['model_type']}": {
            name: value for name, value in model["metrics"].items() if name not in measured
        }
        for market in done.json()["markets"]
        for model in market["training"]["models"]
    }


def test_markets_get_the_same_digits_as_locally(project: Project, cluster: Cluster):
    here = project.run("train", "--data", "data/raw", *QUICK, "--json")
    there = project.run("train", "--data", "data/raw", *QUICK, "--json", *cluster.options)
    assert (here.code, there.code) == (0, 0), there.err
    assert digits(here) == digits(there)
    assert cluster.processing() == 0


def test_fits_of_a_cluster_are_cached_here(project: Project, cluster: Cluster):
    command = ("train", "--data", "data/raw/AAAUSDT_1h.csv", *QUICK[:-1])
    first = project.run(*command, environ={"CRYPTOML_ENGINE": "dask", "CRYPTOML_DASK_ADDRESS": cluster.address})
    assert first.code == 0, first.err
    again = project.run(*command)
    assert "12 of 12 fits were reused from the cache" in again.err


def test_a_killed_worker_costs_no_fit(project: Project, own_cluster: Cluster):
    own_cluster.start()
    with Started(project, *SLOW, "--json", *own_cluster.options) as training:
        training.wait_for("persistence: done")
        busy = next(one for one in own_cluster.workers if computes(one.pid))
        busy.kill()
        training.ended(time.monotonic())
    assert training.code == 0, training.seen


def computes(pid: int) -> bool:
    """Wait for up to 10 s for the process to use its core."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if psutil.Process(pid).cpu_percent(0.3) > 30:
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_a_lost_scheduler_ends_the_training_with_5_and_a_complete_journal(
    number: signal.Signals, project: Project, own_cluster: Cluster
):
    own_cluster.start()
    with Started(project, *SLOW, "--json", *own_cluster.options) as training:
        training.wait_for("persistence: done")
        own_cluster.scheduler.send_signal(number)
        training.ended(time.monotonic())
    assert training.code == 5, training.seen
    assert own_cluster.address in training.seen
    statuses = {line["model_type"]: line["status"] for line in last_document(training.seen)["models"]}
    assert statuses == {"persistence": "FINISHED", "rf": "FAILED"}
    assert project.run("sync").code == 0


def last_document(seen: str) -> dict:
    import json

    found: dict = json.loads(seen.splitlines()[-1])["result"]
    return found


def test_a_stopped_training_leaves_no_task(project: Project, cluster: Cluster):
    with Started(project, *SLOW, *cluster.options) as training:
        training.wait_for("persistence: done")
        training.end(signal.SIGINT)
    assert training.code == 130, training.seen
    deadline = time.monotonic() + 60
    while cluster.processing() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert cluster.processing() == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--dask-address", "tcp://127.0.0.1:9"), 5, "tcp://127.0.0.1:9: the Dask scheduler does not answer"),
        (("--dask-address", "somewhere"), 3, "somewhere: a Dask scheduler is needed"),
        ((), 3, "no address: a Dask scheduler is needed"),
        (("--engine", "spark"), 2, "spark"),
    ],
)
def test_a_wrong_address_is_reported_before_the_candles_are_read(options, code: int, said: str, project: Project):
    done = project.run("train", "--data", "data/raw/AAAUSDT_1h.csv", *QUICK, "--engine", "dask", *options)
    assert done.code == code, done.err
    assert said in done.err
    assert "candles of" not in done.err


def test_a_scheduler_without_workers_is_reported(project: Project, own_cluster: Cluster):
    own_cluster.start(workers=0)
    done = project.run("train", "--data", "data/raw/AAAUSDT_1h.csv", *QUICK, *own_cluster.options)
    assert done.code == 5, done.err
    assert "has no workers" in done.err


def test_workers_with_other_code_are_refused(project: Project, own_cluster: Cluster, tmp_path: Path):
    package = tmp_path / "other"
    shutil.copytree(Path(cryptoml.__file__).parent, package / "cryptoml")
    with (package / "cryptoml" / "models" / "ridge.py").open("a") as file:
        file.write("# another version\n")
    own_cluster.start(workers=1, package=package)
    done = project.run("train", "--data", "data/raw/AAAUSDT_1h.csv", *QUICK, *own_cluster.options)
    assert done.code == 5, done.err
    assert "has another version of cryptoml" in done.err
