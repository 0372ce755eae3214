"""What would fail at the end of a training is found before its first fit; a server that is away is found early."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.registry.registrar import registrar
from cryptoml.settings import load_settings
from cryptoml.tracking import tracker
from cryptoml.tracking.journal.journal import JournalRun
from cryptoml.tracking.store import project_store
from cryptoml.tracking.store.preflight import WRITE_TAG, check_training_store, check_write_access
from cryptoml.tracking.store.store import open_store
from cryptoml.tracking.tracker import Tracker
from cryptoml.workflows.sync import sync
from tests.conftest import Hub

DEADLINE_S = 60.0


def asked(hub: Hub) -> list[tuple[str, str, int]]:
    """Method, function and status of MLflow's requests."""
    return [
        (one.method, one.path.partition("/mlflow/")[2].partition("?")[0], one.status)
        for one in hub.standin.state.requests
        if "/api/2.0/mlflow/" in one.path
    ]


def check(hub: Hub, user: str, experiment: str) -> None:
    check_training_store(
        f"{hub.url}.mlflow",
        experiment,
        timeout_s=20,
        credentials=(user, hub.standin.state.token_of(user)),
    )


def test_the_first_check_creates_the_experiment_and_the_next_ones_set_a_tag(hub: Hub) -> None:
    state, name = hub.standin.state, f"first-{hub.slug}"
    check(hub, state.owner, name)
    check(hub, state.owner, name)
    assert asked(hub) == [
        ("GET", "experiments/get-by-name", 404),
        ("POST", "experiments/create", 200),
        # Where does the server let it keep its artifacts?
        ("GET", "experiments/get-by-name", 200),
        ("GET", "experiments/get-by-name", 200),
        ("POST", "experiments/set-experiment-tag", 200),
    ]
    with open_store(f"{hub.url}.mlflow", timeout_s=20, username=state.owner, password=hub.token) as store:
        found = store.client.get_experiment_by_name(name)
        assert found is not None
        assert WRITE_TAG in found.tags
        assert store.client.search_runs([found.experiment_id]) == []


@pytest.mark.parametrize("exists", [True, False])
def test_a_token_that_may_only_read_is_refused(hub: Hub, exists: bool) -> None:
    state, name = hub.standin.state, f"read-{hub.slug}-{exists}"
    if exists:
        check(hub, state.owner, name)
    with pytest.raises(AccessError, match="403") as caught:
        check(hub, state.reader, name)
    assert caught.value.hint.startswith("MLFLOW_TRACKING_URI=sqlite:///mlflow.db cryptoml train ")
    if exists:
        with pytest.raises(AccessError, match="403"):
            check_write_access(
                f"{hub.url}.mlflow", name, timeout_s=20, credentials=(state.reader, state.token_of(state.reader))
            )


def test_a_server_that_lacks_a_function_or_is_busy_is_no_refusal(hub: Hub) -> None:
    name = f"busy-{hub.slug}"
    hub.standin.state.set_mode("legacy")
    check(hub, hub.standin.state.owner, name)
    hub.standin.state.mlflow_down = True
    try:
        with pytest.raises(UnavailableError, match="503"):
            check(hub, hub.standin.state.owner, name)
    finally:
        hub.standin.state.mlflow_down = False


def test_a_deleted_experiment_is_found_on_a_server_and_in_a_file(hub: Hub, tmp_path: Path) -> None:
    state, name = hub.standin.state, f"gone-{hub.slug}"
    uris = [f"{hub.url}.mlflow", f"sqlite:///{tmp_path}/mlflow.db"]
    for uri in uris:
        credentials = (state.owner, hub.token) if uri.startswith("http") else None
        user, password = credentials or (None, None)
        with open_store(uri, timeout_s=20, username=user, password=password) as store:
            store.client.delete_experiment(store.experiment_id(name))
        with pytest.raises(ConfigError, match="was deleted") as caught:
            check_training_store(uri, name, timeout_s=20, credentials=credentials)
        assert f"MLFLOW_EXPERIMENT_NAME={name} cryptoml doctor mlflow --fix" in caught.value.hint
        assert (uri in caught.value.hint) is (credentials is None)


