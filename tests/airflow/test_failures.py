"""Failures driven for real: never two trainings at once, never a run left RUNNING, nothing lost, each told once."""

from __future__ import annotations

import signal

import psutil

from tests.airflow.conftest import SLOW, TINY, World
from tests.airflow.instance import DagRun
from tests.airflow.trainings import Trainings

NOBODY = "http://127.0.0.1:9"


def test_missing_data_end_the_run_at_once(world: World, first: DagRun):
    data = world.project / first.xcom("transform_data")
    kept = data.rename(data.with_suffix(".kept"))
    number = next_try(first)
    first.end("failed")
    assert first.task("train_model")["try_number"] == number, "exit 4 is not tried again"
    log = first.log("train_model", number)
    assert "transform_data returned no data set: there is no such file" in log
    kept.rename(data)
    failure = f"train_model/{number}"
    world.airflow.wait(lambda: failure in world.webhook.ids(first.run_id), "no alert came")
    assert world.webhook.ids(first.run_id).count(failure) == 1


def test_a_training_without_mlflow_is_delivered_by_sync(world: World, first: DagRun):
    versions = set(world.versions())
    settings = world.project / ".env"
    settings.write_text(f"MLFLOW_TRACKING_URI={NOBODY}\n")
    number = next_try(first)
    first.until("train_model", lambda task: task["state"] == "up_for_retry")
    settings.unlink()
    lost = first.log("train_model", number).partition('"training_id": "')[2][:22]
    assert lost
    first.end("success")
    # The next try synced first: both trainings are in the store. Their model is that of the first run: no new version.
    assert world.statuses(lost) == {"FINISHED"}
    assert world.statuses(first.xcom("train_model")["training_id"]) == {"FINISHED"}
    assert set(world.versions()) == versions
    assert "no runs are waiting" in world.cryptoml("sync").out


def next_try(run: DagRun) -> int:
    """Clear the training of a run that is over; the number of the try that follows."""
    number = int(run.task("train_model")["try_number"]) + 1
    run.clear("train_model")
    run.until("train_model", lambda task: task["try_number"] == number)
    return number


def test_a_training_that_is_timed_out_cleared_and_killed(world: World):
    slow = world.project / "configs" / "slow.yaml"
    slow.write_text(SLOW)
    world.airflow.choose(train_limit_seconds=10)
    with Trainings(world.project) as trainings:
        run = world.airflow.trigger("crypto_training", models=["gbm"], config="configs/slow.yaml")
        run.until("train_model", lambda task: task["state"] == "up_for_retry")
        assert "return code 124" in run.log("train_model", 1)
        assert trainings.now() == [], "the time-out ended the training"

        world.airflow.choose(train_limit_seconds=600)
        first = _training(world, trainings)
        run.clear("train_model")
        world.airflow.wait(lambda: not first.is_running(), "the cleared training goes on")

        second = _training(world, trainings)
        _worker_of(second).send_signal(signal.SIGKILL)
        run.end("failed")
        world.airflow.wait(lambda: not second.is_running(), "the training outlives its worker")

        run.clear("train_model")
        third = _training(world, trainings)
        slow.write_text(TINY)
        third.send_signal(signal.SIGKILL)
        result = run.end("success").xcom("train_model")
        assert trainings.most == 1
        assert len(trainings.seen) == 5
    assert world.statuses(result["training_id"]) == {"FINISHED"}
    assert {run["status"] for run in world.runs()} <= {"FINISHED", "KILLED", "FAILED"}
    assert "no runs are waiting" in world.cryptoml("sync").out
    ended = [run for run in world.runs() if run["status"] != "FINISHED"]
    assert len({run["tags"]["training_id"] for run in ended}) == 4, "each training that was stopped is told of"
    ids = world.webhook.ids(run.run_id)
    assert len(ids) == len(set(ids))
    assert set(ids) >= {"train_model/1", "train_model/3", "train_model/4"}, ids


def _training(world: World, trainings: Trainings) -> psutil.Process:
    """The one training, once it has opened its runs."""
    journal = world.project / ".cryptoml" / "journal"
    before = set(journal.iterdir())
    world.airflow.wait(lambda: set(journal.iterdir()) - before, "no training opens its runs")
    return trainings.now()[0]


def _worker_of(training: psutil.Process) -> psutil.Process:
    """Airflow's worker: above the shell, the guard and the process that runs the task."""
    return next(one for one in training.parents() if "LocalExecutor" in " ".join(one.cmdline()))
