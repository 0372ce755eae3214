"""Open the MLflow store after a check, with short timeouts and without telemetry."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cryptoml import events
from cryptoml.errors import CryptomlError
from cryptoml.tracking.store import database_store, server_probe, sqlite_file, sqlite_store
from cryptoml.tracking.store.addresses import unsupported
from cryptoml.tracking.store.artifacts import access, downloads, roots
from cryptoml.tracking.store.artifacts.roots import ArtifactRoots
from cryptoml.tracking.store.credentials import CREDENTIALS, environment, set_variables, swap_variables
from cryptoml.tracking.store.errors import exists_already, masked, not_mlflow_error, translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once
from cryptoml.tracking.store.preflight import deleted_experiment
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.request_limits import RETRIES, limits_of
from cryptoml.tracking.store.response_limits import limit_responses
from cryptoml.tracking.store.schema_revisions import use_for_schema_check

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

UPLOAD_TIMEOUT_S = 60


# Guards the environment, from which mlflow reads its limits and which all threads share.
_retries_guard = threading.RLock()


@dataclass(frozen=True)
class Store:
    """An open store. `close` (or `with`) restores the environment variables that configure mlflow's limits.

    `artifacts_root`: the URI below which new experiments store artifacts. A server chooses that location itself: then
    it is the folder or bucket that this machine shares with the server, or None.
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
        """`uri` without user and password, for messages and files."""
        return masked(self.uri)

    @property
    def is_remote(self) -> bool:
        """Whether the store is a server."""
        return self.uri.startswith(("http://", "https://"))

    def close(self) -> None:
        """Restore the environment."""
        set_variables(self._saved)
        self._saved.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment; create it if needed, even if other processes do so too.

        Raises ConfigError if it was deleted, and the errors of `access.check_location` if this machine cannot write
        to its artifact location.
        """
        found = self._find_experiment(name)
        if found is None:
            found = self._make_experiment(name)
        identifier, stage, location = found
        if stage == "deleted":
            raise deleted_experiment(self.uri, name)
        self._check_location(location, name)
        return identifier

    def find_experiment_id(self, name: str) -> str | None:
        """Return the id of the experiment; None if it does not exist or was deleted."""
        found = self._find_experiment(name)
        return found[0] if found and found[1] != "deleted" else None

    def check_not_deleted(self, name: str) -> None:
        """Raise ConfigError, with the command that restores it, if the experiment was deleted."""
        found = self._find_experiment(name)
        if found is not None and found[1] == "deleted":
            raise deleted_experiment(self.uri, name)

    def artifact_location(self, name: str) -> str | None:
        """Return the artifact location of the experiment; None if it does not exist."""
        found = self._find_experiment(name)
        return found[2] if found else None

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Use a longer request timeout within the block, for large files, unless the user set one."""
        wanted = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(UPLOAD_TIMEOUT_S)}
        is_default = self.is_remote and self._saved.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "") is None
        with environment(wanted if is_default else {}):
            yield

    @contextmanager
    def without_retries(self) -> Iterator[None]:
        """Make mlflow send each request within the block once."""
        with _retries_guard:
            saved = swap_variables({RETRIES: "0"})
            try:
                yield
            finally:
                # `close` in another thread may have restored the environment meanwhile.
                if os.environ.get(RETRIES) == "0":
                    set_variables(saved)

    def list_files(self, run_id: str, folder: str) -> list[str]:
        """Return the paths of the files directly in a folder of the run; raise AccessError for an unsafe path."""
        with translate_store_errors(self.uri, f"list the files of run {run_id}"):
            return [
                entry.path for entry in downloads.list_folder(self._repository_of(run_id), folder) if not entry.is_dir
            ]

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Download a file or folder of the run into the existing folder `target`; return its path there.

        Raises AccessError for a listing with unsafe paths or implausible sizes.
        """
        with self.uploading():
            return downloads.fetch(self._repository_of(run_id), path, target)

    def repository(self, run: Run, *, for_writing: bool = False) -> ArtifactRepository:
        """Open the run's artifact repository, at its current location if the project was moved."""
        # The client's methods also query logged models, which servers before MLflow 3 do not support, and would use
        # the project's former folder.
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = run.info.artifact_uri
        if self.is_remote:
            access.check_run_location(location, store_uri=self.uri, artifacts_root=self.artifacts_root)
        if self.roots is not None:
            location = self.roots.current(location) if for_writing else self.roots.readable(location)
        return get_artifact_repository(location, tracking_uri=self.uri, registry_uri=self.uri)

    def _repository_of(self, run_id: str) -> ArtifactRepository:
        return self.repository(self.client.get_run(run_id))

    def _check_location(self, location: str, experiment: str) -> None:
        current = self.roots.current(location) if self.roots is not None else location
        if current in self._checked:
            return
        access.check_location(
            current,
            store_uri=self.uri,
            experiment=experiment,
            artifacts_root=self.artifacts_root,
            timeout_s=self.timeout_s,
        )
        self._checked.add(current)

    def _find_experiment(self, name: str) -> tuple[str, str, str] | None:
        with translate_store_errors(self.uri, f"look up the experiment {name}"):
            found = self.client.get_experiment_by_name(name)
            if found and not found.experiment_id:
                raise not_mlflow_error(self.uri, f"look up the experiment {name}")
        return (found.experiment_id, found.lifecycle_stage, found.artifact_location) if found else None

    def _new_location(self, name: str) -> str | None:
        """Return the artifact location for a new experiment; None if the server chooses it."""
        if self.is_remote:
            return None
        location = access.new_location(self.artifacts_root, name, store_uri=self.uri)
        self._check_location(location, name)
        return location

    def _location_by_server(self, identifier: str, name: str) -> str:
        """Return the artifact location that the server chose for a new experiment.

        The location of an experiment cannot change: if this machine cannot use it, the experiment is removed, so that
        its name is free.
        """
        location = str(self.client.get_experiment(identifier).artifact_location)
        try:
            self._check_location(location, name)
        except CryptomlError:
            self.client.rename_experiment(identifier, access.removed_name(name, identifier))
            self.client.delete_experiment(identifier)
            raise
        return location

    def _make_experiment(self, name: str) -> tuple[str, str, str]:
        from mlflow.exceptions import MlflowException

        location = self._new_location(name)

        def create() -> tuple[str, str, str | None]:
            return self.client.create_experiment(name, artifact_location=location), "active", location

        with translate_store_errors(self.uri, f"create the experiment {name}"):
            try:
                identifier, stage, chosen = send_once(
                    self, create, lambda: self._find_experiment(name), valid=lambda created: bool(created[0])
                )
            except MlflowException as error:
                found = self._find_experiment(name) if exists_already(error) or not self.is_remote else None
                if found is None:
                    raise
                return found
            return identifier, stage, chosen or self._location_by_server(identifier, name)


