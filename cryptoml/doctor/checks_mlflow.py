"""Checks of the tracking store: address, access, writing of runs and files, and unsupported endpoints."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.doctor.checks_stores import moved_project
from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, skipped, warning
from cryptoml.errors import AccessError, CryptomlError, UnavailableError
from cryptoml.remotes.http import Response, send_request
from cryptoml.system.plurals import counted
from cryptoml.tracking.store.errors import masked, translate_store_errors
from cryptoml.tracking.store.preflight import deleted_experiment

if TYPE_CHECKING:
    from mlflow.entities import Experiment

    from cryptoml.tracking.store.store import Store

ROUND_TRIP_BYTES = 256 * 1024
STORAGE_FULL_MARKS = ("(507)", "(413)", "storage", "no room", "quota")


def is_remote(context: Context) -> bool:
    """Return whether the store is accessed over a network."""
    return context.settings is not None and not context.settings.mlflow_uri().startswith("sqlite:")


@check("mlflow-address", needs=("settings",))
def mlflow_address(context: Context) -> Iterator[Finding]:
    """The URI of the tracking store is valid."""
    uri = context.config.mlflow_uri()
    if context.config.store_is_dagshub() and not uri.rstrip("/").endswith(".mlflow"):
        yield error(
            f"{uri} does not end in .mlflow, so DagsHub returns a web page or 404",
            f"correct MLFLOW_TRACKING_URI ({context.origin_of('MLFLOW_TRACKING_URI')}): "
            f"{uri.rstrip('/').removesuffix('.git')}.mlflow",
        )
    else:
        yield ok(f"{masked(uri)} ({context.origin_of('MLFLOW_TRACKING_URI')})")


@check("mlflow", needs=("mlflow-address", "credentials"), network=is_remote)
def mlflow(context: Context) -> Iterator[Finding]:
    """The tracking store is accessible, and the experiment is not deleted."""
    try:
        store = context.store()
    except UnavailableError as failure:
        if not is_remote(context):
            yield warning(failure.fact.rstrip("."), failure.hint)
            yield skipped("its content was not checked")
            return
        yield error(
            f"{failure.fact.rstrip('.')} (cryptoml keeps runs in the journal; plain MLflow would retry for 4 minutes)",
            failure.hint,
        )
        return
    name = context.config.experiment_name
    found = _experiment(store, name)
    if found is not None and found.lifecycle_stage == "deleted":
        deleted = deleted_experiment(store.uri, name)
        yield error(deleted.fact.rstrip("."), deleted.hint, lambda: _restore(store, found))
        return
    yield ok(f"accessible; experiment {name} {'exists' if found else 'will be created by the first training'}")
    yield from moved_project(store)


def _experiment(store: Store, name: str) -> Experiment | None:
    with translate_store_errors(store.uri, f"look up the experiment {name}"):
        return store.client.get_experiment_by_name(name)


def _restore(store: Store, experiment: Experiment) -> None:
    with translate_store_errors(store.uri, f"restore the experiment {experiment.name}"):
        store.client.restore_experiment(experiment.experiment_id)


@check("mlflow-write", needs=("mlflow",), network=is_remote)
def mlflow_write(context: Context) -> Iterator[Finding]:
    """A run, a metric and a file can be written and read."""
    from cryptoml.tracking.round_trip import check_round_trip

    try:
        done = check_round_trip(context.store(), size=ROUND_TRIP_BYTES)
    except CryptomlError as failure:
        if isinstance(failure, UnavailableError) and any(mark in failure.fact.lower() for mark in STORAGE_FULL_MARKS):
            yield error(
                f"the storage is full: {failure.fact.rstrip('.')}",
                "free or buy storage; deleting runs does not free any",
            )
        elif isinstance(failure, AccessError) and "403" in failure.fact:
            yield error(
                f"runs are rejected: {failure.fact.rstrip('.')}",
                "use a token with write permission, or ask the owner for it",
            )
        elif isinstance(failure, UnavailableError) and not is_remote(context):
            yield warning(failure.fact.rstrip("."), failure.hint)
        else:
            yield error(failure.fact.rstrip("."), failure.hint)
        return
    yield ok(
        f"wrote and read a run and a file; upload {done.upload_mb_s:.1f} MB/s, download {done.download_mb_s:.1f} MB/s"
    )


@check("mlflow-registry", needs=("mlflow",), network=is_remote)
def mlflow_registry(context: Context) -> Iterator[Finding]:
    """The model registry is accessible."""
    store = context.store()
    with translate_store_errors(store.uri, "read the model registry"):
        names = [model.name for model in store.client.search_registered_models(max_results=5)]
    yield ok(f"accessible; models: {', '.join(names) or 'none'}")


@check("mlflow-server", needs=("mlflow",), network=is_remote)
def mlflow_server(context: Context) -> Iterator[Finding]:
    """Version of the server, and endpoints of newer clients that it lacks."""
    store = context.store()
    if not store.is_remote:
        yield ok("no server in use")
        return
    version = _ask(context, "GET", "/version")
    shown = version.text.strip()[:20] if version.status == 200 and "<" not in version.text else "unknown"
    yield ok(f"version {shown}")
    answer = _ask(context, "POST", "/api/2.0/mlflow/logged-models/search", {"experiment_ids": ["0"], "max_results": 1})
    if answer.status == 404 and "error_code" not in answer.text:
        yield warning(
            'no logged-models endpoint, so mlflow.<flavor>.log_model fails with "unsupported endpoint"',
            "cryptoml does not need it; in your own scripts use save_model and log_artifacts",
        )
    yield from _model_id(context)


def _model_id(context: Context) -> Iterator[Finding]:
    """Send a metric with a model_id for a run that does not exist; the error shows whether the field is supported."""
    body: dict[str, object] = {
        "run_id": "0" * 32,
        "metrics": [{"key": "check", "value": 0.0, "timestamp": 0, "step": 0, "model_id": "m-" + "0" * 32}],
        "params": [],
        "tags": [],
    }
    answer = _ask(context, "POST", "/api/2.0/mlflow/runs/log-batch", body)
    if answer.status == 400 and "RESOURCE_DOES_NOT_EXIST" not in answer.text and "not found" not in answer.text.lower():
        yield warning(
            "metrics with a model_id, which MLflow sends after log_model, are rejected (400 BAD_REQUEST)",
            "cryptoml sends no model_id; in your own scripts log metrics before log_model",
        )


def _ask(context: Context, method: str, path: str, body: dict[str, object] | None = None) -> Response:
    return send_request(
        method,
        f"{context.config.mlflow_uri().rstrip('/')}{path}",
        basic=context.config.mlflow_credentials(),
        json=body,
        timeout_s=context.timeout_s,
    )


@check("journal", needs=("settings",))
def journal(context: Context) -> Iterator[Finding]:
    """All runs in the journal are delivered."""
    from cryptoml.tracking.tracker import project_journal

    waiting = project_journal(context.config).pending()
    if waiting:
        yield warning(f"{counted(len(waiting), 'run')} waiting to be delivered", "cryptoml sync")
    else:
        yield ok("all runs are delivered")


@check("command")
def command(context: Context) -> Iterator[Finding]:
    """The command cryptoml is on the PATH."""
    found = shutil.which("cryptoml")
    if found is None:
        yield warning(
            "cryptoml is not on the PATH, so a scheduler would not find it",
            f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
        )
    else:
        yield ok(found)
