"""Proves that a store works: a run with a metric and an artifact, read back, in an experiment deleted again."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cryptoml.errors import UnavailableError
from cryptoml.tracking.store.errors import masked, translate_store_errors
from cryptoml.tracking.store.store import Store

EXPERIMENT = "cryptoml-connection-check"
METRIC, VALUE = "connection", 1.0


@dataclass(frozen=True)
class RoundTripResult:
    """Speeds in megabytes (10^6 bytes) a second, of an artifact of `size` bytes; seconds of the whole proof."""

    size: int
    upload_mb_s: float
    download_mb_s: float
    seconds: float


def check_round_trip(store: Store, *, size: int = 64 * 1024) -> RoundTripResult:
    """Write a run with a metric and an artifact, read both back, delete run and experiment.

    Raises what the store refuses, and UnavailableError where it gives back something else.
    """
    began = time.monotonic()
    client = store.client
    identifier = _experiment(store)
    run_id: str | None = None
    try:
        with (
            translate_store_errors(store.uri, "write a test run"),
            tempfile.TemporaryDirectory(prefix="cryptoml-") as text,
        ):
            run_id = client.create_run(identifier, run_name="connection-check").info.run_id
            client.log_metric(run_id, METRIC, VALUE)
            source = Path(text) / "check.bin"
            source.write_bytes(os.urandom(size))
            started = time.monotonic()
            with store.uploading():
                store.repository(client.get_run(run_id), for_writing=True).log_artifact(str(source), "check")
            sent = time.monotonic() - started
            (Path(text) / "back").mkdir()
            started = time.monotonic()
            back = store.download(run_id, "check/check.bin", Path(text) / "back")
            came = time.monotonic() - started
            whole = back.read_bytes() == source.read_bytes()
            found = client.get_run(run_id).data.metrics.get(METRIC)
            client.set_terminated(run_id)
        if not whole or found != VALUE:
            raise UnavailableError(f"{masked(store.uri)}: a test run does not come back as it was written.")
    finally:
        _delete(store, identifier, run_id)
    return RoundTripResult(size, size / 1e6 / max(sent, 1e-6), size / 1e6 / max(came, 1e-6), time.monotonic() - began)


def _experiment(store: Store) -> str:
    """The experiment's id; a deleted one keeps its name for ever and is brought back."""
    with translate_store_errors(store.uri, "make a test experiment"):
        found = store.client.get_experiment_by_name(EXPERIMENT)
        if found is not None and found.lifecycle_stage == "deleted":
            store.client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
    return store.experiment_id(EXPERIMENT)


def _delete(store: Store, identifier: str, run_id: str | None) -> None:
    with translate_store_errors(store.uri, "delete the test run"):
        if run_id is not None:
            store.client.delete_run(run_id)
        store.client.delete_experiment(identifier)