def open_store(
    tracking_uri: str,
    *,
    timeout_s: float = 5.0,
    username: str | None = None,
    password: str | None = None,
    artifacts_root: str | None = None,
    on_relocation: Callable[[str], None] | None = None,
    migrate: bool = True,
    lock_wait_s: float = sqlite_store.LOCK_WAIT_S,
    on_event: events.OnEvent = events.ignore,
) -> Store:
    """Open the store at `tracking_uri`: `sqlite:////abs/mlflow.db`, an http(s) server, or another database.

    A missing SQLite store is created; its artifacts go to the URI `artifacts_root`, by default `mlartifacts` beside it.
    A database of an older MLflow is migrated after a backup; without `migrate`, ConfigError is raised. The lock of
    another program is waited for up to `lock_wait_s`. With `on_relocation`, the artifact locations of a moved store are
    rewritten and a sentence about it is reported; otherwise they are resolved in memory. Raises UnavailableError,
    AccessError or ConfigError; for a server within a few times `timeout_s`.
    """
    scheme = tracking_uri.partition(":")[0].partition("+")[0].lower()
    if scheme == "sqlite":
        path = sqlite_file.database_path(tracking_uri)
        root = artifacts_root or access.default_root(path)
        local = roots.local_path(root) or path.parent / access.ARTIFACTS_FOLDER
        sqlite_store.prepare(path, artifacts_root=local, lock_wait_s=lock_wait_s, migrate=migrate, on_event=on_event)
        artifact_roots = (
            roots.follow(path, tell=on_relocation, lock_wait_s=lock_wait_s)
            if on_relocation
            else roots.read_roots(path, lock_wait_s=lock_wait_s)
        )
        return _store(sqlite_file.database_uri(path), root, {}, timeout_s, artifact_roots)
    # Compare the prefix, not the parsed scheme: `Settings` uses the same test to decide about credentials.
    if tracking_uri.startswith(("http://", "https://")):
        uri = tracking_uri.rstrip("/")
        credentials = (username, password) if username and password else None
        server_probe.probe_http(uri, timeout_s=timeout_s, credentials=credentials)
        return _store(uri, artifacts_root, limits_of(timeout_s) | _login(credentials), timeout_s)
    if scheme in database_store.PORTS:
        uri = database_store.prepare(tracking_uri, timeout_s=timeout_s, artifacts_root=artifacts_root)
        return _store(uri, artifacts_root, {}, timeout_s)
    raise unsupported(tracking_uri)


def _store(
    uri: str, root: str | None, wanted: Mapping[str, str], timeout_s: float, roots: ArtifactRoots | None = None
) -> Store:
    mlflow = import_mlflow()
    limit_responses()
    if not uri.startswith(("http://", "https://")):
        use_for_schema_check()
    saved = swap_variables(wanted)
    try:
        with translate_store_errors(uri, "open the store"):
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except BaseException:
        set_variables(saved)
        raise
    return Store(client, uri, root, roots, timeout_s, saved)


def _login(credentials: tuple[str, str] | None) -> dict[str, str]:
    return dict(zip(CREDENTIALS[:2], credentials, strict=True)) if credentials else {}
