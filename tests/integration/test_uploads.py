"""Artifacts count as stored when the store shows them; uploads are limited by progress and go to no other host."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from cryptoml.errors import AccessError, CryptomlError, UnavailableError
from cryptoml.registry.registrar import registrar
from cryptoml.registry.versions import list_versions
from cryptoml.tracking.journal.deliver import deliver, deliver_pending
from cryptoml.tracking.journal.journal import Journal, JournalRun
from cryptoml.tracking.journal.records import Registration
from cryptoml.tracking.store.artifacts import uploads
from cryptoml.tracking.store.store import Store, open_store
from tests.integration.lossy_proxy import Lossy, Rule, answer, lossy_proxy
from tests.standin.mlflow_backend import MlflowBackend

FILES = 12
FOLDERS = 3
PUT = "PUT .*/mlflow-artifacts/"
LIST = r"GET .*/mlflow-artifacts/artifacts\?path="
READ = r"GET .*/mlflow-artifacts/artifacts/"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowBackend]:
    backend = MlflowBackend(tmp_path_factory.mktemp("server"))
    yield backend
    backend.stop()


@pytest.fixture
def lossy(backend: MlflowBackend) -> Iterator[Lossy]:
    with lossy_proxy(backend.port()) as lossy:
        yield lossy


@pytest.fixture
def store(lossy: Lossy) -> Iterator[Store]:
    with open_store(lossy.url, timeout_s=30) as store:
        lossy.clear()
        yield store


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in request.node.name)


def record(folder: Path, name: str) -> JournalRun:
    """A finished run with small files in three folders, one of them empty, and a large one."""
    run = Journal(folder / "journal").open_run(training_id="t", experiment=name, run_name="n")
    run.log_params({"seed": 1})
    for number in range(FILES - 2):
        file = folder / f"{number} of ten.txt"
        file.write_text(f"{number}\n" * 20)
        run.add_artifact(file, f"texts/{number % FOLDERS}")
    for title, content in (("empty.txt", b""), ("large.bin", bytes(300_000))):
        (folder / title).write_bytes(content)
        run.add_artifact(folder / title, "texts/0")
    run.end("FINISHED")
    return run


def stored(backend: MlflowBackend) -> dict[str, bytes]:
    found = backend.folder / "artifacts"
    return {path.name: path.read_bytes() for path in found.rglob("*") if path.is_file() and "texts" in path.parts}


@pytest.fixture(autouse=True)
def _empty(backend: MlflowBackend) -> None:
    backend.port()
    shutil.rmtree(backend.folder / "artifacts", ignore_errors=True)


def test_each_file_takes_one_upload_over_few_connections_and_each_folder_one_listing(
    lossy: Lossy, store: Store, backend: MlflowBackend, tmp_path: Path, name: str
) -> None:
    run = record(tmp_path, name)
    expected = {path.name: path.read_bytes() for path in run.entry.staging.rglob("*") if path.is_file()}
    deliver(run.entry, store)
    assert lossy.count(PUT) == FILES
    assert lossy.count(LIST) == FOLDERS
    assert lossy.count(READ) == 1
    assert len([method for method, _ in lossy.connections if method == "PUT"]) <= uploads.PARALLEL
    assert stored(backend) == expected
    assert not run.entry.staging.exists()


FORGED = {
    "login page": Rule(PUT, "forge", first=2, raw=answer("200 OK", b"<html>log in</html>", "Content-Type: text/html")),
    "redirect": Rule(PUT, "forge", first=2, raw=answer("302 Found", b"", "Location: /login")),
    "empty success": Rule(PUT, "forge", first=2, raw=answer("200 OK", b"")),
    "JSON success": Rule(PUT, "forge", first=2, raw=answer("200 OK", b"{}")),
    "listing of HTML": Rule(LIST, "forge", raw=answer("200 OK", b"<html>", "Content-Type: text/html")),
    "listing of a list": Rule(LIST, "forge", raw=answer("200 OK", b"[]")),
    "listing without paths": Rule(LIST, "forge", raw=answer("200 OK", b'{"files": [{"is_dir": false}]}')),
    "other content": Rule(READ, "forge", raw=answer("200 OK", b"?\n" * 20)),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_success_that_the_store_does_not_confirm_keeps_every_file(
    lossy: Lossy, store: Store, backend: MlflowBackend, tmp_path: Path, name: str, kind: str
) -> None:
    lossy.rules.append(FORGED[kind])
    run = record(tmp_path, name)
    with pytest.raises(CryptomlError, match=r"not show them|not an MLflow server|redirects"):
        deliver(run.entry, store)
    staged = {path.name: path.read_bytes() for path in run.entry.staging.rglob("*") if path.is_file()}
    assert len(staged) == FILES
    # An upload that was given up half-way may have left a part, which does not count as stored.
    whole = [name for name, content in stored(backend).items() if content == staged[name]]
    assert lossy.count(PUT) <= 2 * FILES
    lossy.clear()
    report = deliver_pending(Journal(tmp_path / "journal"), store)
    assert report.error is None
    assert len(stored(backend)) == FILES
    # What was there already is not uploaded again.
    assert lossy.count(PUT) <= FILES - len(whole)
    assert stored(backend) == staged
    assert not run.entry.staging.exists()


def test_files_whose_sizes_the_listing_leaves_out_are_read_back(
    lossy: Lossy, store: Store, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.entities import FileInfo
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    original = HttpArtifactRepository.list_artifacts

    def unsized(self: Any, path: str | None = None) -> list[FileInfo]:
        return [FileInfo(one.path, one.is_dir, None) for one in original(self, path)]

    monkeypatch.setattr(HttpArtifactRepository, "list_artifacts", unsized)
    deliver(record(tmp_path, name).entry, store)
    # All but the empty one.
    assert lossy.count(READ) == FILES - 1


@pytest.mark.parametrize("action", ["lose", "gateway", "reset"])
def test_one_broken_connection_costs_one_more_upload(
    lossy: Lossy, store: Store, backend: MlflowBackend, tmp_path: Path, name: str, action: Any
) -> None:
    lossy.rules.append(Rule(PUT, action, first=5, last=5))
    deliver(record(tmp_path, name).entry, store)
    assert lossy.count(PUT) == FILES + 1
    assert len(stored(backend)) == FILES


def test_a_server_that_never_answers_is_given_up_after_the_first_files(
    lossy: Lossy, store: Store, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MIN_TIMEOUT_S", 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    lossy.rules.append(Rule(PUT, "hang"))
    run = record(tmp_path, name)
    with pytest.raises(UnavailableError, match="nothing moved for 1 s"):
        deliver(run.entry, store)
    assert lossy.count(PUT) <= uploads.PARALLEL
    assert lossy.count(LIST) == 0
    assert run.entry.staging.is_dir()


def test_a_slow_line_may_take_longer_than_the_limit_while_bytes_move(
    lossy: Lossy, store: Store, backend: MlflowBackend, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MIN_TIMEOUT_S", 2.0)
    monkeypatch.setattr(uploads, "SLOWEST_STORING_BYTES_S", 10_000_000)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    run = Journal(tmp_path / "journal").open_run(training_id="t", experiment=name, run_name="n")
    (tmp_path / "big.bin").write_bytes(bytes(20 << 20))
    run.add_artifact(tmp_path / "big.bin", "texts")
    run.end("FINISHED")
    lossy.rules.append(Rule(PUT, "slow"))
    began = time.monotonic()
    deliver(run.entry, store)
    assert time.monotonic() - began > 4
    assert len(stored(backend)["big.bin"]) == 20 << 20


@pytest.mark.parametrize("status", ["301", "302", "307", "308"])
@pytest.mark.parametrize("pattern", [PUT, "POST .*/runs/create", "POST .*/log-batch"])
def test_no_body_and_no_credentials_follow_a_redirect_to_another_host(
    lossy: Lossy, backend: MlflowBackend, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch,
    status: str, pattern: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_ALLOW_HTTP_REDIRECTS", "true")
    with (
        lossy_proxy(backend.port()) as other,
        open_store(lossy.url, timeout_s=30, username="me", password="secret") as store,
    ):
        lossy.rules.append(Rule(pattern, "forge", raw=answer(f"{status} X", b"", f"Location: {other.url}/x")))
        run = record(tmp_path, name)
        with pytest.raises(CryptomlError, match="redirects"):
            deliver(run.entry, store)
        assert other.requests == []
        assert run.entry.staging.is_dir()


def test_credentials_do_not_go_to_an_artifact_address_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    base = "/api/2.0/mlflow-artifacts/artifacts"
    with (
        pytest.raises(AccessError, match="plain http"),
        uploads.http_files(f"http://elsewhere.example{base}", "https://server.example"),
    ):
        pass
    with uploads.http_files(f"https://server.example{base}", "https://server.example") as files:
        assert files is not None


def test_a_local_file_that_did_not_arrive_whole_is_stored_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(tmp_path, name)
    original, calls = LocalArtifactRepository.log_artifact, 0

    def damaging(self: LocalArtifactRepository, local: str, folder: str | None = None) -> None:
        nonlocal calls
        calls += 1
        original(self, local, folder)
        if calls == 3:
            target = Path(self.artifact_dir) / (folder or "") / Path(local).name
            target.write_bytes(target.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(LocalArtifactRepository, "log_artifact", damaging)
    with open_store(f"sqlite:///{tmp_path}/mlflow.db") as store:
        deliver(run.entry, store)
    assert calls == FILES + 1
    texts = (tmp_path / "mlartifacts").rglob("*.txt")
    assert not [path for path in texts if b"?" in path.read_bytes()]


def test_a_server_that_leaves_artifacts_to_the_client_is_looked_through_as_well(
    lossy: Lossy, tmp_path: Path, name: str
) -> None:
    root = tmp_path / "shared"
    with open_store(lossy.url, timeout_s=30, artifacts_root=root.as_uri()) as store:
        store.client.create_experiment(name, artifact_location=f"{root.as_uri()}/{name}")
        deliver(record(tmp_path, name).entry, store)
    assert lossy.count(PUT) == 0
    assert len([path for path in root.rglob("*") if path.is_file()]) == FILES


def test_the_model_stays_in_the_journal_until_its_version_exists(
    lossy: Lossy, store: Store, tmp_path: Path, name: str
) -> None:
    journal = Journal(tmp_path / "journal")
    run = journal.open_run(training_id="t", experiment=name, run_name="n")
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    run.add_artifact(tmp_path / "MLmodel", "models/model")
    run.request_registration(name)
    run.end("FINISHED")
    staged = run.entry.staging / "models" / "model" / "MLmodel"
    deliver(run.entry, store)
    assert staged.is_file()
    lossy.rules.append(Rule("POST .*/model-versions/create", "forge", raw=answer("503 X")))
    assert isinstance(deliver_pending(journal, store, register=registrar(store)).error, UnavailableError)
    assert staged.is_file()
    lossy.clear()
    assert deliver_pending(journal, store, register=registrar(store)).error is None
    assert len(list_versions(store, name)) == 1
    assert not staged.exists()


def test_a_registration_that_is_asked_for_during_a_delivery_keeps_the_model(tmp_path: Path, name: str) -> None:
    run = record(tmp_path, name)
    run.request_registration(name)
    asked: list[str] = []

    def register(run_id: str, wish: Registration) -> tuple[str, str]:
        asked.append(wish.model_name)
        if len(asked) == 1:
            run.request_registration(f"{name}-2")
        return wish.model_name, "1"

    with open_store(f"sqlite:///{tmp_path}/mlflow.db") as store:
        deliver(run.entry, store, register=register)
        assert run.entry.staging.is_dir()
        deliver(run.entry, store, register=register)
    assert asked == [name, name, f"{name}-2"]
    assert not run.entry.staging.exists()
