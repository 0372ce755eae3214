"""Runs side by side: which are comparable, what is best, what differs, and which differences are more than luck."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from cryptoml.config.schema import Config
from cryptoml.errors import AnswerIsNoError, UsageError
from cryptoml.models.zoo import BASELINE
from cryptoml.registry.versions import list_versions
from cryptoml.settings import Settings
from cryptoml.tracking.run_details import RunDetails, fetch_details
from cryptoml.tracking.runs import RunView, search_runs
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.project_store import open_project_store
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    from cryptoml.evaluation.pairwise_tests import Pair

# A metric's column and whether more of it is better.
METRICS: dict[str, tuple[str, bool]] = {
    "cv_rmse_mean": ("cv RMSE", False),
    "cv_rmse_std": ("± std", False),
    "test_rmse": ("test RMSE", False),
    "test_mae": ("MAE", False),
    "test_mape": ("MAPE %", False),
    "test_r2_score": ("R2", True),
    "skill": ("skill %", True),
    "directional_accuracy": ("direction %", True),
    "training_time_seconds": ("time s", False),
}
# What must be the same for two scores to mean the same.
FAIR_TAGS = ("dataset_version",)
FAIR_PARAMS = (
    "symbol", "interval", "target_column", "prediction_horizon", "train_test_split_ratio", "cross_validation_folds",
    "gap_candles", "start_date", "end_date",
)  # fmt: skip
# A training has a handful of runs; the newest of so many is sure to be whole.
NEWEST = 50
MOST_DETAILED = 12


@dataclass(frozen=True)
class CompareRequest:
    """Which runs: those named, or the newest `last` of a training or a data set, or the newest training's."""

    settings: Settings
    config: Config
    runs: tuple[str, ...] = ()
    last: int | None = None
    training_id: str | None = None
    dataset: str | None = None
    sort: str = "cv_rmse_mean"
    significance: bool = False
    details: bool = False
    force: bool = False


@dataclass(frozen=True)
class ComparedRun:
    """A run of the comparison. comparable: its scores may be held against those of the others.

    places: where it is in the registry, such as "v3 production". details: what its artifacts hold, where asked for.
    """

    run: RunView
    comparable: bool
    places: tuple[str, ...] = ()
    details: RunDetails | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether this is persistence."""
        return self.run.tags.get("model_type") == BASELINE


@dataclass(frozen=True)
class RunComparison:
    """Runs, persistence first and then by the sort metric; those without scores last.

    best: metric -> ids of the runs that have its best value. differing: parameter -> run id -> value.
    """

    experiment: str
    tracking_uri: str
    sort: str
    runs: tuple[ComparedRun, ...]
    best: Mapping[str, frozenset[str]]
    differing: Mapping[str, Mapping[str, str]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document of `--json`; a number that is not finite becomes null."""
        return {
            "schema": "cryptoml.compare/1",
            "experiment": self.experiment,
            "tracking_uri": self.tracking_uri,
            "sort": self.sort,
            "runs": [_document(one) for one in self.runs],
            "best": {metric: sorted(ids) for metric, ids in self.best.items()},
            "differing_params": {name: dict(values) for name, values in self.differing.items()},
            "significance": [vars(pair) for pair in self.pairs],
            "notes": list(self.notes),
        }


