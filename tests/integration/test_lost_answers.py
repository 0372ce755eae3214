"""Answers that are lost, damaged or forged on their way double nothing, lose nothing and are reported in words."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from cryptoml.errors import ConfigError, CryptomlError, UnavailableError
from cryptoml.registry import mutex
from cryptoml.registry.moving.versions import ModelCopy, copy_versions
from cryptoml.registry.registrar import registrar
from cryptoml.registry.transitions import Move, check_history, open_registry
from cryptoml.registry.version_search import STAGE_TAG
from cryptoml.registry.versions import Version, list_versions, production_version, register_version
from cryptoml.tracking.journal.deliver import deliver, deliver_pending
from cryptoml.tracking.journal.duplicate_runs import DUPLICATE_TAG
from cryptoml.tracking.journal.journal import Journal, JournalRun
from cryptoml.tracking.runs import search_runs
from cryptoml.tracking.store import lost_responses
from cryptoml.tracking.store.store import Store, open_store
from tests.integration.lossy_proxy import Action, Lossy, Rule, answer, lossy_proxy
from tests.standin.mlflow_backend import MlflowBackend


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lossy]:
    backend = MlflowBackend(tmp_path_factory.mktemp("server"))
    try:
        with lossy_proxy(backend.port()) as lossy:
            yield lossy
    finally:
        backend.stop()


@pytest.fixture
def lossy(proxy: Lossy) -> Iterator[Lossy]:
    proxy.clear()
    yield proxy
    proxy.clear()


@pytest.fixture
def store(lossy: Lossy) -> Iterator[Store]:
    with open_store(lossy.url, timeout_s=30) as store:
        lossy.clear()
        yield store


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An experiment and a model of the test's own."""
    return "".join(sign if sign.isalnum() else "-" for sign in request.node.name)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def record(journal: Journal, name: str, tmp_path: Path) -> JournalRun:
    run = journal.open_run(training_id="t", experiment=name, run_name="ridge_2024-11-27_001", start_time_ms=1_000)
    run.log_params({"seed": 1})
    for step in range(3):
        run.log_metrics({"cv_rmse": step / 3}, step=step, timestamp_ms=2_000)
    model = tmp_path / "MLmodel"
    model.write_text("flavors: {}\n")
    run.add_artifact(model, "models/model")
    run.request_registration(name, description="d")
    run.end("FINISHED", end_time_ms=9_000)
    return run


def check_once(store: Store, name: str) -> str:
    """One active run with everything, one version of it; gives its id."""
    (run,) = search_runs(store, name)
    assert (run.status, dict(run.params)) == ("FINISHED", {"seed": "1"})
    history = store.client.get_metric_history(run.run_id, "cv_rmse")
    assert sorted((one.step, one.value) for one in history) == [(step, step / 3) for step in range(3)]
    assert store.list_files(run.run_id, "models/model") == ["models/model/MLmodel"]
    assert [one.run_id for one in list_versions(store, name)] == [run.run_id]
    return run.run_id


CREATES = {
    "experiments": "POST .*/experiments/create",
    "runs": "POST .*/runs/create",
    "values": "POST .*/runs/log-batch",
    "models": "POST .*/registered-models/create",
    "versions": "POST .*/model-versions/create",
    "files": "PUT .*/mlflow-artifacts/",
    "ends": "POST .*/runs/update",
}


@pytest.mark.parametrize("action", ["lose", "gateway", "half", "halfjson"])
@pytest.mark.parametrize("request_kind", CREATES)
def test_a_lost_response_to_a_write_creates_no_duplicates(
    lossy: Lossy, store: Store, journal: Journal, name: str, tmp_path: Path, request_kind: str, action: Action
) -> None:
    lossy.rules.append(Rule(CREATES[request_kind], action, last=1))
    record(journal, name, tmp_path)
    report = deliver_pending(journal, store, register=registrar(store))
    assert report.error is None
    assert lossy.rules[0].hits
    if request_kind not in ("files", "ends"):
        assert lossy.count(CREATES[request_kind]) == 1
    check_once(store, name)


@pytest.mark.parametrize("request_kind", ["runs", "versions", "models", "experiments"])
def test_a_gateway_error_before_the_response_creates_no_duplicates(
    lossy: Lossy, store: Store, journal: Journal, name: str, tmp_path: Path, request_kind: str
) -> None:
    lossy.rules.append(Rule(CREATES[request_kind], "late", last=1))
    record(journal, name, tmp_path)
    assert deliver_pending(journal, store, register=registrar(store)).error is None
    check_once(store, name)


