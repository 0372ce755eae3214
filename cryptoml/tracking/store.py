"""Opening the MLflow store: found fit first, with short time limits, no telemetry and no surprises."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptoml.errors import ConfigError, CryptomlError
from cryptoml.tracking import artifact_access, artifact_roots, database_store, probe, sqlite_store
from cryptoml.tracking.addresses import unsupported
from cryptoml.tracking.artifact_roots import ArtifactRoots
from cryptoml.tracking.quiet import import_mlflow
from cryptoml.tracking.translate import masked, store_in_words

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

ARTIFACTS_FOLDER = "mlartifacts"
UPLOAD_TIMEOUT_S = 60


@dataclass(frozen=True)
class Store:
    """An open store. `close` (or `with`) puts back the environment variables that mlflow reads its limits from.

    `artifacts_root` is the URI below which new experiments keep their artifacts; on a server, which decides that
    itself, the folder or bucket that this machine shares with it, or None.
    """

    client: MlflowClient
    uri: str = field(repr=False)
    artifacts_root: str | None
    roots: ArtifactRoots | None = None
    timeout_s: float = 5.0
    _saved: dict[str, str | None] = field(default_factory=dict, repr=False)
    _checked: set[str] = field(default_factory=set, repr=False)

    @property
    def address(self) -> str:
        """`uri` without user and password: what may be shown and kept."""
        return masked(self.uri)

    @property
    def is_remote(self) -> bool:
        """Whether requests go over a network."""
        return self.uri.startswith(("http://", "https://"))

    def close(self) -> None:
        """Put the environment back as it was."""
        _restore(self._saved)
        self._saved.clear()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def experiment_id(self, name: str) -> str:
        """The id of the experiment, which is made when it is not there; others may be making it too.

        Raises ConfigError when it was deleted, and what `artifact_access.check_location` raises when this machine
        cannot write artifacts where the experiment keeps them.
        """
        found = self._find_experiment(name)
        if found is None:
            found = self._make_experiment(name)
        identifier, stage, location = found
        if stage == "deleted":
            raise ConfigError(
                f"{masked(self.uri)}: the experiment {name} was deleted.",
                mend=f"mlflow experiments restore -x {identifier}, or choose another MLFLOW_EXPERIMENT_NAME",
            )
        self._check_location(location, name)
        return identifier

    def find_experiment_id(self, name: str) -> str | None:
        """The id of the experiment, or None when it is not there or was deleted."""
        found = self._find_experiment(name)
        return found[0] if found and found[1] != "deleted" else None

    def artifact_location(self, name: str) -> str | None:
        """Where the experiment keeps its artifacts, or None when it is not there."""
        found = self._find_experiment(name)
        return found[2] if found else None

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Give single requests the time that large files need."""
        wanted = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(UPLOAD_TIMEOUT_S)}
        ours = self.is_remote and self._saved.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "") is None
        saved = _set(wanted) if ours else {}
        try:
            yield
        finally:
            _restore(saved)

    def list_files(self, run_id: str, folder: str) -> list[str]:
        """The paths of the run's files directly in the folder."""
        return [one.path for one in self._artifacts(run_id).list_artifacts(folder) if not one.is_dir]

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Fetch a file or a folder of the run into `target`, which is there; gives where it lies now."""
        with self.uploading():
            return Path(self._artifacts(run_id).download_artifacts(path, str(target)))

    def upload_folder(self, run_id: str, folder: Path, path: str | None = None) -> None:
        """Store all files of the folder as artifacts of the run, below `path`."""
        with self.uploading():
            if self.roots is not None and self.roots.former:
                # The client would write to where the run's location says, which is the former folder.
                self._artifacts(run_id, for_writing=True).log_artifacts(str(folder), path)
            else:
                self.client.log_artifacts(run_id, str(folder), path)

    def _artifacts(self, run_id: str, *, for_writing: bool = False) -> ArtifactRepository:
        # The client's own methods also look for logged models, which servers before MLflow 3 do not know.
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = self.client.get_run(run_id).info.artifact_uri
        if self.roots is not None:
            location = self.roots.current(location) if for_writing else self.roots.readable(location)
        return get_artifact_repository(location, tracking_uri=self.uri, registry_uri=self.uri)

    def _check_location(self, location: str, experiment: str) -> None:
        current = self.roots.current(location) if self.roots is not None else location
        if current in self._checked:
            return
        artifact_access.check_location(
            current,
            store_uri=self.uri,
            experiment=experiment,
            artifacts_root=self.artifacts_root,
            timeout_s=self.timeout_s,
        )
        self._checked.add(current)

    def _find_experiment(self, name: str) -> tuple[str, str, str] | None:
        with store_in_words(self.uri, f"look up the experiment {name}"):
            found = self.client.get_experiment_by_name(name)
        return (found.experiment_id, found.lifecycle_stage, found.artifact_location) if found else None

    def _new_location(self, name: str) -> str | None:
        """Where a new experiment is to keep its artifacts; None where the server decides."""
        if self.is_remote:
            return None
        if self.artifacts_root is None:
            raise ConfigError(
                f"{self.address}: a database says nothing about where artifacts of new experiments go.",
                mend="set CRYPTOML_ARTIFACT_ROOT to a bucket (s3://bucket/folder) or to a folder that all users share",
            )
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "experiment"
        location = f"{self.artifacts_root}/{folder}"
        self._check_location(location, name)
        return location

    def _location_by_server(self, identifier: str, name: str) -> str:
        """Where the server lets the experiment keep its artifacts, which was made just now.

        An experiment keeps its location for good, so one that cannot be used here is removed, and its name is free.
        """
        location = str(self.client.get_experiment(identifier).artifact_location)
        try:
            self._check_location(location, name)
        except CryptomlError:
            self.client.rename_experiment(identifier, f"{name} (no artifacts, {identifier})")
            self.client.delete_experiment(identifier)
            raise
        return location

    def _make_experiment(self, name: str) -> tuple[str, str, str]:
        from mlflow.exceptions import MlflowException

        location = self._new_location(name)
        with store_in_words(self.uri, f"make the experiment {name}"):
            try:
                identifier = self.client.create_experiment(name, artifact_location=location)
                return identifier, "active", location or self._location_by_server(identifier, name)
            except MlflowException:
                found = self._find_experiment(name)
                if found is None:
                    raise
                return found


def open_store(
    tracking_uri: str,
    *,
    timeout_s: float = 5.0,
    username: str | None = None,
    password: str | None = None,
    artifacts_root: str | None = None,
    on_relocation: Callable[[str], None] | None = None,
) -> Store:
    """Open the store at `tracking_uri`: `sqlite:////abs/mlflow.db`, an http(s) server, or another database.

    A SQLite store is made when it is not there; its artifacts go to the URI `artifacts_root`, by default `mlartifacts`
    beside it. With `on_relocation`, artifact locations of a store that was moved are rewritten to where it is now, and
    it gets a sentence about that; without it they are resolved in memory. Raises UnavailableError, AccessError or
    ConfigError within a few times `timeout_s`.
    """
    scheme = urlsplit(tracking_uri).scheme.partition("+")[0]
    if scheme == "sqlite":
        path = sqlite_store.database_path(tracking_uri)
        root = artifacts_root or (path.parent / ARTIFACTS_FOLDER).as_uri()
        local = artifact_roots.local_path(root) or path.parent / ARTIFACTS_FOLDER
        sqlite_store.prepare(path, artifacts_root=local, timeout_s=timeout_s)
        roots = artifact_roots.follow(path, tell=on_relocation) if on_relocation else artifact_roots.read_roots(path)
        return _store(sqlite_store.database_uri(path), root, {}, timeout_s, roots)
    if scheme in ("http", "https"):
        uri = tracking_uri.rstrip("/")
        credentials = (username, password) if username and password else None
        bearer = bool(os.environ.get("MLFLOW_TRACKING_TOKEN"))
        probe.check_address(uri, with_credentials=credentials is not None or bearer)
        probe.probe_http(uri, timeout_s=timeout_s, credentials=credentials)
        return _store(uri, artifacts_root, _limits(timeout_s) | _credentials(credentials), timeout_s)
    if scheme in database_store.PORTS:
        uri = database_store.prepare(tracking_uri, timeout_s=timeout_s, artifacts_root=artifacts_root)
        return _store(uri, artifacts_root, {}, timeout_s)
    raise unsupported(tracking_uri)


def _store(
    uri: str, root: str | None, wanted: Mapping[str, str], timeout_s: float, roots: ArtifactRoots | None = None
) -> Store:
    mlflow = import_mlflow()
    saved = _set(wanted)
    try:
        with store_in_words(uri, "open the store"):
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except BaseException:
        _restore(saved)
        raise
    return Store(client, uri, root, roots, timeout_s, saved)


def _limits(timeout_s: float) -> dict[str, str]:
    """Three tries within seconds; what the user set himself stays."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(timeout_s))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        # A server may ask for an hour's patience; the journal waits instead.
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        # Ending a run would print its address to standard output, where results go.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    return {name: text for name, text in wanted.items() if name not in os.environ}


def _credentials(credentials: tuple[str, str] | None) -> dict[str, str]:
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    return dict(zip(names, credentials, strict=True)) if credentials else {}


def _set(wanted: Mapping[str, str]) -> dict[str, str | None]:
    saved = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    return saved


def _restore(saved: Mapping[str, str | None]) -> None:
    for name, text in saved.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text
