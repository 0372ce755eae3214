"""From journal to store and back: whole, once, whatever breaks in between."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from cryptoml.errors import ConfigError, DataError, UnavailableError
from cryptoml.events import Event, Warned
from cryptoml.tracking.journal.deliver import deliver, deliver_pending
from cryptoml.tracking.journal.entries import Delivery
from cryptoml.tracking.journal.journal import Journal, JournalRun
from cryptoml.tracking.journal.records import Registration
from cryptoml.tracking.runs import get_run, highest_run_number, search_runs
from cryptoml.tracking.store.store import Store, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db") as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def record(journal: Journal, experiment: str, tmp_path: Path, *, name: str = "ridge_2024-11-27_001") -> JournalRun:
    """A finished run with a bit of everything."""
    run = journal.open_run(
        training_id="t1",
        experiment=experiment,
        run_name=name,
        tags={"author": "me", "git_commit": "abc", "status": "running"},
        start_time_ms=1_000,
    )
    run.log_params({f"p{number}": number for number in range(130)})
    run.log_metrics({"rmse": 1.5, "dm_p_value": math.nan}, timestamp_ms=2_000)
    for fold in range(1, 6):
        run.log_metrics({"cv_rmse": fold / 3}, step=fold, timestamp_ms=2_000)
    source = tmp_path / "source"
    (source / "plots").mkdir(parents=True, exist_ok=True)
    (source / "plots" / "a.png").write_bytes(b"a" * 1000)
    (source / "data.csv").write_text("x\n")
    run.add_artifact_folder(source, "all")
    run.set_tags({"status": "finished"})
    run.end("FINISHED", end_time_ms=9_000)
    return run


def files(store: Store, run_id: str) -> dict[str, int]:
    found: dict[str, int] = {}
    waiting: list[str | None] = [None]
    while waiting:
        for one in store.client.list_artifacts(run_id, waiting.pop()):
            if one.is_dir:
                waiting.append(one.path)
            else:
                found[one.path] = one.file_size
    return found


def check_whole(store: Store, run_id: str, experiment: str) -> None:
    """The run is there once and has exactly what `record` wrote."""
    assert [run.run_id for run in search_runs(store, experiment)] == [run_id]
    run = get_run(store, run_id)
    assert (run.status, run.start_time_ms, run.end_time_ms) == ("FINISHED", 1_000, 9_000)
    assert run.name == "ridge_2024-11-27_001"
    assert dict(run.params) == {f"p{number}": str(number) for number in range(130)}
    assert run.metrics["rmse"] == 1.5
    assert math.isnan(run.metrics["dm_p_value"])
    history = store.client.get_metric_history(run_id, "cv_rmse")
    assert [(one.step, one.value) for one in history] == [(fold, fold / 3) for fold in range(1, 6)]
    assert len(store.client.get_metric_history(run_id, "dm_p_value")) == 1
    expected = {"author": "me", "status": "finished", "mlflow.user": "me", "mlflow.source.git.commit": "abc"}
    assert expected.items() <= dict(run.tags).items()
    assert files(store, run_id) == {"all/plots/a.png": 1000, "all/data.csv": 2}


def test_a_run_arrives_whole_and_leaves_nothing_waiting(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = record(journal, experiment, tmp_path)
    done = deliver(run.entry, store)
    assert done.created
    check_whole(store, done.run_id, experiment)
    assert journal.pending() == ()
    assert not run.entry.staging.exists()
    again = deliver(run.entry, store)
    assert (again.run_id, again.created) == (done.run_id, False)
    check_whole(store, done.run_id, experiment)


class Broken(Exception):
    """The process dies here."""


WRITES = ("create_run", "log_batch", "log_artifact", "set_terminated")


def writer(store: Store, write: str) -> Any:
    """What has the method: the client, or the repository that artifacts go to."""
    return LocalArtifactRepository if write == "log_artifact" else store.client


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("write", "nth"), [(write, 1) for write in WRITES] + [("log_artifact", 2), ("log_batch", 2)])
def test_a_delivery_that_dies_at_any_write_is_finished_by_the_next(
    journal: Journal, store: Store, experiment: str, tmp_path: Path, write: str, nth: int, after: bool
) -> None:
    run = record(journal, experiment, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        original: Callable[..., Any] = getattr(writer(store, write), write)
        calls = 0

        def die(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            result = original(*given, **named) if after or calls != nth else None
            if calls == nth:
                raise Broken
            return result

        patch.setattr(writer(store, write), write, die)
        with pytest.raises(Broken):
            deliver(run.entry, store)
    assert journal.pending() == (run.entry,)
    done = deliver(run.entry, store)
    check_whole(store, done.run_id, experiment)
    assert journal.pending() == ()


def test_a_lost_or_damaged_delivery_mark_creates_no_duplicates(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = record(journal, experiment, tmp_path)
    first = deliver(run.entry, store)
    run.entry.path.with_suffix(".delivered.json").write_text("{")
    with pytest.MonkeyPatch.context() as patch:
        # Some stores take a point twice that this one would fold into one: nothing may be sent again.
        for write in WRITES:
            patch.setattr(writer(store, write), write, lambda *given, **named: pytest.fail(f"written again: {given}"))
        assert deliver(run.entry, store).run_id == first.run_id
    check_whole(store, first.run_id, experiment)


def test_two_deliverers_at_once_make_one_run(journal: Journal, store: Store, experiment: str, tmp_path: Path) -> None:
    run = record(journal, experiment, tmp_path)
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(deliver(run.entry, store).run_id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1
    check_whole(store, ids[0], experiment)


def test_a_running_run_is_shown_and_completed_later(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = journal.open_run(training_id="t", experiment=experiment, run_name="n")
    run.log_metrics({"m": 1.0}, timestamp_ms=1)
    first = deliver(run.entry, store)
    assert get_run(store, first.run_id).status == "RUNNING"
    assert deliver_pending(journal, store).delivered == ()
    run.log_metrics({"m": 2.0}, step=1, timestamp_ms=2)
    run.end("FAILED")
    report = deliver_pending(journal, store)
    assert [one.run_id for one in report.delivered] == [first.run_id]
    assert get_run(store, first.run_id).status == "FAILED"
    assert [one.value for one in store.client.get_metric_history(first.run_id, "m")] == [1.0, 2.0]


DYING = """
import os, sys
from pathlib import Path
from cryptoml.tracking.journal.journal import Journal
journal = Journal(Path(sys.argv[1]))
run = journal.open_run(
    training_id="t", experiment=sys.argv[2], run_name=sys.argv[3], tags={"status": "running"})
