"""Registering by hand: the gate that train asks, and a clear answer for every run that cannot be a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, UsageError
from cryptoml.registry.versions import get_version, list_versions
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.journal.records import Status
from cryptoml.tracking.store.project_store import open_project_store
from cryptoml.workflows.promote import PromoteRequest, promote
from cryptoml.workflows.register import RegisterRequest, RegisterResult, register
from tests.lab import Lab, config_of, turned_around


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Config:
    return config_of(request.node.name.replace("[", "-").replace("]", ""), gate={"min_skill": -1})


def enter(lab: Lab, config: Config, run: str | None, **more: object) -> RegisterResult:
    return register(RegisterRequest(lab.settings, config, run, **more))  # type: ignore[arg-type]


def test_a_run_becomes_a_version_that_says_what_it_is(lab: Lab, config: Config) -> None:
    done = enter(lab, config, lab.runs["ridge"])
    assert (done.version, done.is_new, done.reasons) == ("1", True, ())
    with open_project_store(lab.settings) as store:
        version = get_version(store, config.registry.model_name, "1")
        run = store.client.get_run(lab.runs["ridge"])
    assert version.run_id == lab.runs["ridge"]
    for part in ("ridge", "SIM 1h", "1 candle ahead", "sim.csv", "persistence", run.data.tags["dataset_version"]):
        assert part in version.description
    assert version.tags["verdict"] == run.data.tags["verdict"]
    assert version.tags["training_id"] == run.data.tags["training_id"]
    assert version.tags["gate"] == "passed"


def test_the_same_run_stays_the_same_version(lab: Lab, config: Config) -> None:
    enter(lab, config, lab.runs["ridge"])
    again = enter(lab, config, lab.names["ridge"])
    assert (again.version, again.is_new) == ("1", False)
    with open_project_store(lab.settings) as store:
        assert len(list_versions(store, config.registry.model_name)) == 1


def test_the_best_is_the_least_cv_rmse_of_the_newest_training(lab: Lab, config: Config) -> None:
    done = enter(lab, config, None)
    with open_project_store(lab.settings) as store:
        scores = {
            key: store.client.get_run(run_id).data.metrics["cv_rmse_mean"]
            for key, run_id in lab.runs.items()
            if key != "persistence"
        }
    assert done.run_id == lab.runs[min(scores, key=scores.__getitem__)]


def test_the_gate_says_no_and_can_be_forced_with_a_reason(lab: Lab, config: Config) -> None:
    strict = config_of(config.registry.model_name, gate={"min_skill": 0.9})
    with pytest.raises(CheckFailedError, match="below the minimum"):
        enter(lab, strict, lab.runs["ridge"])
    with open_project_store(lab.settings) as store:
        assert list_versions(store, config.registry.model_name) == ()
    with pytest.raises(UsageError, match="requires a reason"):
        enter(lab, strict, lab.runs["ridge"], force=True)
    done = enter(lab, strict, lab.runs["ridge"], force=True, reason="for a demonstration")
    assert done.reasons
    with open_project_store(lab.settings) as store:
        tags = get_version(store, config.registry.model_name, done.version).tags
    assert tags["gate"].startswith("forced: The hold-out skill")
    assert tags["reason"] == "for a demonstration"


def test_data_that_failed_its_checks_keep_a_model_out(lab: Lab, config: Config) -> None:
    strict = config_of(config.registry.model_name, gate={"min_skill": -1}, quality={"max_missing_share": 0})
    assert enter(lab, strict, lab.runs["ridge"]).is_new
    with pytest.raises(CheckFailedError, match="is the persistence baseline"):
        enter(lab, config, lab.runs["persistence"])


@pytest.mark.parametrize(("status", "model", "match"), [
    ("FAILED", True, "is FAILED; only a FINISHED run can be registered"),
    ("KILLED", True, "is KILLED"),
    ("FINISHED", True, "not created by cryptoml train"),
])  # fmt: skip
def test_a_run_that_cannot_be_a_version(
    lab: Lab, config: Config, tmp_path: Path, status: Status, model: bool, match: str
) -> None:
    run = Journal(tmp_path / "journal").open_run(training_id="t", experiment="e", run_name="ridge_2024-11-27_001")
    run.end(status)
    with open_project_store(lab.settings) as store:
        run_id = deliver(run.entry, store).run_id
    with pytest.raises(CheckFailedError, match=match):
        enter(lab, config, run_id)


def test_runs_that_do_not_exist(lab: Lab, config: Config) -> None:
    for text in ("0" * 32, "ridge_1999-01-01_001", "no such; run"):
        with pytest.raises(UsageError):
            enter(lab, config, text)


def test_a_deleted_model_is_reported(lab: Lab, config: Config) -> None:
    with open_project_store(lab.settings) as store:
        root = Path(store.client.get_run(lab.runs["gbm"]).info.artifact_uri.removeprefix("file://"))
    (root / "models").rename(root / "away")
    try:
        with pytest.raises(CheckFailedError, match="has no model"):
            enter(lab, config, lab.runs["gbm"])
    finally:
        (root / "away").rename(root / "models")


def test_it_meets_the_version_in_production(lab: Lab, config: Config) -> None:
    enter(lab, config, lab.runs["ridge"])
    promote(PromoteRequest(lab.settings, config, "1", "production", reason="first"))
    few = config_of(config.registry.model_name, gate={"min_skill": -1}, promotion={"min_candles": 100000})
    done = enter(lab, few, lab.runs["gbm"])
    assert any("candles are new to both" in warning for warning in done.warnings)


def test_one_that_is_worse_than_the_version_in_production_stays_out(lab: Lab, config: Config) -> None:
    enter(lab, config, lab.runs["ridge"])
    promote(PromoteRequest(lab.settings, config, "1", "production", reason="first"))
    with (
        open_project_store(lab.settings) as store,
        turned_around(lab, store, "xgb"),
        pytest.raises(CheckFailedError, match="significantly worse than version 1 in production"),
    ):
        enter(lab, config, lab.runs["xgb"])
