"""A training learns before its first fit that its artifacts, or its runs, cannot be stored."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, CryptomlError
from cryptoml.registry.registrar import registrar
from cryptoml.settings import load_settings
from cryptoml.tracking.store.project_store import check_project_location, check_project_store
from cryptoml.tracking.store.store import open_store
from cryptoml.tracking.tracker import Tracker
from tests.services import free_port, mlflow_server

EXPERIMENT = "crypto-price-prediction"


@pytest.fixture(scope="module")
def unproxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that tells its clients to write to a folder of its own machine."""
    folder = tmp_path_factory.mktemp("server")
    options = ("--no-serve-artifacts", "--default-artifact-root", str(folder / "root" / "artifacts"))
    yield from mlflow_server([sys.executable, "-m", "mlflow"], folder, *options)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in [name for name in os.environ if name.startswith("AWS_") and "METADATA" not in name]:
        monkeypatch.delenv(name)


def use(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)


def refusal() -> CryptomlError:
    """What ends a training before its first fit."""
    with Tracker(load_settings(), registrar=registrar, on_event=events.ignore) as work:
        with pytest.raises(CryptomlError) as caught:
            work.check()
        assert work.store() is None
    return caught.value


def test_a_server_that_does_not_proxy_is_refused_and_keeps_no_experiment(
    unproxied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, MLFLOW_TRACKING_URI=unproxied, CRYPTOML_STORE_TIMEOUT_S="20")
    settings = load_settings()
    place = check_project_store(settings)
    assert place is not None
    with pytest.raises(ConfigError, match="does not proxy artifacts"):
        check_project_location(settings, place)
    with open_store(unproxied, timeout_s=20) as store:
        assert store.client.get_experiment_by_name(EXPERIMENT) is None
        identifier = store.client.create_experiment(EXPERIMENT)
        with pytest.raises(ConfigError, match="does not proxy artifacts"):
            check_project_location(settings, check_project_store(settings) or place)
        # It was not created by the check, so it stays.
        assert store.client.get_experiment(identifier).lifecycle_stage == "active"


@pytest.mark.parametrize(
    ("variables", "kind", "words"),
    [
        ({"CRYPTOML_ARTIFACT_ROOT": "s3://team/x"}, AccessError, "no credentials for it are set"),
        ({"CRYPTOML_ARTIFACT_ROOT": "gs://team/x"}, ConfigError, "is not installed"),
        ({"MLFLOW_TRACKING_URI": "mssql+pymssql://u:s3cret@127.0.0.1/x"}, ConfigError, "driver for mssql"),
        ({"MLFLOW_TRACKING_URI": "redis://127.0.0.1/x"}, ConfigError, "not supported"),
    ],
)
def test_a_missing_driver_or_missing_credentials_are_found(
    variables: dict[str, str], kind: type[CryptomlError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, **variables)
    error = refusal()
    assert isinstance(error, kind)
    assert words in error.fact
    assert "s3cret" not in str(error)
    assert not Path("mlflow.db").exists()


def test_the_place_of_an_experiment_in_a_file_is_checked_and_the_database_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(f"sqlite:///{tmp_path}/mlflow.db") as store:
        store.client.create_experiment(EXPERIMENT, artifact_location="s3://team/x")
    before = (tmp_path / "mlflow.db").read_bytes()
    settings = load_settings()
    place = check_project_store(settings)
    assert place is not None
    with pytest.raises(AccessError, match="s3://team/x"):
        check_project_location(settings, place)
    assert (tmp_path / "mlflow.db").read_bytes() == before
    with closing(sqlite3.connect(tmp_path / "songs.db")) as database, database:
        database.execute("CREATE TABLE songs (title TEXT)")
    use(monkeypatch, MLFLOW_TRACKING_URI="sqlite:///songs.db")
    assert "not an MLflow database" in refusal().fact


def test_an_unavailable_database_warns_and_does_not_stop_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        monkeypatch,
        MLFLOW_TRACKING_URI=f"postgresql://u:s3cret@127.0.0.1:{free_port()}/d",
        CRYPTOML_ARTIFACT_ROOT="/tmp",
    )
    seen: list[events.Event] = []
    with Tracker(load_settings(), registrar=registrar, on_event=seen.append) as work:
        work.check()
        warned = [one.text for one in seen if isinstance(one, events.Warned)]
        assert "Training continues" in warned[0]
        assert "s3cret" not in warned[0]