def test_a_run_and_a_version_that_a_proxy_made_twice_are_kept_once(
    lossy: Lossy, store: Store, journal: Journal, name: str, tmp_path: Path
) -> None:
    lossy.rules += [Rule(CREATES["runs"], "twice", last=1), Rule(CREATES["versions"], "twice", last=1)]
    record(journal, name, tmp_path)
    assert deliver_pending(journal, store, register=registrar(store)).error is None
    kept = check_once(store, name)
    experiment = store.find_experiment_id(name)
    assert experiment is not None
    (extra,) = store.client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    assert (extra.info.status, extra.data.tags[DUPLICATE_TAG]) == ("KILLED", kept)


def test_duplicates_that_an_earlier_delivery_left_are_closed_by_the_next(
    store: Store, journal: Journal, name: str, tmp_path: Path
) -> None:
    run = record(journal, name, tmp_path)
    experiment = store.experiment_id(name)
    for _ in range(150):
        store.client.create_run(experiment, tags={"cryptoml.run_key": run.key})
    first = deliver(run.entry, store)
    assert [one.run_id for one in search_runs(store, name)] == [first.run_id]
    deliver(run.entry, store, register=registrar(store))
    check_once(store, name)


def test_of_a_runs_versions_those_with_an_alias_or_a_stage_are_kept(
    store: Store, journal: Journal, name: str, tmp_path: Path
) -> None:
    run_id = deliver(record(journal, name, tmp_path).entry, store).run_id
    store.client.create_registered_model(name)
    for _ in range(5):
        store.client.create_model_version(name, f"runs:/{run_id}/models/model", run_id)
    store.client.set_model_version_tag(name, "5", STAGE_TAG, "archived")
    for alias, version in (("staging", "4"), ("production", "3")):
        store.client.set_registered_model_alias(name, alias, version)
    assert register_version(store, run_id=run_id, model_name=name).version == "3"
    assert [one.version for one in list_versions(store, name)] == ["5", "4", "3"]


