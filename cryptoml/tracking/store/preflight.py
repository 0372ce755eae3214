"""Preflight check of experiment and write permission, so that delivery does not fail after the training.

Sends one or two small requests, or reads the SQLite file, without importing MLflow.
"""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.tracking.store import server_probe, sqlite_file, sqlite_store
from cryptoml.tracking.store.artifacts.access import check_location, default_root, new_location, removed_name
from cryptoml.tracking.store.artifacts.roots import read_roots
from cryptoml.tracking.store.errors import http_error, masked

# Setting a tag is an idempotent write without side effects.
WRITE_TAG = "cryptoml.last_write"
SQLITE_WAIT_S = 1.0
TRAIN_LOCALLY = "MLFLOW_TRACKING_URI=sqlite:///mlflow.db cryptoml train"


@dataclass(frozen=True)
class Server:
    """An MLflow server, with timeout and credentials."""

    uri: str
    timeout_s: float
    credentials: tuple[str, str] | None

    def request(self, function: str, values: dict[str, str], *, doing: str, write: bool = False) -> tuple[int, str]:
        """Send a request; return status and body. Raises UnavailableError or ConfigError if there is no response."""
        return server_probe.request_mlflow(
            self.uri,
            function,
            values,
            timeout_s=self.timeout_s,
            credentials=self.credentials,
            write=write,
            doing=doing,
        )


def deleted_experiment(uri: str, name: str) -> ConfigError:
    """Return the error for a deleted experiment, with the command that restores it in this store."""
    # A server's address stays in the settings, with its credentials.
    store = f"MLFLOW_TRACKING_URI={shlex.quote(uri)} " if uri.startswith("sqlite:") else ""
    return ConfigError(
        f"{masked(uri)}: the experiment {name} was deleted.",
        hint=f"{store}MLFLOW_EXPERIMENT_NAME={shlex.quote(name)} cryptoml doctor mlflow --fix"
        "  # restores it. Or set another MLFLOW_EXPERIMENT_NAME; cryptoml sync --into NAME delivers there",
    )


@dataclass(frozen=True)
class ArtifactLocation:
    """Where an experiment stores its artifacts. identifier: its id if this check created it on a server, else None."""

    experiment: str
    location: str
    artifacts_root: str | None
    identifier: str | None = None


def check_training_store(
    uri: str,
    experiment: str,
    *,
    timeout_s: float,
    credentials: tuple[str, str] | None = None,
    artifacts_root: str | None = None,
) -> ArtifactLocation:
    """Raise if runs of `experiment` cannot be written to the file or server at `uri`; return the artifact location.

    Raises ConfigError for a deleted experiment, AccessError for credentials without write permission,
    UnavailableError if the store does not respond. On a server, a missing experiment is created, which proves write
    permission. Check the returned location with `check_artifact_location`.
    """
    if uri.startswith("sqlite:"):
        return _check_file(sqlite_file.database_path(uri), uri, experiment, artifacts_root)
    server = Server(uri.rstrip("/"), timeout_s, credentials)
    found = _find(server, experiment)
    if found is not None and found.stage == "deleted":
        raise deleted_experiment(uri, experiment)
    identifier = _try_writing(server, experiment, found)
    if identifier is not None:
        found = _find(server, experiment)
    return ArtifactLocation(experiment, found.location if found else "", artifacts_root, identifier)


def check_artifact_location(
    uri: str, target: ArtifactLocation, *, timeout_s: float, credentials: tuple[str, str] | None = None
) -> None:
    """Check the location as `check_location` does; on an error, remove an experiment created by the preflight check."""
    if not target.location:
        return
    try:
        check_location(
            target.location,
            store_uri=uri,
            experiment=target.experiment,
            artifacts_root=target.artifacts_root,
            timeout_s=timeout_s,
        )
    except (ConfigError, AccessError):
        if target.identifier is not None:
            _remove(Server(uri.rstrip("/"), timeout_s, credentials), target.experiment, target.identifier)
        raise


def _check_file(path: Path, uri: str, experiment: str, artifacts_root: str | None) -> ArtifactLocation:
    sqlite_store.check_existing(path, lock_wait_s=SQLITE_WAIT_S)
    found = sqlite_store.read_experiment(path, experiment, lock_wait_s=SQLITE_WAIT_S)
    root = artifacts_root or default_root(path)
    if found is None:
        return ArtifactLocation(experiment, new_location(root, experiment, store_uri=uri), root)
    _, stage, location = found
    if stage == "deleted":
        raise deleted_experiment(uri, experiment)
    return ArtifactLocation(experiment, read_roots(path, lock_wait_s=SQLITE_WAIT_S).current(location), root)


def check_write_access(
    uri: str, experiment: str, *, timeout_s: float, credentials: tuple[str, str] | None = None
) -> None:
    """Raise AccessError if the credentials lack write permission; without an active experiment nothing is checked."""
    server = Server(uri.rstrip("/"), timeout_s, credentials)
    found = _find(server, experiment)
    if found is not None and found.stage != "deleted":
        _set_tag(server, found.identifier)


@dataclass(frozen=True)
class _Experiment:
    identifier: str
    stage: str
    location: str


def _try_writing(server: Server, name: str, found: _Experiment | None) -> str | None:
    """Create the missing experiment or set a tag on the existing one; return the id of a created experiment."""
    try:
        if found is not None:
            _set_tag(server, found.identifier)
            return None
        status, text = _write(server, "experiments/create", {"name": name}, f"create the experiment {name}")
    except AccessError as error:
        if "(403)" not in error.fact:
            raise
        raise AccessError(
            error.fact, hint=f"{TRAIN_LOCALLY}  # stores runs on this machine only; or {error.hint}"
        ) from error
    if status != 200:
        # For example, another process created the experiment.
        return None
    identifier = _document(text).get("experiment_id")
    return str(identifier) if identifier else None


def _find(server: Server, name: str) -> _Experiment | None:
    """Return the experiment; None if it does not exist."""
    doing = f"look up the experiment {name}"
    status, text = server.request("experiments/get-by-name", {"experiment_name": name}, doing=doing)
    server_probe.check_response(status, text, server.uri)
    entry = _document(text).get("experiment") if status == 200 else None
    if not isinstance(entry, dict) or not entry.get("experiment_id"):
        return None
    stage, location = entry.get("lifecycle_stage", "active"), entry.get("artifact_location", "")
    return _Experiment(str(entry["experiment_id"]), str(stage), str(location))


def _remove(server: Server, name: str, identifier: str) -> None:
    """Rename and delete an experiment; it stays if the server does not respond or refuses."""
    new = {"experiment_id": identifier, "new_name": removed_name(name, identifier)}
    with suppress(UnavailableError, AccessError):
        _write(server, "experiments/update", new, f"rename the experiment {name}")
        _write(server, "experiments/delete", {"experiment_id": identifier}, f"delete the experiment {name}")


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _set_tag(server: Server, experiment_id: str) -> None:
    values = {"experiment_id": experiment_id, "key": WRITE_TAG, "value": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    _write(server, "experiments/set-experiment-tag", values, "write to the experiment")


def _write(server: Server, function: str, values: dict[str, str], doing: str) -> tuple[int, str]:
    status, text = server.request(function, values, doing=doing, write=True)
    # Other statuses (unsupported request, name taken by another process) do not concern permissions.
    if status in (401, 403, 429) or status >= 500 or 300 <= status < 400:
        raise http_error(status, text, server.uri, doing)
    return status, text
