"""Two trainings with the same output: the second is refused or waits; stale locks do not block."""

from __future__ import annotations

import json
import platform
import shutil
import signal
import time

import pytest

from tests.cli.pause import PAUSED, Started, paused
from tests.conftest import Project, make_project

QUICK = (
    "--models", "ridge", "--set", "split.cross_validation_folds=2", "--set", "tracking.profile_report=false",
    "--set", "gate.min_skill=-1", "--no-cache",
)  # fmt: skip
BTC = ("--data", "data/raw/btc.csv")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("locked"))
    assert project.run("sample-data", "--years", 0.3, "-o", "data/raw/btc.csv").code == 0
    shutil.copy(project.folder / "data/raw/btc.csv", project.folder / "data/raw/eth.csv")
    (project.folder / "link.csv").symlink_to("data/raw/btc.csv")
    return project


@pytest.fixture
def holder(project):
    """Start a training of btc.csv and pause it during its fits."""
    with paused(project, "cryptoml.training.fit_task:fit", "train", *BTC, *QUICK) as training:
        training.wait_for(PAUSED)
        yield training


def test_a_second_training_is_refused_and_names_the_running_process(project, holder):
    began = time.monotonic()
    done = project.run("train", "--data", "link.csv", "--models", "rf", "--json")
    assert time.monotonic() - began < 5
    assert done.code == 5
    assert json.loads(done.out)["error"]["kind"] == "unavailable"
    fact, hint = done.err.splitlines()
    assert f"is running: pid {holder.process.pid} on {platform.node()}, since 2" in fact
    assert "--wait" in hint
    waited = project.run("train", *BTC, *QUICK, "--wait", 0.5)
    assert waited.code == 5
    assert "Waiting up to 0.5 s" in waited.err
    # The locks are for one output each: another file of the same symbol, another experiment.
    other = project.run("train", "--data", "data/raw/eth.csv", *QUICK)
    assert other.code == 0, other.err
    apart = project.run("train", *BTC, *QUICK, environ={"MLFLOW_EXPERIMENT_NAME": "apart"})
    assert apart.code == 0, apart.err
    assert holder.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_waiting_training_starts_when_the_other_has_ended(project, holder, number):
    """A lock is released when its process ends, however it ends."""
    with Started(project, "train", *BTC, *QUICK, "--wait", 60) as waiting:
        waiting.wait_for(f"is running: pid {holder.process.pid} on")
        holder.end(number)
        waiting.ended(time.monotonic())
    assert waiting.code == 0, waiting.seen


def test_a_signal_ends_the_wait(project, holder):
    with Started(project, "train", *BTC, *QUICK, "--wait", 600) as waiting:
        waiting.wait_for("Waiting up to 600 s")
        assert waiting.end(signal.SIGTERM) < 2
    assert waiting.code == 143


def test_a_folder_without_the_data_is_not_changed(tmp_path):
    project = make_project(tmp_path / "new")
    (project.folder / ".cryptoml").rmdir()
    done = project.run("train", "--data", "no.csv", *QUICK, environ={"PYTHONPROFILEIMPORTTIME": "1"})
    assert (done.code, done.out) == (4, "")
    assert "cryptoml.workflows.training.train" in done.err
    assert "mlflow" not in done.err, "a name typed wrong is answered before anything heavy is loaded"
    assert "pandas" not in done.err
    assert not (project.folder / ".cryptoml").exists()
