"""Opening the MLflow store: found fit first, with short time limits, no telemetry and no surprises."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import ConfigError
from cryptoml.tracking import downloads, probe, sqlite_store
from cryptoml.tracking.answers import limit_answers
from cryptoml.tracking.credentials import CREDENTIALS, environment, put, replace
from cryptoml.tracking.once import once
from cryptoml.tracking.preflight import deleted_experiment
from cryptoml.tracking.quiet import import_mlflow
from cryptoml.tracking.translate import exists_already, foreign_answer, masked, store_in_words

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

ARTIFACTS_FOLDER = "mlartifacts"
UPLOAD_TIMEOUT_S = 60
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


# mlflow reads its limits from the environment, which all threads share.
_retries_guard = threading.RLock()


@dataclass(frozen=True)
class Store:
    """An open store. `close` (or `with`) puts back the environment variables that mlflow reads its limits from.

    `artifacts_root` is None where the server decides where artifacts go.
    """

    client: MlflowClient
    uri: str
    artifacts_root: Path | None
    _saved: dict[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether requests go over a network."""
        return self.uri.startswith(("http://", "https://"))

    def close(self) -> None:
        """Put the environment back as it was."""
        put(self._saved)
        self._saved.clear()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def experiment_id(self, name: str) -> str:
        """The id of the experiment, which is made when it is not there; others may be making it too.

        Raises ConfigError when it was deleted.
        """
        found = self._find_experiment(name)
        if found is None:
            found = self._make_experiment(name)
        identifier, stage = found
        if stage == "deleted":
            raise deleted_experiment(self.uri, name)
        return identifier

    def find_experiment_id(self, name: str) -> str | None:
        """The id of the experiment, or None when it is not there or was deleted."""
        found = self._find_experiment(name)
        return found[0] if found and found[1] != "deleted" else None

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Give single requests the time that large files need."""
        wanted = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(UPLOAD_TIMEOUT_S)}
        ours = self.is_remote and self._saved.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "") is None
        with environment(wanted if ours else {}):
            yield

    @contextmanager
    def without_retries(self) -> Iterator[None]:
        """Let mlflow send each request once, whatever the answer."""
        with _retries_guard:
            saved = replace({_RETRIES: "0"})
            try:
                yield
            finally:
                # `close` in another thread may have put the environment back meanwhile.
                if os.environ.get(_RETRIES) == "0":
                    put(saved)

    def list_files(self, run_id: str, folder: str) -> list[str]:
        """The paths of the run's files directly in the folder; raises AccessError for an unsafe path."""
        return [one.path for one in downloads.list_folder(self._artifacts(run_id), folder) if not one.is_dir]

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Fetch a file or a folder of the run into `target`, which is there; gives where it lies now.

        Raises AccessError for a listing with unsafe paths or absurd sizes.
        """
        with self.uploading():
            return downloads.fetch(self._artifacts(run_id), path, target)

    def _artifacts(self, run_id: str) -> ArtifactRepository:
        # The client's own methods also look for logged models, which servers before MLflow 3 do not know.
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        run = self.client.get_run(run_id)
        return get_artifact_repository(run.info.artifact_uri, tracking_uri=self.uri, registry_uri=self.uri)

    def _find_experiment(self, name: str) -> tuple[str, str] | None:
        with store_in_words(self.uri, f"look up the experiment {name}"):
            found = self.client.get_experiment_by_name(name)
            if found and not found.experiment_id:
                raise foreign_answer(self.uri, f"look up the experiment {name}")
        return (found.experiment_id, found.lifecycle_stage) if found else None

    def _make_experiment(self, name: str) -> tuple[str, str]:
        from mlflow.exceptions import MlflowException

        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "experiment"
        location = None if self.artifacts_root is None else (self.artifacts_root / folder).as_uri()
        with store_in_words(self.uri, f"make the experiment {name}"):
            try:
                return once(
                    self,
                    lambda: (self.client.create_experiment(name, artifact_location=location), "active"),
                    lambda: self._find_experiment(name),
                    valid=lambda made: bool(made[0]),
                )
            except MlflowException as error:
                found = self._find_experiment(name) if exists_already(error) or not self.is_remote else None
                if found is None:
                    raise
                return found


def open_store(
    tracking_uri: str,
    *,
    timeout_s: float = 5.0,
    username: str | None = None,
    password: str | None = None,
    artifacts_root: Path | None = None,
    migrate: bool = True,
    lock_wait_s: float = sqlite_store.LOCK_WAIT_S,
    on_event: events.OnEvent = events.ignore,
) -> Store:
    """Open the store at `tracking_uri`: `sqlite:////abs/mlflow.db`, an http(s) server, or another database.

    A SQLite store is made when it is not there; its artifacts go to `artifacts_root`, by default `mlartifacts`
    beside it. One of an older MLflow is migrated after a backup, or refused when `migrate` is false; one that
    another program has locked is waited for up to `lock_wait_s`. Raises UnavailableError, AccessError or
    ConfigError; for a server within a few times `timeout_s`.
    """
    scheme = tracking_uri.partition(":")[0].partition("+")[0].lower()
    if scheme == "sqlite":
        path = sqlite_store.database_path(tracking_uri)
        root = artifacts_root or path.parent / ARTIFACTS_FOLDER
        sqlite_store.prepare(path, artifacts_root=root, lock_wait_s=lock_wait_s, migrate=migrate, on_event=on_event)
        return _store(sqlite_store.database_uri(path), root, {})
    # The text itself: this is where credentials may go, and `Settings` decides about them by the same beginning.
    if tracking_uri.startswith(("http://", "https://")):
        uri = tracking_uri.rstrip("/")
        credentials = (username, password) if username and password else None
        probe.probe_http(uri, timeout_s=timeout_s, credentials=credentials)
        return _store(uri, None, _limits(timeout_s) | _credentials(credentials))
    if scheme in _DATABASE_PORTS:
        probe.probe_tcp(tracking_uri, timeout_s=timeout_s, default_port=_DATABASE_PORTS[scheme])
        return _store(tracking_uri, artifacts_root, {})
    raise ConfigError(
        f"{masked(tracking_uri)}: this kind of store is not supported.",
        mend="use sqlite:////folder/mlflow.db or an http(s) address in MLFLOW_TRACKING_URI",
    )


def _store(uri: str, root: Path | None, wanted: Mapping[str, str]) -> Store:
    mlflow = import_mlflow()
    limit_answers()
    saved = replace(wanted)
    try:
        with store_in_words(uri, "open the store"):
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except BaseException:
        put(saved)
        raise
    return Store(client, uri, root, saved)


def _limits(timeout_s: float) -> dict[str, str]:
    """Three tries within seconds and no redirects; other limits that the user set stay."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(timeout_s))),
        _RETRIES: "2",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        # A server may ask for an hour's patience; the journal waits instead.
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        # Ending a run would print its address to standard output, where results go.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    kept = {name: text for name, text in wanted.items() if name not in os.environ}
    # Whatever the user set: a redirected request would carry its body to another host. `probe_http` refuses an
    # address that redirects, so no working set-up needs them.
    return kept | {"MLFLOW_ALLOW_HTTP_REDIRECTS": "false"}


def _credentials(credentials: tuple[str, str] | None) -> dict[str, str]:
    return dict(zip(CREDENTIALS[:2], credentials, strict=True)) if credentials else {}
