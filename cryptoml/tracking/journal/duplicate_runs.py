"""Duplicate runs created when the response to a request was lost: find them by run key, close and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptoml.errors import ConfigError
from cryptoml.tracking.store.errors import not_mlflow_error, translate_store_errors
from cryptoml.tracking.store.response_limits import all_pages

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.store.store import Store

RUN_KEY_TAG = "cryptoml.run_key"
DUPLICATE_TAG = "cryptoml.duplicate_of"
_PAGE = 100


def runs_of_key(store: Store, experiment_id: str, run_key: str) -> list[Run]:
    """Return all runs with that key, deleted ones included, except marked duplicates; the run to keep is first.

    Order: active before deleted, ended before running, most parameters and metrics, earliest start, lowest id.
    """
    from mlflow.entities import ViewType

    query, search = f"tags.`{RUN_KEY_TAG}` = '{run_key}'", store.client.search_runs
    runs: list[Run] = []
    for page in all_pages(
        lambda token: search([experiment_id], query, ViewType.ALL, max_results=_PAGE, page_token=token), store.uri
    ):
        runs += page
    if not all(run.info.run_id for run in runs):
        raise not_mlflow_error(store.uri, "search runs")
    return sorted((run for run in runs if DUPLICATE_TAG not in run.data.tags), key=keep_priority)


def close_duplicates(store: Store, duplicates: Sequence[Run], *, kept_id: str) -> int:
    """Mark each run as a duplicate of `kept_id`, end it if it is running, and delete it; return the number of runs.

    If the server cannot delete runs, they stay marked.
    """
    for run in duplicates:
        run_id = run.info.run_id
        with suppress(ConfigError), translate_store_errors(store.uri, f"close the duplicate run {run_id}"):
            store.client.set_tag(run_id, DUPLICATE_TAG, kept_id)
            if run.info.status == "RUNNING":
                store.client.set_terminated(run_id, "KILLED")
            store.client.delete_run(run_id)
    return len(duplicates)


def keep_priority(run: Run) -> tuple[bool, bool, bool, int, int, str]:
    """Return the sort key of runs with the same run key: the run to keep comes first, marked duplicates last."""
    size = len(run.data.params) + len(run.data.metrics)
    return (
        DUPLICATE_TAG in run.data.tags,
        run.info.lifecycle_stage == "deleted",
        run.info.status == "RUNNING",
        -size,
        run.info.start_time or 0,
        run.info.run_id,
    )