def test_a_file_that_is_not_there_yet_passes_and_is_not_made(tmp_path: Path) -> None:
    check_training_store(f"sqlite:///{tmp_path}/mlflow.db", "x", timeout_s=1)
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("bearer", [False, True])
def test_credentials_are_not_sent_over_plain_http(bearer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if bearer:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    credentials = None if bearer else ("me", "secret")
    for check_store in (check_training_store, check_write_access):
        with pytest.raises(AccessError, match="plain http"):
            check_store("http://example.org/x.mlflow", "x", timeout_s=1, credentials=credentials)


class Seen:
    """The events of a tracker, in their order."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)

    def texts(self, kind: type[events.Event]) -> list[str]:
        return [one.text for one in self.events if type(one) is kind]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finished_run(work: Tracker, name: str) -> JournalRun:
    run = work.journal.open_run(training_id=name, experiment="crypto-price-prediction", run_name=name)
    run.log_metrics({"rmse": 1.0})
    run.end("FINISHED")
    return run


@pytest.fixture
def at_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """This process has the settings of the project beside the stand-in."""
    for name, text in hub.environ.items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(hub.folder)
    monkeypatch.setattr(tracker, "PROBE_INTERVAL_S", 0.2)
    return hub


def test_a_server_that_dies_and_comes_back_during_the_fits_costs_one_warning_and_no_run(at_hub: Hub) -> None:
    state, seen = at_hub.standin.state, Seen()
    with Tracker(load_settings(), registrar=registrar, on_event=seen) as work:
        work.check()
        runs = [finished_run(work, f"ridge_2024-11-27_{number:03d}") for number in (1, 2)]
        work.deliver(runs[0])
        until(lambda: runs[0].key in work._delivered)
        state.set_mode("down-at")
        until(lambda: seen.texts(events.Warned))
        work.deliver(runs[1])
        time.sleep(1)
        state.set_mode("full")
        until(lambda: runs[1].key in work._delivered)
        assert set(work.finish()) == {run.key for run in runs}
        assert work.delivery_error is None
    assert len(seen.texts(events.Warned)) == 1
    assert [text for text in seen.texts(events.Info) if "is available again" in text]
    assert work.journal.pending() == ()


def test_runs_are_delivered_when_the_server_is_available_again(at_hub: Hub) -> None:
    state, seen = at_hub.standin.state, Seen()
    state.set_mode("down-at")
    with Tracker(load_settings(), registrar=registrar, on_event=seen) as work:
        work.check()
        assert len(seen.texts(events.Warned)) == 1
        run = finished_run(work, "ridge_2024-11-27_001")
        work.deliver(run)
        state.set_mode("full")
        until(lambda: run.key in work._delivered)
        assert set(work.finish()) == {run.key}
    assert len(seen.texts(events.Warned)) == 1


def test_runs_stay_in_the_journal_while_the_server_is_unavailable(at_hub: Hub) -> None:
    at_hub.standin.state.set_mode("down-at")
    seen = Seen()
    with Tracker(load_settings(), registrar=registrar, on_event=seen) as work:
        work.check()
        work.deliver(finished_run(work, "ridge_2024-11-27_001"))
        assert work.finish() == {}
        assert isinstance(work.delivery_error, UnavailableError)
    assert len(seen.texts(events.Warned)) == 1
    assert len(work.journal.pending()) == 1


def test_a_bug_in_a_delivery_is_not_hidden(at_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoml.tracking.journal.deliver.deliver", lambda *_, **__: [][1])
    with Tracker(load_settings(), registrar=registrar, on_event=Seen()) as work:
        work.check()
        work.deliver(finished_run(work, "ridge_2024-11-27_001"))
        with pytest.raises(IndexError):
            work.finish()


def test_a_server_of_this_machine_that_is_starting_is_waited_for(at_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(project_store, "LOOPBACK_RETRY_S", 3.0)
    with pytest.raises(UnavailableError, match="refused"):
        project_store.open_project_store(load_settings())
    assert len(pauses) >= 1


def test_sync_retries_an_unavailable_server(at_hub: Hub) -> None:
    seen = Seen()
    at_hub.standin.state.set_mode("down-at")
    with Tracker(load_settings(), registrar=registrar, on_event=seen) as work:
        finished_run(work, "ridge_2024-11-27_001")
    threading.Timer(2.0, at_hub.standin.state.set_mode, ["full"]).start()
    done = sync(load_settings(), on_event=seen)
    assert (len(done.delivered), done.left, done.error) == (1, 0, None)


def test_sync_gives_a_server_up_after_some_tries(at_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    state = at_hub.standin.state
    state.set_mode("down-at")
    with Tracker(load_settings(), registrar=registrar, on_event=Seen()) as work:
        finished_run(work, "ridge_2024-11-27_001")
    time.sleep(0.5)
    state.requests.clear()
    monkeypatch.setattr("cryptoml.workflows.sync.RETRY_S", 4.0)
    with pytest.raises(UnavailableError):
        sync(load_settings())
    assert 2 <= len(state.requests) <= 5
    assert len(work.journal.pending()) == 1


def test_sync_with_a_token_that_may_only_read_is_refused(at_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    state = at_hub.standin.state
    check(at_hub, state.owner, "crypto-price-prediction")
    state.set_mode("down-at")
    with Tracker(load_settings(), registrar=registrar, on_event=Seen()) as work:
        finished_run(work, "ridge_2024-11-27_001")
        work.check()
    state.set_mode("full")
    monkeypatch.setenv("DAGSHUB_USERNAME", state.reader)
    monkeypatch.setenv("DAGSHUB_REPO", at_hub.slug)
    monkeypatch.setenv("DAGSHUB_TOKEN", state.token_of(state.reader))
    with pytest.raises(AccessError, match="403"):
        sync(load_settings())
    assert len(work.journal.pending()) == 1
