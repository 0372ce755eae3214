"""What would make the delivery of runs fail at the end, asked before the work begins: experiment and right to write.

Asked with one or two small requests, or by reading the SQLite file, and without importing MLflow.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptoml.errors import AccessError, ConfigError
from cryptoml.tracking import probe, sqlite_store
from cryptoml.tracking.translate import http_error, masked

# Setting a tag is a write that changes nothing else and can be repeated.
WRITE_TAG = "cryptoml.last_write"
SQLITE_WAIT_S = 1.0
TRAIN_LOCALLY = "MLFLOW_TRACKING_URI=sqlite:///mlflow.db cryptoml train"


@dataclass(frozen=True)
class Server:
    """An MLflow server and how it is asked."""

    uri: str
    timeout_s: float
    credentials: tuple[str, str] | None

    def ask(self, function: str, values: dict[str, str], *, doing: str, write: bool = False) -> tuple[int, str]:
        """One request; status and body. Raises UnavailableError or ConfigError when there is no answer."""
        return probe.ask_mlflow(
            self.uri,
            function,
            values,
            timeout_s=self.timeout_s,
            credentials=self.credentials,
            write=write,
            doing=doing,
        )


def deleted_experiment(uri: str, name: str) -> ConfigError:
    """The error for a deleted experiment, with the command that restores it in this very store."""
    # A server's address stays in the settings, beside the credentials that belong to it.
    store = f"MLFLOW_TRACKING_URI={shlex.quote(uri)} " if uri.startswith("sqlite:") else ""
    return ConfigError(
        f"{masked(uri)}: the experiment {name} was deleted.",
        mend=f"{store}MLFLOW_EXPERIMENT_NAME={shlex.quote(name)} cryptoml doctor mlflow --fix"
        "  # restores it; another MLFLOW_EXPERIMENT_NAME starts a new one",
    )


def check_training_store(
    uri: str, experiment: str, *, timeout_s: float, credentials: tuple[str, str] | None = None
) -> None:
    """Raise when runs of `experiment` could not be written to the store at `uri`.

    ConfigError for a deleted experiment, AccessError for credentials that may not write, UnavailableError when the
    store does not answer. A missing experiment is created on a server, which proves the right to write.
    """
    if uri.startswith("sqlite:"):
        path = sqlite_store.database_path(uri)
        sqlite_store.check_existing(path, lock_wait_s=SQLITE_WAIT_S)
        found = sqlite_store.read_experiment_stage(path, experiment, lock_wait_s=SQLITE_WAIT_S)
    elif uri.startswith(("http://", "https://")):
        found = _check_server(Server(uri.rstrip("/"), timeout_s, credentials), experiment)
    else:
        return
    if found is not None and found[1] == "deleted":
        raise deleted_experiment(uri, experiment)


def check_write_access(
    uri: str, experiment: str, *, timeout_s: float, credentials: tuple[str, str] | None = None
) -> None:
    """Raise AccessError when these credentials may not write to the server; an experiment in use is needed to tell."""
    server = Server(uri.rstrip("/"), timeout_s, credentials)
    found = _find(server, experiment)
    if found is not None and found[1] != "deleted":
        _set_tag(server, found[0])


def _check_server(server: Server, name: str) -> tuple[str, str] | None:
    found = _find(server, name)
    try:
        if found is None:
            _write(server, "experiments/create", {"name": name}, f"create the experiment {name}")
        elif found[1] != "deleted":
            _set_tag(server, found[0])
    except AccessError as error:
        if "(403)" not in error.fact:
            raise
        raise AccessError(error.fact, mend=f"{TRAIN_LOCALLY}  # on this machine alone; or {error.mend}") from error
    return found


def _find(server: Server, name: str) -> tuple[str, str] | None:
    """Id and lifecycle stage of the experiment, or None when there is none."""
    doing = f"look up the experiment {name}"
    status, text = server.ask("experiments/get-by-name", {"experiment_name": name}, doing=doing)
    probe.judge(status, text, server.uri)
    if status != 200:
        return None
    document: Any = json.loads(text)
    found = document.get("experiment")
    if not isinstance(found, dict) or not found.get("experiment_id"):
        return None
    return str(found["experiment_id"]), str(found.get("lifecycle_stage", "active"))


def _set_tag(server: Server, experiment_id: str) -> None:
    values = {"experiment_id": experiment_id, "key": WRITE_TAG, "value": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    _write(server, "experiments/set-experiment-tag", values, "write to the experiment")


def _write(server: Server, function: str, values: dict[str, str], doing: str) -> None:
    status, text = server.ask(function, values, doing=doing, write=True)
    # Other answers (a function that the server lacks, a name that another process took) say nothing about rights.
    if status in (401, 403, 429) or status >= 500 or 300 <= status < 400:
        raise http_error(status, text, server.uri, doing)