def compare(request: CompareRequest) -> RunComparison:
    """Put runs side by side; raises AnswerIsNoError for runs that no ranking would be fair to, without `force`."""
    settings, config = request.settings, request.config
    if request.sort not in METRICS:
        near = get_close_matches(request.sort, METRICS, n=1)
        raise UsageError(
            f"--sort {request.sort}: no such metric.", hint=f"use {near[0]}" if near else f"one of {', '.join(METRICS)}"
        )
    with open_project_store(settings, writes=False, creates=False) as store:
        found = _select(store, settings.experiment_name, request)
        if not found:
            store.refuse_deleted(settings.experiment_name)
            raise UsageError(
                f"{settings.experiment_name}: no such runs.",
                hint="cryptoml train makes some",
            )
        notes: list[str] = []
        reference = _fair_key(_reference(found))
        strangers = [run for run in found if _fair_key(run) != reference]
        if strangers and not request.force:
            raise AnswerIsNoError(
                f"these runs cannot be ranked together: {_difference(found)}.",
                hint="choose with --training-id or --dataset, or --force to see them all the same",
            )
        if strangers:
            notes.append(f"not comparable with the others, and not ranked (≠): {_difference(found)}")
        runs = _with_baseline(store, settings.experiment_name, found, reference, notes)
        places = _places(store, config.registry.model_name)
        rows = [ComparedRun(run, _fair_key(run) == reference, places.get(run.run_id, ())) for run in runs]
        rows.sort(key=lambda row: _order(row, request.sort))
        pairs: tuple[Pair, ...] = ()
        if request.significance or request.details:
            rows = _detailed(store, rows, notes)
        if request.significance:
            pairs = _pairs(store, rows, places, notes)
    return RunComparison(
        experiment=settings.experiment_name,
        tracking_uri=masked(settings.mlflow_uri()),
        sort=request.sort,
        runs=tuple(rows),
        best=_best(rows),
        differing=_differing(rows),
        pairs=pairs,
        notes=tuple(notes),
    )


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
    newest = search_runs(store, experiment, limit=NEWEST)
    training = newest[0].tags.get("training_id") if newest else None
    return [run for run in newest if run.tags.get("training_id") == training]


def _named(store: Store, experiment: str, names: Sequence[str], filters: list[str]) -> list[RunView]:
    """The runs of those ids, in one search, and of those names, in one each: MLflow lists ids alone."""
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
        raise UsageError(
            f"{experiment}: there is no run {', '.join(missing)}.", hint="cryptoml compare --last 20 shows the newest"
        )
    return found


def _plain(text: str) -> str:
    if not re.fullmatch(r"[\w.:+-]+", text.strip()):
        raise UsageError(f"{text!r}: this names no run, training or data set.", hint="letters, digits, dots and dashes")
    return text.strip()


def _fair_key(run: RunView) -> tuple[str, ...]:
    tags, params = run.tags, run.params
    return (*(tags.get(name, "") for name in FAIR_TAGS), *(params.get(name, "") for name in FAIR_PARAMS))


def _reference(runs: Sequence[RunView]) -> RunView:
    """A run of the largest comparable group; the newest where two are as large."""
    sizes: dict[tuple[str, ...], int] = {}
    for run in runs:
        sizes[_fair_key(run)] = sizes.get(_fair_key(run), 0) + 1
    return max(runs, key=lambda run: (sizes[_fair_key(run)], run.start_time_ms))


def _difference(runs: Sequence[RunView]) -> str:
    """What differs, with each value and how many runs have it."""
    said = []
    keys = [_fair_key(run) for run in runs]
    for place, name in enumerate((*FAIR_TAGS, *FAIR_PARAMS)):
        counts: dict[str, int] = {}
        for key in keys:
            counts[key[place]] = counts.get(key[place], 0) + 1
        if len(counts) > 1:
            values = ", ".join(f"{value[:24] or 'none'} ({count})" for value, count in counts.items())
            said.append(f"{name}: {values}")
    return "; ".join(said)


def _with_baseline(
    store: Store, experiment: str, runs: list[RunView], reference: tuple[str, ...], notes: list[str]
) -> list[RunView]:
    """The runs with one of persistence: it says the same in every training on the same data."""
    baselines = [run for run in runs if run.tags.get("model_type") == BASELINE and _fair_key(run) == reference]
    others = [run for run in runs if run not in baselines]
    if len(baselines) > 1:
        notes.append(f"{len(baselines) - 1} more runs of persistence on the same data are left out")
    if not baselines:
        training = next((run.tags.get("training_id", "") for run in others if _fair_key(run) == reference), "")
        if re.fullmatch(r"[\w-]+", training):
            query = f"tags.training_id = '{training}' and tags.model_type = '{BASELINE}'"
            baselines = list(search_runs(store, experiment, query=query, limit=1))
    finished = [run for run in baselines if run.status == "FINISHED"] or baselines
    return [*finished[:1], *others]


def _places(store: Store, model_name: str) -> dict[str, tuple[str, ...]]:
    """Run id -> its versions, with the alias that each has."""
    found: dict[str, tuple[str, ...]] = {}
    for version in list_versions(store, model_name):
        label = " ".join([f"v{version.version}", *version.aliases])
        found[version.run_id] = (*found.get(version.run_id, ()), label)
    return found


