"""Select runs and fetch their details for a comparison; `evaluation.comparison` does the comparison itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, UsageError
from cryptoml.evaluation import comparison
from cryptoml.evaluation.comparison import ComparabilityKey, ComparedRun, RunComparison
from cryptoml.evaluation.metrics import stored_metrics
from cryptoml.models.zoo import BASELINE
from cryptoml.registry.markets import names_of
from cryptoml.registry.versions import list_versions
from cryptoml.settings import Settings
from cryptoml.system.plurals import counted
from cryptoml.tracking.run_details import fetch_details
from cryptoml.tracking.runs import RunView, search_runs
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.project_store import READ, open_project_store
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.backtest import backtests_of, count_models, trading_rules
from cryptoml.workflows.horizon_views import at_horizon, predictions_file, runs_at_horizon

if TYPE_CHECKING:
    from cryptoml.evaluation.backtest import Backtest
    from cryptoml.evaluation.pairwise_tests import Pair

# A training has few runs, so this many runs contain all runs of the latest training.
LATEST = 50
MAX_DETAILED = 12


@dataclass(frozen=True)
class CompareRequest:
    """Which runs to compare: the named ones, the `last` latest of a training or data set, or the latest training."""

    settings: Settings
    config: Config
    runs: tuple[str, ...] = ()
    last: int | None = None
    training_id: str | None = None
    dataset: str | None = None
    sort: str = "cv_rmse_mean"
    significance: bool = False
    details: bool = False
    backtest: bool = False
    horizon: int | None = None
    force: bool = False


def compare(request: CompareRequest) -> RunComparison:
    """Compare runs. Raise CheckFailedError if they are not comparable, unless `force` is set."""
    settings, config = request.settings, request.config
    _check_sort(request.sort)
    with open_project_store(settings, READ) as store:
        found = _select(store, settings.experiment_name, request)
        if not found:
            store.check_not_deleted(settings.experiment_name)
            raise UsageError(f"{settings.experiment_name}: no runs match.", hint="cryptoml train")
        found = runs_at_horizon(found, request.horizon)
        notes: list[str] = []
        newest_first = sorted(found, key=lambda run: -run.start_time_ms)
        reference = comparison.most_common_key([_comparability_key(run) for run in newest_first])
        if any(_comparability_key(run) != reference for run in found):
            apart = comparison.difference([_comparability_key(run) for run in found])
            if not request.force:
                raise CheckFailedError(
                    f"these runs are not comparable: {apart}.",
                    hint="select runs with --training-id or --dataset, or show all with --force",
                )
            notes.append(f"runs marked ≠ are not comparable with the others and not ranked: {apart}")
        runs = _with_baseline(store, settings.experiment_name, found, reference, request.horizon, notes)
        places = _places(store, config.registry.model_name)
        rows = comparison.ranked([_row(run, reference, places) for run in runs], request.sort)
        pairs: tuple[Pair, ...] = ()
        tests: dict[str, Backtest] = {}
        if request.significance or request.details or request.backtest:
            rows = _detailed(store, rows, notes)
        if request.significance:
            pairs = _pairs(store, rows, places, notes)
        if request.backtest:
            n_models = count_models(store, settings.experiment_name, rows)
            rules = trading_rules(config.backtest)
            tests = backtests_of(rows, rules, n_models, seed=config.training.random_seed)
    return RunComparison(
        experiment=settings.experiment_name,
        tracking_uri=masked(settings.mlflow_uri()),
        sort=request.sort,
        runs=tuple(rows),
        best=comparison.best_of(rows),
        differing=comparison.differing_params(rows),
        pairs=pairs,
        level=config.training.significance_level,
        notes=tuple(notes),
        backtests=tests,
    )


def _check_sort(sort: str) -> None:
    """Raise UsageError unless `sort` is a metric that training stores."""
    known = stored_metrics()
    if sort not in known:
        near = get_close_matches(sort.lower(), known, n=1)
        raise UsageError(
            f"--sort {sort}: no such metric.", hint=f"use {near[0]}" if near else f"use one of {', '.join(known)}"
        )


def _row(run: RunView, reference: ComparabilityKey, places: Mapping[str, tuple[str, ...]]) -> ComparedRun:
    return ComparedRun(
        run_id=run.run_id,
        name=run.name,
        status=run.status,
        start_time_ms=run.start_time_ms,
        params=run.params,
        metrics=run.metrics,
        tags=run.tags,
        is_baseline=run.tags.get("model_type") == BASELINE,
        comparable=_comparability_key(run) == reference,
        places=places.get(run.run_id, ()),
    )


def _comparability_key(run: RunView) -> ComparabilityKey:
    return comparison.comparability_key(run.params, run.tags)


def _select(store: Store, experiment: str, request: CompareRequest) -> list[RunView]:
    filters = []
    if request.training_id:
        filters.append(f"tags.training_id = '{_plain(request.training_id)}'")
    if request.dataset:
        filters.append(f"tags.dataset_version LIKE '{_plain(request.dataset)}%'")
    if request.runs:
        return _named(store, experiment, request.runs, filters)
    if filters or request.last:
        return list(search_runs(store, experiment, query=" and ".join(filters), limit=request.last))
    newest = search_runs(store, experiment, limit=LATEST)
    training = newest[0].tags.get("training_id") if newest else None
    return [run for run in newest if run.tags.get("training_id") == training]


def _named(store: Store, experiment: str, names: Sequence[str], filters: list[str]) -> list[RunView]:
    """Find runs by id or name: one search for all ids and one per name, as MLflow's IN takes only ids."""
    found: list[RunView] = []
    wanted = [_plain(name) for name in names]
    ids = [name for name in wanted if re.fullmatch(r"[0-9a-f]{32}", name)]
    listed = ", ".join(f"'{one}'" for one in ids)
    queries = [f"attributes.run_id IN ({listed})"] if ids else []
    queries += [f"attributes.run_name = '{name}'" for name in wanted if name not in ids]
    for query in queries:
        found += search_runs(store, experiment, query=" and ".join([*filters, query]))
    missing = sorted(set(wanted) - {run.run_id for run in found} - {run.name for run in found})
    if missing:
        raise UsageError(f"{experiment}: run {', '.join(missing)} not found.", hint="cryptoml compare --last 20")
    return found


