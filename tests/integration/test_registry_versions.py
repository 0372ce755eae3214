"""Registering runs in a real registry: once, with its description and tags, or a clear no."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoml.errors import CheckFailedError, UnavailableError, UsageError
from cryptoml.registry.registrar import registrar
from cryptoml.registry.versions import (
    get_version,
    list_versions,
    production_version,
    register_version,
    version_at,
)
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.journal.records import Status
from cryptoml.tracking.store.quiet import ignore_stage_warnings
from cryptoml.tracking.store.store import Store, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db") as opened:
        yield opened


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def a_run(store: Store, tmp_path: Path, *, status: Status = "FINISHED", model: bool = True) -> str:
    journal = Journal(tmp_path / "journal")
    run = journal.open_run(training_id="t", experiment="e", run_name="ridge_2024-11-27_001")
    if model:
        (tmp_path / "MLmodel").write_text("flavors: {}\n")
        run.add_artifact(tmp_path / "MLmodel", "models/model")
    run.end(status)
    return deliver(run.entry, store).run_id


def test_a_finished_run_becomes_a_version_with_description_and_tags(store: Store, name: str, tmp_path: Path) -> None:
    run_id = a_run(store, tmp_path)
    made = register_version(store, run_id=run_id, model_name=name, description="what it is", tags={"verdict": "ties"})
    assert (made.version, made.run_id, made.is_new) == ("1", run_id, True)
    assert made.source == f"runs:/{run_id}/models/model"
    read = get_version(store, name, "1")
    assert (read.description, dict(read.tags), read.stage, read.aliases) == (
        "what it is",
        {"verdict": "ties"},
        "none",
        (),
    )
    assert store.client.get_model_version_download_uri(name, "1") == f"runs:/{run_id}/models/model"


def test_a_run_is_registered_once(store: Store, name: str, tmp_path: Path) -> None:
    run_id = a_run(store, tmp_path)
    register_version(store, run_id=run_id, model_name=name)
    again = register_version(store, run_id=run_id, model_name=name, description="other")
    assert (again.version, again.is_new, again.description) == ("1", False, "")
    other = register_version(store, run_id=a_run(store, tmp_path), model_name=name)
    assert other.version == "2"
    # Under another name it is another model.
    assert register_version(store, run_id=run_id, model_name=f"{name} 2").is_new


def test_processes_that_register_one_run_at_once_leave_one_version(store: Store, name: str, tmp_path: Path) -> None:
    run_id = a_run(store, tmp_path)
    found: list[str] = []
    start = threading.Barrier(4)

    def register() -> None:
        start.wait()
        found.append(register_version(store, run_id=run_id, model_name=name).version)

    threads = [threading.Thread(target=register) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(list_versions(store, name)) == 1
    assert set(found) == {list_versions(store, name)[0].version}


@pytest.mark.parametrize(("status", "word"), [("FAILED", "FAILED"), ("KILLED", "KILLED")])
def test_only_a_finished_run_is_registered(store: Store, name: str, tmp_path: Path, status: Status, word: str) -> None:
    with pytest.raises(CheckFailedError, match=f"is {word}"):
        register_version(store, run_id=a_run(store, tmp_path, status=status), model_name=name)
    assert list_versions(store, name) == ()


def test_a_run_without_a_model_is_refused(store: Store, name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckFailedError, match="has no model at models/model"):
        register_version(store, run_id=a_run(store, tmp_path, model=False), model_name=name)


def test_a_missing_run_is_reported(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        register_version(store, run_id="0" * 32, model_name=name)


def test_aliases_are_the_truth_and_the_stage_is_read_too(store: Store, name: str, tmp_path: Path) -> None:
    assert production_version(store, name) is None
    first = register_version(store, run_id=a_run(store, tmp_path), model_name=name)
    second = register_version(store, run_id=a_run(store, tmp_path), model_name=name)
    assert production_version(store, name) is None
    store.client.set_registered_model_alias(name, "production", first.version)
    store.client.set_registered_model_alias(name, "staging", second.version)
    with ignore_stage_warnings():
        store.client.transition_model_version_stage(name, first.version, "Production")
    current = production_version(store, name)
    assert current is not None
    assert (current.version, current.stage, current.aliases) == ("1", "production", ("production",))
    newest, oldest = list_versions(store, name)
    assert (newest.version, newest.aliases, oldest.aliases) == ("2", ("staging",), ("production",))
    assert version_at(store, name, "nowhere") is None


def test_a_missing_version_is_reported(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="no version 7"):
        get_version(store, name, "7")


def test_delivery_registers_what_the_journal_asks_for(store: Store, name: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    run = journal.open_run(training_id="t", experiment="e", run_name="n")
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    run.add_artifact(tmp_path / "MLmodel", "models/model")
    run.request_registration(name, description="d", tags={"a": "b"})
    run.end("FINISHED")
    done = deliver(run.entry, store, register=registrar(store))
    assert done.versions == ((name, "1"),)
    assert get_version(store, name, "1").run_id == done.run_id


def test_a_version_that_never_becomes_ready_is_reported(
    store: Store, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = a_run(store, tmp_path)
    original = store.client.create_model_version

    def pending(*given: object, **named: object) -> object:
        made = original(*given, **named)
        made._status = "FAILED_REGISTRATION"
        return made

    monkeypatch.setattr(store.client, "create_model_version", pending)
    with pytest.raises(UnavailableError, match="could not be created"):
        register_version(store, run_id=run_id, model_name=name)


@pytest.mark.parametrize(("looks", "ready"), [(2, True), (1000, False)])
def test_a_pending_version_is_waited_for(
    store: Store, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int, ready: bool
) -> None:
    run_id = a_run(store, tmp_path)
    create, get = store.client.create_model_version, store.client.get_model_version
    seen: list[str] = []

    def pending(*given: object, **named: object) -> object:
        made = create(*given, **named)
        made._status = "PENDING_REGISTRATION"
        return made

    def look(*given: str) -> object:
        found = get(*given)
        seen.append(found.version)
        if len(seen) < looks:
            found._status = "PENDING_REGISTRATION"
        return found

    monkeypatch.setattr(store.client, "create_model_version", pending)
    monkeypatch.setattr(store.client, "get_model_version", look)
    monkeypatch.setattr("cryptoml.registry.versions._POLL_S", 0.01)
    if ready:
        assert register_version(store, run_id=run_id, model_name=name).version == "1"
    else:
        with pytest.raises(UnavailableError, match="is not ready after 0 s"):
            register_version(store, run_id=run_id, model_name=name, ready_within_s=0.1)
    assert len(seen) >= 2