def _order(row: ComparedRun, sort: str) -> tuple[int, float, str]:
    value = row.run.metrics.get(sort, math.nan)
    if row.is_baseline and row.comparable:
        return (0, 0.0, "")
    if math.isnan(value):
        return (3, 0.0, row.run.name)
    sign = -1 if METRICS[sort][1] else 1
    return (1 if row.comparable else 2, sign * value, row.run.name)


def _best(rows: Sequence[ComparedRun]) -> dict[str, frozenset[str]]:
    """Metric -> the runs with its best value among comparable models; persistence is what they are held against."""
    best = {}
    for metric, (_, more) in METRICS.items():
        values = {
            row.run.run_id: row.run.metrics[metric]
            for row in rows
            if row.comparable and not row.is_baseline and math.isfinite(row.run.metrics.get(metric, math.nan))
        }
        if values:
            top = max(values.values()) if more else min(values.values())
            best[metric] = frozenset(run_id for run_id, value in values.items() if value == top)
    return best


def _differing(rows: Sequence[ComparedRun]) -> dict[str, dict[str, str]]:
    """The parameters that have more than one value among the runs that have them."""
    names = sorted({name for row in rows for name in row.run.params})
    found = {}
    for name in names:
        values = {row.run.run_id: row.run.params[name] for row in rows if name in row.run.params}
        if len(set(values.values())) > 1:
            found[name] = values
    return found


def _detailed(store: Store, rows: list[ComparedRun], notes: list[str]) -> list[ComparedRun]:
    """The first runs with what their artifacts hold."""
    told, count = [], 0
    for row in rows:
        wanted = row.comparable and row.run.status == "FINISHED" and count < MOST_DETAILED
        told.append(replace(row, details=fetch_details(store, row.run)) if wanted else row)
        count += wanted
    left = sum(row.comparable and row.run.status == "FINISHED" for row in rows) - count
    if left > 0:
        notes.append(f"forecasts are compared for the first {MOST_DETAILED} runs; {left} more are in the table alone")
    return told


def _pairs(
    store: Store, rows: Sequence[ComparedRun], places: Mapping[str, tuple[str, ...]], notes: list[str]
) -> tuple[Pair, ...]:
    """Every two models on the hold-out, and each against the version in production where it forecast the same."""
    from cryptoml.evaluation.pairwise_tests import compare_pairs
    from cryptoml.tracking.runs import get_run

    losses = {
        row.run.name: row.details.holdout_losses()
        for row in rows
        if row.details is not None and not row.is_baseline and row.details.predictions is not None
    }
    if not losses:
        raise AnswerIsNoError("no run has stored forecasts to compare.", hint="train again")
    production = next((run_id for run_id, labels in places.items() if any("production" in one for one in labels)), None)
    if production is not None and production not in {row.run.run_id for row in rows}:
        run = get_run(store, production)
        details = fetch_details(store, run)
        shown = next(row for row in rows if row.details is not None)
        same = all(run.params.get(name) == shown.run.params.get(name) for name in
                   ("symbol", "interval", "target_column", "prediction_horizon"))  # fmt: skip
        if same and details.predictions is not None:
            losses[f"{run.name} ({places[production][0]})"] = details.holdout_losses()
        else:
            notes.append(f"{places[production][0]} forecasts something else; it is not compared")
    horizon = int(rows[-1].run.params.get("prediction_horizon", "1"))
    return tuple(compare_pairs(losses, horizon))


def _document(row: ComparedRun) -> dict[str, Any]:
    run = row.run
    return {
        "run_id": run.run_id,
        "run_name": run.name,
        "model_type": run.tags.get("model_type"),
        "status": run.status,
        "comparable": row.comparable,
        "registered": list(row.places),
        "verdict": run.tags.get("verdict"),
        "dataset_version": run.tags.get("dataset_version"),
        "training_id": run.tags.get("training_id"),
        "start_time_ms": run.start_time_ms,
        "metrics": {name: value if math.isfinite(value) else None for name, value in run.metrics.items()},
        "params": dict(run.params),
    }