def _plain(text: str) -> str:
    if not re.fullmatch(r"[\w.:+-]+", text.strip()):
        raise UsageError(f"{text!r}: not a valid run, training or data set.", hint="use letters, digits and . : _ + -")
    return text.strip()


def _with_baseline(
    store: Store,
    experiment: str,
    runs: list[RunView],
    reference: tuple[str, ...],
    horizon: int | None,
    notes: list[str],
) -> list[RunView]:
    """Return the runs with exactly one persistence run: its metrics are equal in every training on the same data."""
    baselines = [run for run in runs if run.tags.get("model_type") == BASELINE and _comparability_key(run) == reference]
    others = [run for run in runs if run not in baselines]
    if len(baselines) > 1:
        notes.append(f"{counted(len(baselines) - 1, 'more persistence run')} on the same data omitted")
    if not baselines:
        training = next((run.tags.get("training_id", "") for run in others if _comparability_key(run) == reference), "")
        if re.fullmatch(r"[\w-]+", training):
            query = f"tags.training_id = '{training}' and tags.model_type = '{BASELINE}'"
            baselines = runs_at_horizon(search_runs(store, experiment, query=query, limit=1), horizon)
    finished = [run for run in baselines if run.status == "FINISHED"] or baselines
    return [*finished[:1], *others]


def _places(store: Store, model_name: str) -> dict[str, tuple[str, ...]]:
    """Map each run id to the labels of its registered versions, such as `v3 production`."""
    found: dict[str, tuple[str, ...]] = {}
    for model in names_of(store, model_name):
        for version in list_versions(store, model.name):
            label = " ".join([f"v{version.version}", *version.aliases])
            found[version.run_id] = (*found.get(version.run_id, ()), label)
    return found


def _detailed(store: Store, rows: list[ComparedRun], notes: list[str]) -> list[ComparedRun]:
    """Add the details from the artifacts to the first MAX_DETAILED finished and comparable rows."""
    detailed, count = [], 0
    for row in rows:
        wanted = row.comparable and row.status == "FINISHED" and count < MAX_DETAILED
        detailed.append(_with_details(store, row) if wanted else row)
        count += wanted
    left = sum(row.comparable and row.status == "FINISHED" for row in rows) - count
    if left > 0:
        notes.append(f"forecasts are compared for the first {MAX_DETAILED} runs; {left} more are only in the table")
    return detailed


def _with_details(store: Store, row: ComparedRun) -> ComparedRun:
    return replace(row, details=fetch_details(store, row.run_id, row.name, file=predictions_file(row.params)))


def _pairs(
    store: Store, rows: Sequence[ComparedRun], places: Mapping[str, tuple[str, ...]], notes: list[str]
) -> tuple[Pair, ...]:
    """Compare each pair of models on the hold-out, including persistence.

    Also including the production version, if it has the same target.
    """
    from cryptoml.evaluation.pairwise_tests import compare_pairs
    from cryptoml.tracking.runs import get_run

    losses = {
        row.name: row.details.holdout_losses()
        for row in rows
        if row.details is not None and not row.is_baseline and row.details.predictions is not None
    }
    if not losses:
        raise CheckFailedError("none of the runs has stored forecasts.", hint="cryptoml train")
    shown = next(row for row in rows if row.details is not None and row.name in losses)
    assert shown.details is not None
    losses[BASELINE] = shown.details.holdout_losses(of_persistence=True)
    horizon = int(shown.params.get("prediction_horizon", "1"))
    production = next((run_id for run_id, labels in places.items() if any("production" in one for one in labels)), None)
    if production is not None and production not in {row.run_id for row in rows}:
        run = at_horizon(get_run(store, production), horizon)
        details = fetch_details(store, run.run_id, run.name, file=predictions_file(run.params)) if run else None
        if run and details and details.predictions is not None and _has_target_of(run, shown):
            losses[f"{run.name} ({places[production][0]})"] = details.holdout_losses()
        else:
            notes.append(f"{places[production][0]} has another target and is not compared")
    return tuple(compare_pairs(losses, horizon))


def _has_target_of(run: RunView, shown: ComparedRun) -> bool:
    return all(run.params.get(name) == shown.params.get(name) for name in ("symbol", "interval", "target_column"))
