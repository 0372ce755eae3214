"""Places of artifacts that this machine cannot write to: found before anything is written, and said in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.tracking.journal.deliver import deliver_pending
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.round_trip import check_round_trip
from cryptoml.tracking.store.artifacts.access import check_location
from cryptoml.tracking.store.store import Store, open_store
from tests.services import free_port, mlflow_server, s3_server

MLFLOW = [sys.executable, "-m", "mlflow"]


@pytest.fixture(scope="module")
def unproxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that tells its clients to write to a folder of its own machine."""
    folder = tmp_path_factory.mktemp("server")
    root = folder / "on the server" / "artifacts"
    for address in mlflow_server(MLFLOW, folder, "--no-serve-artifacts", "--default-artifact-root", str(root)):
        yield address, root


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture
def with_bucket(bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in bucket.items():
        monkeypatch.setenv(name, text)


def local(folder: Path, experiments: dict[str, str] | None = None) -> Store:
    store = open_store(f"sqlite:///{folder}/mlflow.db")
    for name, location in (experiments or {}).items():
        store.client.create_experiment(name, artifact_location=location)
    return store


def entry(journal: Journal, folder: Path, experiment: str) -> None:
    run = journal.open_run(training_id="t", experiment=experiment, run_name=journal.reserve_run_name("ridge"))
    file = folder / f"{experiment}.txt"
    file.write_text(experiment)
    run.add_artifact(file, "data")
    run.end("FINISHED")


def test_a_server_that_does_not_proxy_is_refused_and_leaves_no_trace(
    unproxied: tuple[str, Path], tmp_path: Path
) -> None:
    address, root = unproxied
    journal = Journal(tmp_path / "journal")
    entry(journal, tmp_path, "coins")
    with open_store(address, timeout_s=20) as store:
        for _ in range(2):
            with pytest.raises(ConfigError, match="does not proxy artifacts") as caught:
                store.experiment_id("coins")
        assert "mlflow server --serve-artifacts" in caught.value.hint
        assert str(root) in caught.value.fact
        # The name is free: once the server proxies, the experiment is made anew.
        assert store.artifact_location("coins") is None
        left = deliver_pending(journal, store).left
        assert len(left) == 1
        with pytest.raises(ConfigError, match="does not proxy"):
            check_round_trip(store)
    assert not root.exists()


def test_an_experiment_from_before_the_proxy_is_refused_too(unproxied: tuple[str, Path]) -> None:
    address, root = unproxied
    with open_store(address, timeout_s=20) as store:
        store.client.create_experiment("from before")
        with pytest.raises(ConfigError, match="from before stores its artifacts at") as caught:
            store.experiment_id("from before")
    assert "another MLFLOW_EXPERIMENT_NAME" in caught.value.hint
    assert not root.exists()


def test_a_folder_that_is_shared_with_the_server_may_be_named(unproxied: tuple[str, Path], tmp_path: Path) -> None:
    address, root = unproxied
    with open_store(address, timeout_s=20, artifacts_root=root.as_uri()) as store:
        check_round_trip(store)
    assert root.exists()


@pytest.mark.parametrize(
    ("location", "error", "words", "hint"),
    [
        ("s3://team-bucket/x", AccessError, "no credentials", "AWS_ACCESS_KEY_ID"),
        ("gs://team-bucket/x", ConfigError, "not installed", "pip install google-cloud-storage"),
        ("wasbs://c@acc.blob.core.windows.net/x", ConfigError, "not installed", "pip install azure-storage-blob"),
        ("abfss://c@acc.dfs.core.windows.net/x", ConfigError, "not installed", "azure-storage-file-datalake"),
        ("sftp://u:s3cret@127.0.0.1/x", ConfigError, "not installed", "pip install pysftp"),
        ("hdfs://namenode/x", ConfigError, "client cannot be loaded", "JAVA_HOME"),
        ("mlflow-artifacts:/1", ConfigError, "through an MLflow server", "http address"),
        ("mlruns/1", ConfigError, "relative to", "MLFLOW_EXPERIMENT_NAME"),
        ("gopher://x/y", ConfigError, "no place of the kind gopher:", "MLFLOW_EXPERIMENT_NAME"),
        ("/not/on/this/machine", ConfigError, "not on this machine", "mount or restore"),
        ("file:///not/on/this/machine", ConfigError, "not on this machine", "mount or restore"),
    ],
)
def test_an_unusable_location_is_reported_with_a_hint(
    location: str, error: type[CryptomlError], words: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in [name for name in os.environ if name.startswith("AWS_") and "METADATA" not in name]:
        monkeypatch.delenv(name)
    with pytest.raises(error, match=words) as caught:
        check_location(location, store_uri="sqlite:////x/y.db", experiment="e", artifacts_root=None, timeout_s=2)
    assert hint in caught.value.hint
    assert "s3cret" not in str(caught.value)


@pytest.mark.usefixtures("with_bucket")
def test_a_bucket_takes_artifacts_and_gives_them_back(tmp_path: Path) -> None:
    with local(tmp_path, {"cryptoml-connection-check": "s3://models/check"}) as store:
        assert check_round_trip(store).size == 64 * 1024


@pytest.mark.usefixtures("with_bucket")
@pytest.mark.parametrize(
    ("name", "value", "location", "error", "words"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "s3://models/x", AccessError, "refuses these credentials"),
        ("AWS_ACCESS_KEY_ID", "wrong", "s3://models/x", AccessError, "refuses these credentials"),
        ("AWS_DEFAULT_REGION", "us-east-1", "s3://nowhere/x", ConfigError, "no such bucket"),
        ("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:PORT", "s3://models/x", UnavailableError, "does not answer"),
    ],
)
def test_a_refusing_bucket_is_reported(
    name: str, value: str, location: str, error: type[CryptomlError], words: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(name, value.replace("PORT", str(free_port())))
    with local(tmp_path, {"coins": location}) as store, pytest.raises(error, match=words) as caught:
        store.experiment_id("coins")
    assert caught.value.hint


def test_one_experiment_without_access_does_not_keep_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    journal = Journal(tmp_path / "journal")
    for name in ("s3", "gs", "plain"):
        entry(journal, tmp_path, name)
    with local(tmp_path, {"s3": "s3://team-bucket/x", "gs": "gs://team-bucket/x"}) as store:
        report = deliver_pending(journal, store)
        assert len(report.delivered) == 1
        assert len(report.left) == 2
        assert isinstance(report.error, AccessError)
        assert store.client.search_runs(["1", "2"]) == []
