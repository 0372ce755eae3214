"""The model card of a version: data, folds, results with their uncertainty, gate, ledger, and how to load it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.config.schema import Config
from cryptoml.evaluation.metrics import stored_metrics
from cryptoml.registry.ledger import Entry, mirror_of
from cryptoml.registry.markets import market_of_tags
from cryptoml.registry.transitions import check_history, stage_of_version
from cryptoml.registry.version_refs import find_version, needed_version_ref
from cryptoml.registry.versions import Version
from cryptoml.reports.model_card import CardFigure
from cryptoml.settings import Settings
from cryptoml.tracking.run_details import fetch_details, fetch_metadata, fetch_plots
from cryptoml.tracking.runs import RunView, get_run
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.project_store import READ, open_project_store
from cryptoml.workflows.market_models import model_name_for_version

if TYPE_CHECKING:
    from cryptoml.evaluation.comparison import RunDetails


@dataclass(frozen=True)
class ModelCard:
    """What is known about a version.

    metadata: of its training, may be empty. folds: in time order. plots: name -> PNG. ledger: its transitions and
    refusals, oldest first; faults: differences between ledger and registry.
    """

    version: Version
    stage: str
    market: str
    run: RunView
    tracking_uri: str
    created: datetime
    figures: tuple[CardFigure, ...]
    metadata: Mapping[str, Any]
    plots: Mapping[str, bytes]
    ledger: tuple[Entry, ...]
    faults: tuple[str, ...]

    @property
    def model_uri(self) -> str:
        """The address of the model for `mlflow.pyfunc.load_model`."""
        return f"models:/{self.version.model_name}/{self.version.version}"

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        quality = self.metadata.get("quality_report") or {}
        return {
            "model_name": self.version.model_name,
            "version": self.version.version,
            "stage": self.stage,
            "aliases": list(self.version.aliases),
            "market": self.market,
            "description": self.version.description,
            "created": f"{self.created:%Y-%m-%dT%H:%M:%SZ}",
            "run_id": self.run.run_id,
            "run_name": self.run.name,
            "dataset_version": self.run.tags.get("dataset_version", ""),
            "candles": quality.get("candles"),
            "train": list(self.metadata.get("train", ())),
            "holdout": list(self.metadata.get("holdout", ())),
            "figures": {one.name: {"value": one.value, "standard_error": one.error} for one in self.figures},
            "gate": self.version.tags.get("gate") or self.run.tags.get("gate", ""),
            "model_uri": self.model_uri,
            "ledger": [{**vars(entry), "hash": entry.hash()} for entry in self.ledger],
            "faults": list(self.faults),
        }


def show(
    settings: Settings, config: Config, reference: str, *, data: Path | None = None, with_plots: bool = False
) -> ModelCard:
    """Return the card of a version. Raise UsageError if there is none.

    data: candles of the market; default: the newest file, if there are several registered models.
    """
    ref = needed_version_ref(reference)
    with open_project_store(settings, READ) as store:
        name = model_name_for_version(store, settings, config, reference=reference, data=data)
        version = find_version(store, name, ref)
        run = get_run(store, version.run_id)
        details = fetch_details(store, run.run_id, run.name)
        metadata = fetch_metadata(store, run.run_id, run.name)
        plots = fetch_plots(store, run.run_id, run.name) if with_plots else {}
        ledger, faults = check_history(store, name, mirror_of(settings, name))
    market = market_of_tags(run.params)
    return ModelCard(
        version=version,
        stage=stage_of_version(version.aliases, version.tags),
        market=market.title if market else "",
        run=run,
        tracking_uri=masked(settings.mlflow_uri()),
        created=datetime.fromtimestamp(version.created_ms / 1000, UTC),
        figures=tuple(_figures(run, details)),
        metadata=metadata,
        plots=plots,
        ledger=tuple(entry for entry in ledger.entries if entry.version == version.version),
        faults=faults,
    )


def _figures(run: RunView, details: RunDetails) -> list[CardFigure]:
    errors = _standard_errors(run, details)
    return [
        CardFigure(name, run.metrics[name], errors.get(name, math.nan))
        for name in stored_metrics()
        if name in run.metrics
    ]


def _standard_errors(run: RunView, details: RunDetails) -> dict[str, float]:
    """Return metric -> standard error on the hold-out; empty without stored forecasts, or for a pool."""
    from cryptoml.evaluation.skill_uncertainty import skill, standard_error

    if details.predictions is None or "symbol" in details.predictions or not run.params["prediction_horizon"].isdigit():
        return {}
    rows, horizon = details.holdout(), int(run.params["prediction_horizon"])
    actual = rows["actual_price"].to_numpy()
    found = {"skill": skill(rows, horizon=horizon)[1]}
    if "lower_price" in rows:
        inside = (actual >= rows["lower_price"].to_numpy()) & (actual <= rows["upper_price"].to_numpy())
        found["interval_coverage"] = standard_error(inside.astype(float), horizon)
    moved = (rows["actual_return"] != 0) & (rows["forecast_return"] != 0)
    right = (rows["actual_return"] * rows["forecast_return"] > 0)[moved].to_numpy()
    return {**found, "directional_accuracy": standard_error(right.astype(float), horizon)}
