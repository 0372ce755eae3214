"""Reading runs back from the store, as frozen views; pandas is not needed."""

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


@dataclass(frozen=True)
class RunView:
    """A run as the store has it. Times are milliseconds since 1970 UTC; a metric is its last value."""

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
    """The run with that id; raises UsageError when there is none."""
    from mlflow.exceptions import MlflowException

    with translate_store_errors(store.uri, f"read the run {run_id}"):
        try:
            return _view(store.client.get_run(run_id))
        except MlflowException as error:
            if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
                raise UsageError(
                    f"{masked(store.uri)}: there is no run {run_id}.",
                    hint="see cryptoml compare for the runs there are",
                ) from None
            raise


def find_run(store: Store, experiment: str, text: str) -> RunView:
    """The run with that id or that name; raises UsageError when there is none, or more than one of that name."""
    plain = text.strip()
    if re.fullmatch(r"[0-9a-f]{32}", plain):
        return get_run(store, plain)
    if not re.fullmatch(r"[\w.:-]+", plain):
        raise UsageError(f"{text}: this is no run's id or name.", hint="see cryptoml compare for the runs there are")
    found = search_runs(store, experiment, query=f"attributes.run_name = '{plain}'", limit=2)
    if len(found) == 1:
        return found[0]
    fact = "more than one run has that name" if found else "there is no such run"
    raise UsageError(
        f"{masked(store.uri)}: {plain}: {fact} in {experiment}.", hint="see cryptoml compare for the runs there are"
    )


def search_runs(
    store: Store,
    experiment: str,
    *,
    query: str = "",
    order_by: Sequence[str] = ("attributes.start_time DESC",),
    limit: int | None = None,
) -> tuple[RunView, ...]:
    """Runs of an experiment that MLflow's search `query` finds, newest first; none when there is no experiment."""
    identifier = store.find_experiment_id(experiment)
    if identifier is None:
        return ()
    found: list[RunView] = []
    search = store.client.search_runs
    wanted = PAGE if limit is None else min(PAGE, limit)
    with translate_store_errors(store.uri, "search runs"):
        for page in all_pages(
            lambda token: search([identifier], query, max_results=wanted, order_by=list(order_by), page_token=token),
            store.uri,
        ):
            found += [_view(run) for run in page]
            if limit is not None and len(found) >= limit:
                break
    return tuple(found[:limit])


def highest_run_number(store: Store, experiment: str, long_name: str, day: date) -> int:
    """The highest run number that the store has for that model and day; 0 when there is none."""
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