run.log_metrics({"m": 1.0})
if sys.argv[3] == "stopped":
    journal.mark_stopped(os.getpid(), 15)
if sys.argv[3] == "torn":
    with run.entry.path.open("ab") as file:
        file.write(b'{"crc":"12345678","record":{"kind":"metr')
os._exit(9)
"""


def test_runs_of_dead_processes_arrive_as_failed_or_killed(journal: Journal, store: Store, experiment: str) -> None:
    for name in ("crashed", "stopped", "torn"):
        subprocess.run([sys.executable, "-c", DYING, str(journal.root), experiment, name], check=False)
    heard: list[Event] = []
    report = deliver_pending(journal, store, on_event=heard.append)
    assert report.error is None
    found = {run.name: (run.status, run.tags["status"], run.metrics["m"]) for run in search_runs(store, experiment)}
    assert found == {
        "crashed": ("FAILED", "failed", 1.0),
        "stopped": ("KILLED", "killed", 1.0),
        "torn": ("FAILED", "failed", 1.0),
    }
    assert [event.text for event in heard if isinstance(event, Warned)] == [
        "torn: 1 damaged line(s) of its journal are left out."
    ]
    assert journal.pending() == ()


def test_a_registration_is_asked_for_once_the_run_is_there(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = record(journal, experiment, tmp_path)
    first = deliver(run.entry, store)
    run.request_registration("model", description="d", tags={"a": 1})
    deliver(run.entry, store)
    assert journal.pending() == (run.entry,)
    asked: list[tuple[str, Registration]] = []

    def register(run_id: str, wish: Registration) -> tuple[str, str]:
        asked.append((run_id, wish))
        return wish.model_name, "4"

    done = deliver(run.entry, store, register=register)
    assert asked == [(first.run_id, Registration("model", "models/model", "d", {"a": "1"}))]
    assert done.versions == (("model", "4"),)
    assert journal.pending() == ()
    assert deliver(run.entry, store, register=register).versions == (("model", "4"),)
    assert len(asked) == 1
    check_whole(store, first.run_id, experiment)


def test_a_failed_run_is_not_registered(journal: Journal, store: Store, experiment: str) -> None:
    run = journal.open_run(training_id="t", experiment=experiment, run_name="n")
    run.request_registration("model")
    run.end("FAILED")
    deliver(run.entry, store, register=lambda run_id, wish: pytest.fail("registered"))
    assert journal.pending() == ()


def test_what_a_store_does_not_take_is_cut_or_kept_in_a_tag(journal: Journal, store: Store, experiment: str) -> None:
    run = journal.open_run(training_id="t", experiment=experiment, run_name="n", tags={"long": "t" * 9000})
    run.log_params({"p" * 300: "v" * 7000})
    run.log_metrics({"m" * 300: 1.0, "r2": -math.inf, "mape": math.inf}, step=2)
    run.end("FINISHED")
    heard: list[Event] = []
    done = deliver(run.entry, store, on_event=heard.append)
    view = get_run(store, done.run_id)
    assert dict(view.params) == {"p" * 250: "v" * 6000}
    assert len(view.tags["long"]) == 8000
    assert dict(view.metrics) == {"m" * 250: 1.0}
    assert view.tags["not_finite_metrics"] == "r2=-inf (step 2), mape=inf (step 2)"
    assert len([event for event in heard if isinstance(event, Warned)]) == 5


def test_requests_stay_below_the_servers_limits(journal: Journal, store: Store, experiment: str) -> None:
    run = journal.open_run(training_id="t", experiment=experiment, run_name="n")
    run.log_params({f"p{number}": "\N{SNOWMAN}" * 6000 for number in range(60)})
    for step in range(2500):
        run.log_metrics({"loss": step / 7}, step=step)
    run.end("FINISHED")
    done = deliver(run.entry, store)
    assert len(store.client.get_metric_history(done.run_id, "loss")) == 2500
    assert len(get_run(store, done.run_id).params) == 60


def test_a_server_that_refuses_nan_gets_the_rest(
    journal: Journal, store: Store, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import RestException

    original = store.client.log_batch

    def refuse(run_id: str, metrics: Any = (), **named: Any) -> Any:
        if any(math.isnan(one.value) for one in metrics):
            raise RestException({"error_code": "BAD_REQUEST", "message": "NaN"})
        return original(run_id, metrics=metrics, **named)

    monkeypatch.setattr(store.client, "log_batch", refuse)
    done = deliver(record(journal, experiment, tmp_path).entry, store)
    view = get_run(store, done.run_id)
    assert set(view.metrics) == {"rmse", "cv_rmse"}
    assert view.tags["not_finite_metrics"] == "dm_p_value=nan (step 0)"


def test_a_staged_artifact_that_changed_stays_out(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = record(journal, experiment, tmp_path)
    (run.entry.staging / "all" / "data.csv").write_text("y\n")
    heard: list[Event] = []
    done = deliver(run.entry, store, on_event=heard.append)
    assert files(store, done.run_id) == {"all/plots/a.png": 1000}
    assert any(isinstance(event, Warned) and "all/data.csv is damaged" in event.text for event in heard)


def test_a_run_deleted_in_the_store_is_not_brought_back(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = record(journal, experiment, tmp_path)
    first = deliver(run.entry, store)
    store.client.delete_run(first.run_id)
    run.entry.mark(Delivery(store.uri))
    assert deliver(run.entry, store).status == "DELETED"
    assert journal.pending() == ()
    assert search_runs(store, experiment) == ()


def test_one_runs_fault_stops_no_other(journal: Journal, store: Store, experiment: str, tmp_path: Path) -> None:
    store.client.delete_experiment(store.experiment_id(f"{experiment} deleted"))
    faulty = record(journal, f"{experiment} deleted", tmp_path)
    record(journal, experiment, tmp_path)
    report = deliver_pending(journal, store)
    assert isinstance(report.error, ConfigError)
    assert report.left == (faulty.entry,)
    check_whole(store, report.delivered[0].run_id, experiment)


def test_an_unavailable_store_stops_the_delivery_without_data_loss(
    journal: Journal, store: Store, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    runs = [record(journal, experiment, tmp_path, name=name) for name in ("a", "b")]
    calls: list[str] = []

    def away(*given: Any, **named: Any) -> None:
        calls.append("create_run")
        raise MlflowException("API request to http://x failed with exception refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.client, "create_run", away)
        report = deliver_pending(journal, store)
    assert isinstance(report.error, UnavailableError)
    assert len(report.left) == 2
    assert calls == ["create_run"]
    assert len(deliver_pending(journal, store).delivered) == 2
    assert {run.name for run in search_runs(store, experiment)} == {"a", "b"}
    assert [one.entry.is_delivered() for one in runs] == [True, True]


def test_a_journal_without_a_beginning_is_refused(journal: Journal, store: Store, experiment: str) -> None:
    run = journal.open_run(training_id="t", experiment=experiment, run_name="n")
    run.entry.path.write_bytes(b"{")
    with pytest.raises(DataError, match="no whole beginning"):
        deliver(run.entry, store)


def test_the_store_tells_the_highest_run_number(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    day = date(2024, 11, 27)
    assert highest_run_number(store, experiment, "ridge", day) == 0
    for name in ("ridge_2024-11-27_009", "ridge_2024-11-27_1001", "ridge_2024-11-28_2000", "xgboost_2024-11-27_3000"):
        deliver(record(journal, experiment, tmp_path, name=name).entry, store)
    assert highest_run_number(store, experiment, "ridge", day) == 1001
    assert len(search_runs(store, experiment, limit=3)) == 3
    query = "params.p1 = '1' and attributes.run_name LIKE 'x%'"
    assert [run.name for run in search_runs(store, experiment, query=query)] == ["xgboost_2024-11-27_3000"]


def test_a_missing_run_is_reported(store: Store) -> None:
    from cryptoml.errors import UsageError

    with pytest.raises(UsageError, match="does not exist"):
        get_run(store, "0" * 32)
    with pytest.raises(UsageError, match="does not exist"):
        get_run(store, "../etc")


def test_a_name_that_another_journals_run_has_gets_the_next_number(
    store: Store, experiment: str, tmp_path: Path
) -> None:
    names = []
    for project in ("one", "two"):
        run = record(Journal(tmp_path / project), experiment, tmp_path)
        names.append(deliver(run.entry, store).run_name)
        assert deliver(run.entry, store).run_name == names[-1]
    assert names == ["ridge_2024-11-27_001", "ridge_2024-11-27_002"]
    assert sorted(run.name for run in search_runs(store, experiment)) == names


def test_a_run_whose_experiment_was_deleted_can_go_into_another(
    journal: Journal, store: Store, experiment: str, tmp_path: Path
) -> None:
    run = record(journal, experiment, tmp_path)
    store.client.delete_experiment(store.experiment_id(experiment))
    refused = deliver_pending(journal, store)
    assert isinstance(refused.error, ConfigError)
    assert "sync --into" in refused.error.hint
    report = deliver_pending(journal, store, experiment=f"{experiment}-again")
    assert report.error is None
    check_whole(store, report.delivered[0].run_id, f"{experiment}-again")
    assert journal.pending() == ()
    assert not run.entry.staging.exists()
