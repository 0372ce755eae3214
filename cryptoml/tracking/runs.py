"""Read runs from the store as frozen views, without pandas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cryptoml.errors import UsageError
from cryptoml.tracking.run_names import highest_number
from cryptoml.tracking.store.errors import is_missing, masked, translate_store_errors
from cryptoml.tracking.store.response_limits import all_pages

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.store.store import Store

PAGE = 1000
LIST_RUNS = "list the runs: cryptoml compare"


@dataclass(frozen=True)
class RunView:
    """A run in the store. Times are Unix times in milliseconds; `metrics` has the last value of each metric."""

    run_id: str
    name: str
    experiment_id: str
    status: str
    start_time_ms: int
    end_time_ms: int | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def get_run(store: Store, run_id: str) -> RunView:
    """Return the run with that id; raise UsageError if there is none."""
    from mlflow.exceptions import MlflowException

    with translate_store_errors(store.uri, f"read the run {run_id}"):
        try:
            return _view(store.client.get_run(run_id))
        except MlflowException as error:
            if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
                raise UsageError(
                    f"{masked(store.uri)}: run {run_id} does not exist.",
                    hint=LIST_RUNS,
                ) from None
            raise


def find_run(store: Store, experiment: str, id_or_name: str) -> RunView:
    """Return the run with that id or name; raise UsageError if there is none or the name is not unique."""
    plain = id_or_name.strip()
    if re.fullmatch(r"[0-9a-f]{32}", plain):
        return get_run(store, plain)
    if not re.fullmatch(r"[\w.:-]+", plain):
        raise UsageError(f"{id_or_name}: is neither a run id nor a run name.", hint=LIST_RUNS)
    matches = search_runs(store, experiment, query=f"attributes.run_name = '{plain}'", limit=2)
    if len(matches) == 1:
        return matches[0]
    fact = "several runs have this name" if matches else "this run does not exist"
    raise UsageError(f"{masked(store.uri)}: {plain}: {fact} in experiment {experiment}.", hint=LIST_RUNS)


def search_runs(
    store: Store,
    experiment: str,
    *,
    query: str = "",
    order_by: Sequence[str] = ("attributes.start_time DESC",),
    limit: int | None = None,
) -> tuple[RunView, ...]:
    """Return the runs of an experiment that match MLflow's search `query`; empty if the experiment does not exist.

    The default order is newest first.
    """
    identifier = store.find_experiment_id(experiment)
    if identifier is None:
        return ()
    views: list[RunView] = []
    search = store.client.search_runs
    page_size = PAGE if limit is None else min(PAGE, limit)
    with translate_store_errors(store.uri, "search runs"):
        for page in all_pages(
            lambda token: search([identifier], query, max_results=page_size, order_by=list(order_by), page_token=token),
            store.uri,
        ):
            views += [_view(run) for run in page]
            if limit is not None and len(views) >= limit:
                break
    return tuple(views[:limit])


def highest_run_number(store: Store, experiment: str, long_name: str, day: date) -> int:
    """Return the highest run number in the store for that model and day; 0 if there is none."""
    query = f"attributes.run_name LIKE '{long_name}_{day:%Y-%m-%d}_%'"
    return highest_number((run.name for run in search_runs(store, experiment, query=query)), long_name, day)


def _view(run: Run) -> RunView:
    return RunView(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        start_time_ms=run.info.start_time,
        end_time_ms=run.info.end_time,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
    )