def test_a_live_run_that_somebody_ended_is_delivered_all_the_same(store: Store, journal: Journal, name: str) -> None:
    run = journal.open_run(training_id="t", experiment=name, run_name="n")
    first = deliver(run.entry, store)
    store.client.set_terminated(first.run_id, "KILLED")
    run.log_metrics({"rmse": 1.0})
    assert deliver(run.entry, store).status == "RUNNING"
    run.end("FINISHED")
    assert deliver(run.entry, store).run_id == first.run_id
    (view,) = search_runs(store, name)
    assert (view.status, view.metrics["rmse"]) == ("FINISHED", 1.0)


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
GARBAGE = {
    "reset": None,
    "html": answer("200 OK", PAGE, "Content-Type: text/html"),
    "empty": answer(),
    "list": answer(body=b"[]"),
    "shape": answer(body=b'{"run": [1], "runs": {"a": 1}, "experiment": 5, "registered_model": [], "files": 7}'),
    "half": answer(body=b'{"run": {"info"'),
    "short": b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\nConnection: close\r\n\r\n{"run"',
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "gzip": answer("200 OK", gzip.compress(b"{}")[:-9] + b"garbage..", "Content-Encoding: gzip"),
    "redirect": answer("302 Found", b"", "Location: /login"),
    "noise": b"\x16\x03\x01 this is no HTTP\r\n\r\n",
    **{
        str(status): answer(f"{status} X", b"no", "Retry-After: 3600")
        for status in (400, 401, 403, 404, 409, 429, 500, 502, 503, 504)
    },
}


@pytest.mark.parametrize("where", ["GET|POST", "POST .*/runs/create", "PUT"])
@pytest.mark.parametrize("kind", GARBAGE)
def test_any_response_is_reported_and_the_next_delivery_completes_the_run(
    lossy: Lossy,
    store: Store,
    journal: Journal,
    name: str,
    tmp_path: Path,
    kind: str,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lost_responses, "PAUSES_S", (0.0,))
    monkeypatch.setattr(lost_responses, "REPEAT_PAUSES_S", (0.0,))
    monkeypatch.setattr("cryptoml.tracking.store.artifacts.uploads.RETRY_PAUSES_S", (0.0,))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    raw = GARBAGE[kind]
    lossy.rules.append(Rule(where, "reset" if raw is None else "forge", raw=raw or b""))
    run = record(journal, name, tmp_path)
    report = deliver_pending(journal, store, register=registrar(store))
    assert isinstance(report.error, CryptomlError)
    assert report.left == (run.entry,)
    assert (run.entry.staging / "models" / "model" / "MLmodel").is_file()
    if kind in ("reset", "half", "short", "chunks", "gzip", "429", "500", "502", "503", "504") and where != "PUT":
        assert isinstance(report.error, UnavailableError), report.error
    if kind in ("html", "list", "redirect"):
        assert isinstance(report.error, ConfigError), report.error
    lossy.clear()
    assert deliver_pending(journal, store, register=registrar(store)).error is None
    check_once(store, name)


def test_one_runs_refusal_stops_no_other_but_a_login_page_does(
    lossy: Lossy, store: Store, journal: Journal, name: str, tmp_path: Path
) -> None:
    for number in range(3):
        record(journal, f"{name}-{number}", tmp_path)
    refusal = answer("400 X", b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}')
    lossy.rules.append(Rule("POST .*/log-batch", "forge", last=1, raw=refusal))
    report = deliver_pending(journal, store, register=registrar(store))
    assert (len(report.delivered), len(report.left)) == (2, 1)
    for number in range(3, 6):
        record(journal, f"{name}-{number}", tmp_path)
    lossy.clear()
    lossy.rules.append(Rule(".", "forge", raw=answer("200 OK", PAGE, "Content-Type: text/html")))
    report = deliver_pending(journal, store, register=registrar(store))
    assert (len(report.delivered), len(report.left)) == (0, 4)
    assert len(lossy.requests) <= 2


LOCK = "POST .*/registered-models/create"


@pytest.mark.parametrize("action", ["lose", "gateway", "late", "twice"])
def test_a_lost_answer_to_taking_the_lock_costs_no_wait(lossy: Lossy, store: Store, name: str, action: Action) -> None:
    lossy.rules.append(Rule(LOCK, action, last=1))
    with mutex.registry_lock(store, name, wait_s=60, stale_s=50):
        assert lossy.count(LOCK) <= 2
        assert lossy.count("registered-models/get") <= 4
    assert not store.client.search_registered_models(f"name = '{name}.lock'")


def test_an_empty_answer_to_taking_the_lock_does_not_count_as_taken(lossy: Lossy, store: Store, name: str) -> None:
    lossy.rules.append(Rule(LOCK, "forge", last=1, raw=answer(body=b"{}")))
    with mutex.registry_lock(store, name):
        assert store.client.get_registered_model(f"{name}.lock").description
    assert not store.client.search_registered_models(f"name = '{name}.lock'")


def test_an_empty_answer_to_a_version_of_a_move_is_asked_about(
    lossy: Lossy, store: Store, journal: Journal, name: str, tmp_path: Path
) -> None:
    run_id = deliver(record(journal, name, tmp_path).entry, store).run_id
    old = Version(name, "1", "old", "runs:/old/models/model", "none", (), "", {}, 1_000)
    lossy.rules.append(Rule(CREATES["versions"], "forge", last=1, raw=answer(body=b"{}")))
    numbers = copy_versions(store, ModelCopy(name, "d", {}, {}, {}, (old,)), {"old": run_id}, fingerprint="f")
    assert (numbers.mapping, numbers.lost) == ({"1": "1"}, ())
    assert [(one.version, one.run_id) for one in list_versions(store, name)] == [("1", run_id)]


def test_a_lost_answer_to_releasing_the_lock_does_not_release_another_holders(
    lossy: Lossy, store: Store, name: str
) -> None:
    original = store.client.delete_registered_model

    def delete(lock: str) -> None:
        original(lock)
        store.client.create_registered_model(lock, description="another holder's")
        raise MlflowException("API request to the server failed with exception: connection reset")

    with pytest.MonkeyPatch.context() as patch, mutex.registry_lock(store, name):
        patch.setattr(store.client, "delete_registered_model", delete)
    assert store.client.get_registered_model(f"{name}.lock").description == "another holder's"
    original(f"{name}.lock")


STEPS = {
    "ledger": Rule("POST .*/registered-models/set-tag", "lose", first=1, last=1),
    "alias": Rule("POST .*/registered-models/alias", "lose"),
    "former alias": Rule("DELETE .*/registered-models/alias", "lose"),
    "done": Rule("POST .*/registered-models/set-tag", "lose", first=2, last=2),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_transition_survives_a_lost_answer_to_each_step(
    lossy: Lossy,
    journal: Journal,
    name: str,
    tmp_path: Path,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mirror = tmp_path / "mirror.jsonl"
    with open_store(lossy.url, timeout_s=30) as store:
        deliver(record(journal, name, tmp_path).entry, store, register=registrar(store))
        with open_registry(store, name, mirror) as registry:
            registry.move(Move("1", "staging", "r", "me"))
        lossy.clear()
        rule = replace(STEPS[step])
        lossy.rules.append(rule)
        with open_registry(store, name, mirror) as registry:
            registry.move(Move("1", "production", "r", "me"))
        assert rule.hits
        lossy.clear()
        found = production_version(store, name)
        assert found is not None
        assert (found.version, found.aliases) == ("1", ("production",))
        ledger, faults = check_history(store, name, mirror)
        assert faults == ()
        assert [entry.to_stage for entry in ledger.entries] == ["staging", "production"]
