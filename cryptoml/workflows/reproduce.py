"""Train the model of a run again, from its data version, config and seed, and compare the results."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.config.load import LoadedConfig
from cryptoml.config.schema import Config
from cryptoml.data.project_files import read_any
from cryptoml.errors import CheckFailedError, ConfigError, DataError, UsageError
from cryptoml.models.zoo import BASELINE
from cryptoml.reports.forecast_files import PREDICTIONS, further_predictions
from cryptoml.settings import Settings
from cryptoml.tracking.run_details import fetch_metadata, fetch_predictions
from cryptoml.tracking.runs import RunView, find_run, search_runs
from cryptoml.tracking.store.project_store import READ, open_project_store
from cryptoml.workflows.pull_data import copy_version
from cryptoml.workflows.training.environment import NUMERIC_PACKAGES, environment
from cryptoml.workflows.training.horizons import prefix
from cryptoml.workflows.training.inputs import configured_plan
from cryptoml.workflows.training.session import training_options
from cryptoml.workflows.training.train import choose_models

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.candles import Candles
    from cryptoml.tracking.store.store import Store
    from cryptoml.training.dataset import Dataset
    from cryptoml.training.results import ModelResult

MAX_SEARCHED = 100
# Times are never the same twice.
NOT_COMPARED = ("training_time_seconds", "prediction_latency_ms")


@dataclass(frozen=True)
class Change:
    """Something in the environment that differs from that of the run."""

    what: str
    then: str
    now: str


@dataclass(frozen=True)
class Comparison:
    """A metric, or the forecasts of one horizon. difference: largest absolute difference; 0 if equal to the last digit.

    then, now: the metric; of forecasts, the number of rows.
    """

    what: str
    then: float
    now: float
    difference: float

    @property
    def is_equal(self) -> bool:
        """Whether all digits are equal."""
        return self.difference == 0


@dataclass(frozen=True)
class ReproduceResult:
    """A repeated training. changes: differences of the environment, packages that compute numbers first."""

    run_id: str
    run_name: str
    model_type: str
    source: str
    dataset_version: str
    changes: tuple[Change, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def differing(self) -> tuple[Comparison, ...]:
        """What is not equal to the last digit."""
        return tuple(one for one in self.comparisons if not one.is_equal)

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        return {
            **vars(self),
            "changes": [vars(one) for one in self.changes],
            "comparisons": [{**vars(one), "equal": one.is_equal} for one in self.comparisons],
            "reproduced": not self.differing,
        }


def reproduce(
    settings: Settings, run: str | None = None, *, data: Path | None = None, on_event: events.OnEvent = events.ignore
) -> ReproduceResult:
    """Repeat a run without recording anything. run: its ID or name; None: the newest one of a model.

    data: its candles, if they are elsewhere now.

    Raise UsageError for an unknown run, DataError if its data version cannot be found, and CheckFailedError for a run
    without the needed records.
    """
    with open_project_store(settings, READ) as store:
        found = find_run(store, settings.experiment_name, run) if run else _newest(store, settings.experiment_name)
        metadata = fetch_metadata(store, found.run_id, found.name)
        stored = {
            name: fetch_predictions(store, found.run_id, found.name, name)
            for name in (PREDICTIONS, *(further_predictions(horizon) for horizon in _further(metadata)))
        }
    config = _config_of(found, metadata)
    with tempfile.TemporaryDirectory(prefix="cryptoml-") as folder:
        path = _data_of(settings, found, metadata, data, Path(folder), on_event)
        candles = read_any(path, config)
        results = [
            _trained(settings, config, candles, metadata["model_type"], horizon, on_event)
            for horizon in (config.target.prediction_horizon, *config.target.further_horizons)
        ]
    comparisons = [
        _forecasts(results[0], stored[PREDICTIONS], ""),
        *_metrics(results[0], found.metrics, ""),
    ]
    for result in results[1:]:
        ahead = result.forecaster.horizon
        comparisons.append(_forecasts(result, stored[further_predictions(ahead)], f"{ahead} candles ahead: "))
        comparisons += _metrics(result, found.metrics, prefix(ahead))
    return ReproduceResult(
        run_id=found.run_id,
        run_name=found.name,
        model_type=metadata["model_type"],
        source=str(data or metadata["source"]),
        dataset_version=metadata["dataset_version"],
        changes=tuple(_changes(settings, metadata)),
        comparisons=tuple(comparisons),
    )


def _newest(store: Store, experiment: str) -> RunView:
    for run in search_runs(store, experiment, limit=MAX_SEARCHED):
        if run.status == "FINISHED" and run.tags.get("model_type", BASELINE) != BASELINE:
            return run
    raise UsageError(f"{experiment}: has no finished run of a model.", hint="cryptoml train")


def _config_of(run: RunView, metadata: Mapping[str, Any]) -> Config:
    from cryptoml.config.load import load_config
    from cryptoml.models.zoo import MODELS

    if "config" not in metadata or "dataset_version" not in metadata:
        raise CheckFailedError(
            f"{run.name}: has no stored config; it is of another program or of an early release.",
            hint="list the runs: cryptoml compare --last 20",
        )
    if run.params.get("markets"):
        raise UsageError(
            f"{run.name}: is a model of a pool of markets, which cannot be reproduced from one file.",
            hint="train the pool again with --no-cache, and compare the runs with cryptoml compare",
        )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        json.dump(metadata["config"], file)
        file.flush()
        try:
            loaded: LoadedConfig = load_config(Path(file.name), models=MODELS)
        except ConfigError as error:
            fact = error.fact.replace(file.name, f"the config of {run.name}")
            raise ConfigError(fact, hint="use the version of cryptoml that trained the run") from error
    return loaded.config


def _data_of(
    settings: Settings,
    run: RunView,
    metadata: Mapping[str, Any],
    given: Path | None,
    folder: Path,
    on_event: events.OnEvent,
) -> Path:
    """Return a file with the data version of the run: the given one, the one in its place, or one from DVC."""
    from cryptoml.remotes.dvc.dataset_version import dataset_version, is_version

    wanted: str = metadata["dataset_version"]
    place = given or settings.project_dir / metadata["source"]
    if place.is_file():
        if is_version(place, wanted):
            return place
        if given is not None:
            here = dataset_version(place)
            raise DataError(
                f"{given}: is not the data set of {run.name}: it is {here.text}, not {wanted}.",
                hint="choose the file with --data",
            )
    if not wanted.startswith("untracked:"):
        copy = copy_version(settings, place, wanted, folder, on_event=on_event)
        if copy is not None:
            on_event(events.Info(f"{metadata['source']}: data version {wanted} restored from DVC"))
            return copy
    state = "has changed since" if place.is_file() else "does not exist here"
    raise DataError(
        f"{metadata['source']}: {state}, and the data set {wanted} of {run.name} is not pinned with DVC.",
        hint=f"cryptoml reproduce {run.name} --data FILE",
    )


def _trained(
    settings: Settings, config: Config, candles: Candles, model: str, horizon: int, on_event: events.OnEvent
) -> ModelResult:
    from cryptoml.training.cross_validate import engine_for, train_models
    from cryptoml.training.results import ModelFailure

    dataset = _dataset(config, candles, horizon)
    plan = configured_plan(config, dataset)
    choices = choose_models(config.training.models, config.models)
    options = training_options(settings, config, choices)
    chosen = [one for one in choices if one.spec.key == model]
    on_event(events.Info(f"training {model} again, {horizon} ahead, on {len(dataset.index):,} rows"))
    with engine_for(dataset, options) as engine:
        (result,) = train_models(dataset, plan, chosen, options, engine)
    if isinstance(result, ModelFailure):
        raise result.error
    return result


def _dataset(config: Config, candles: Candles, horizon: int) -> Dataset:
    from cryptoml.features.pipeline import configured_pipeline
    from cryptoml.training.dataset import build_dataset

    return build_dataset(
        candles,
        configured_pipeline(config.features, candles.interval.label),
        horizon=horizon,
        max_no_trade_candles=config.data.max_no_trade_candles,
    )


def _metrics(result: ModelResult, stored: Mapping[str, float], start: str) -> list[Comparison]:
    """Compare the metrics that both have; NaN is not stored."""
    found = []
    for name, now in sorted(result.metrics.items()):
        then = stored.get(f"{start}{name}", math.nan)
        if name in NOT_COMPARED or (math.isnan(then) and math.isnan(now)):
            continue
        difference = abs(now - then) if math.isfinite(now - then) else math.inf
        found.append(Comparison(f"{start}{name}", then, now, 0.0 if now == then else difference))
    return found


def _forecasts(result: ModelResult, stored: pd.DataFrame | None, start: str) -> Comparison:
    """Compare all forecasts and their intervals, in units of price and of log return."""
    import numpy as np

    what, now = f"{start}forecasts", result.predictions
    if stored is None or not now.index.equals(stored.index):
        return Comparison(what, 0 if stored is None else len(stored), len(now), math.inf)
    columns = [name for name in now.columns if name in stored.columns and now[name].dtype.kind == "f"]
    differences = np.abs(now[columns].to_numpy() - stored[columns].to_numpy(dtype=np.float64))
    return Comparison(what, len(stored), len(now), float(differences.max(initial=0.0)))


def _changes(settings: Settings, metadata: Mapping[str, Any]) -> list[Change]:
    from cryptoml.remotes import git

    then, now = metadata.get("environment", {}), environment()
    pairs = [
        ("git commit", metadata.get("git_commit", "none"), git.commit_tag(settings.project_dir)),
        *((name, then.get(name, "unknown"), now[name]) for name in ("python", "platform")),
    ]
    before, after = then.get("packages", {}), now["packages"]
    names = [*NUMERIC_PACKAGES, *sorted({*before, *after} - {*NUMERIC_PACKAGES})]
    pairs += [(name, before.get(name, "none"), after.get(name, "none")) for name in names]
    return [Change(what, str(old), str(new)) for what, old, new in pairs if old != new]


def _further(metadata: Mapping[str, Any]) -> list[int]:
    return [int(one["horizon_candles"]) for one in metadata.get("further_horizons", ())]
