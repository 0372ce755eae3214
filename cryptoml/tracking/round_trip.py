"""Round-trip check of a store: write a run with a metric and an artifact, read both back, delete them."""

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
    """Transfer rates in megabytes (10^6 bytes) per second of an artifact of `size` bytes; total duration in seconds."""

    size: int
    upload_mb_s: float
    download_mb_s: float
    seconds: float


def check_round_trip(store: Store, *, size: int = 64 * 1024) -> RoundTripResult:
    """Write a run with a metric and an artifact, read both back, delete the run and its experiment.

    Raises the store's errors, and UnavailableError if the values read back differ from those written.
    """
    began = time.monotonic()
    client = store.client
    identifier = _experiment(store)
    run_id: str | None = None
    try:
        with (
            translate_store_errors(store.uri, "write a test run"),
            tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        ):
            run_id = client.create_run(identifier, run_name="connection-check").info.run_id
            client.log_metric(run_id, METRIC, VALUE)
            source = Path(folder) / "check.bin"
            source.write_bytes(os.urandom(size))
            started = time.monotonic()
            with store.uploading():
                store.repository(client.get_run(run_id), for_writing=True).log_artifact(str(source), "check")
            upload_s = time.monotonic() - started
            (Path(folder) / "back").mkdir()
            started = time.monotonic()
            returned = store.download(run_id, "check/check.bin", Path(folder) / "back")
            download_s = time.monotonic() - started
            is_intact = returned.read_bytes() == source.read_bytes()
            value = client.get_run(run_id).data.metrics.get(METRIC)
            client.set_terminated(run_id)
        if not is_intact or value != VALUE:
            raise UnavailableError(
                f"{masked(store.uri)}: a test run was read back with other content than was written."
            )
    finally:
        _delete(store, identifier, run_id)
    return RoundTripResult(
        size, size / 1e6 / max(upload_s, 1e-6), size / 1e6 / max(download_s, 1e-6), time.monotonic() - began
    )


def _experiment(store: Store) -> str:
    """Return the id of the test experiment; restore it if it was deleted, because its name stays reserved."""
    with translate_store_errors(store.uri, "create a test experiment"):
        experiment = store.client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            store.client.restore_experiment(experiment.experiment_id)
            return str(experiment.experiment_id)
    return store.experiment_id(EXPERIMENT)


def _delete(store: Store, identifier: str, run_id: str | None) -> None:
    with translate_store_errors(store.uri, "delete the test run"):
        if run_id is not None:
            store.client.delete_run(run_id)
        store.client.delete_experiment(identifier)
