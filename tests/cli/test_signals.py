"""Signals in every phase of a training: time to exit, exit code and remaining files."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.cli.pause import PAUSED, Started, paused
from tests.conftest import Project, make_project

LIMIT_S = 5.0
FIT = "cryptoml.training.fit_task:fit"
QUICK = (
    "--data", "data/raw/sim.csv", "--models", "ridge", "--set", "split.cross_validation_folds=2",
    "--set", "tracking.profile_report=false", "--set", "gate.min_skill=-1", "--no-cache",
)  # fmt: skip


def make_candles(project: Project) -> Project:
    assert project.run("sample-data", "--years", 0.3, "--signal", 0.2, "-o", "data/raw/sim.csv").code == 0
    return project


@pytest.fixture(scope="module")
def settled(tmp_path_factory) -> Project:
    """A project with candles and the store of a finished training."""
    project = make_candles(make_project(tmp_path_factory.mktemp("settled")))
    done = project.run("train", *QUICK)
    assert done.code == 0, done.err
    return project


def client(project: Project):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")


def runs(project: Project) -> dict[str, str]:
    """Return run name -> status for all runs in the store."""
    store = client(project)
    experiment = store.get_experiment_by_name("crypto-price-prediction")
    return {run.info.run_name: run.info.status for run in store.search_runs([experiment.experiment_id])}


def new_runs(project: Project, before: dict[str, str]) -> list[str]:
    """Return the statuses of the runs that are not in `before`."""
    return sorted(status for name, status in runs(project).items() if name not in before)


def versions(project: Project) -> list:
    return sorted(client(project).search_model_versions(""), key=lambda one: int(one.version))


def leftovers(project: Project) -> list[str]:
    """Unfinished files below the project."""
    return [
        str(path.relative_to(project.folder))
        for path in project.folder.rglob("*")
        if path.name.endswith((".part", ".partial", ".tmp", ".partial.html"))
    ]


def check(ended: Started, seconds: float, number: signal.Signals = signal.SIGTERM) -> None:
    assert seconds < LIMIT_S, ended.seen
    assert ended.code == 128 + number, ended.seen
    assert ended.seen.splitlines()[-1] == "cryptoml: stopped by a signal."
    assert "Traceback" not in ended.seen


def test_native_fits_are_stopped_in_time(settled):
    """Two signals in quick succession, as some schedulers send them."""
    before = runs(settled)
    flags = ("--set", "training.models=[rf]", "--set", "models.rf.n_estimators=5000",
             "--set", "models.rf.implementation=sklearn")  # fmt: skip
    with Started(settled, "train", *QUICK[:2], *QUICK[4:], *flags) as training:
        training.wait_for("persistence: 1/3")
        began = time.monotonic()
        training.process.send_signal(signal.SIGINT)
        training.process.send_signal(signal.SIGINT)
        check(training, training.ended(began), signal.SIGINT)
    assert settled.run("sync").code == 0
    assert new_runs(settled, before) == ["KILLED", "KILLED"]
    assert leftovers(settled) == []


@pytest.mark.parametrize(
    ("at", "how"),
    [("cryptoml.workflows.training.recording:record_result", "deaf"), (FIT, "locked")],
    ids=["deaf", "locked"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_process_that_cannot_clean_up_is_ended(settled, at, how, number):
    """A library that swallows all exceptions, and native code that holds the GIL, as accelerated fits do."""
    before = runs(settled)
    with paused(settled, at, "train", *QUICK, how=how) as training:
        training.wait_for(PAUSED)
        check(training, training.end(number), number)
    assert settled.run("sync").code == 0
    assert new_runs(settled, before) == ["KILLED", "KILLED"]


@pytest.mark.parametrize(
    "at",
    [
        "cryptoml.workflows.training.train:preload",
        "cryptoml.workflows.training.inputs:read_any",
    ],
    ids=["libraries", "candles"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], ids=lambda one: one.name)
def test_no_files_remain_if_no_run_was_started(settled, at, number):
    """Also if the current call is inside an `except Exception` of a library."""
    before = sorted((settled.folder / ".cryptoml" / "journal").rglob("*.jsonl"))
    with paused(settled, at, "train", *QUICK) as training:
        training.wait_for(PAUSED)
        check(training, training.end(number), number)
    assert sorted((settled.folder / ".cryptoml" / "journal").rglob("*.jsonl")) == before


def test_an_unresponsive_store_does_not_delay_the_exit(hub):
    make_candles(hub)
    with paused(hub, "cryptoml.workflows.training.registration:best_of", "train", *QUICK) as training:
        training.wait_for(PAUSED)
        hub.standin.state.delay_s = 60
        hub.standin.state.mode = "slow"
        check(training, training.end(signal.SIGTERM))
    hub.standin.state.reset()


@pytest.mark.parametrize(("how", "made"), [("before", 0), ("after", 1)])
def test_a_version_is_complete_or_does_not_exist(settled, how, made):
    """The signal arrives just before or just after the request for a version."""
    before = len(versions(settled))
    at = "mlflow.tracking.client:MlflowClient.create_model_version"
    # A config of its own, as the same model would not become a version again.
    config = ("--set", f"training.random_seed={100 + made}")
    with paused(settled, at, "train", *QUICK, *config, how=how) as training:
        training.wait_for(PAUSED)
        check(training, training.end(signal.SIGTERM))
    assert len(versions(settled)) == before + made
    assert settled.run("sync").code == 0
    found = versions(settled)
    assert len(found) == before + 1
    assert found[-1].status == "READY"
    assert found[-1].tags["run_name"] in runs(settled)
    assert "RUNNING" not in runs(settled).values()


def test_the_profile_report_is_stopped_with_the_training(tmp_path):
    project = make_candles(make_project(tmp_path / "p"))
    with paused(project, FIT, "train", *QUICK, "--set", "tracking.profile_report=true") as one:
        one.wait_for(PAUSED)
        deadline = time.monotonic() + 30
        while not (children := psutil.Process(one.process.pid).children(recursive=True)):
            assert time.monotonic() < deadline, "no report was begun"
            time.sleep(0.05)
        check(one, one.end(signal.SIGTERM))
    psutil.wait_procs(children, timeout=5)
    assert [child for child in children if child.is_running()] == []
    assert [path for path in (project.folder / ".cryptoml" / "profiles").rglob("*") if path.is_file()] == []


def test_runs_of_a_killed_process_are_delivered_and_a_stop_is_recorded_immediately(settled):
    before = runs(settled)
    with paused(settled, FIT, "train", *QUICK) as training:
        training.wait_for(PAUSED)
        training.end(signal.SIGKILL)
        assert training.code == -signal.SIGKILL
    with paused(settled, FIT, "train", *QUICK) as training:
        for _ in range(2):
            training.wait_for("of an interrupted training was delivered: FAILED")
        check(training, training.end(signal.SIGTERM))
    assert new_runs(settled, before) == ["FAILED", "FAILED", "KILLED", "KILLED"]
