"""Validate a version for production: load its model, score it on the latest candles, compare it with the champion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.data.project_files import find_data, read_any
from cryptoml.errors import CheckFailedError, DataError, UsageError
from cryptoml.evaluation.figures import figure
from cryptoml.registry.champion import check_candles, compare_with_champion, grid_for
from cryptoml.registry.duel import Score
from cryptoml.registry.fit_tag import ALL_CANDLES, FIT_TAG
from cryptoml.registry.model_digest import MODEL_SHA256
from cryptoml.registry.version_models import load, ref_of_version
from cryptoml.registry.versions import get_version, production_version
from cryptoml.settings import Settings
from cryptoml.system.plurals import counted
from cryptoml.tracking.runs import RunView
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.promotion.duels import duel_metrics, duel_text, judge_duel

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.models.forecaster import Forecaster


@dataclass(frozen=True)
class Validation:
    """Result of a validation. champion: the production version at that time. reasons: why the version is refused."""

    champion: str | None
    metrics: Mapping[str, float | str]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Validator:
    """Validates a version for production. data: candles to score on; default: the project's latest.

    force: report failed checks as warnings.
    """

    store: Store
    settings: Settings
    config: Config
    data: Path | None
    force: bool
    on_event: events.OnEvent

    def validate(self, version: str, run: RunView) -> Validation:
        """Load the model of a version from the store, score it, and compare it with the production version."""
        name = self.config.registry.model_name
        try:
            candidate = load(self.store, self.settings, ref_of_version(get_version(self.store, name, version)))
            return self._score(version, run, candidate)
        except (CheckFailedError, DataError) as error:
            if self.force:
                return Validation(None, training_metrics(run), (), (f"not validated: {error.fact}",))
            if isinstance(error, CheckFailedError):
                champion = production_version(self.store, name)
                return Validation(
                    champion.version if champion else None, training_metrics(run), (error.fact.rstrip("."),), ()
                )
            raise

    def _score(self, version: str, run: RunView, candidate: Forecaster) -> Validation:
        from cryptoml.registry.duel import score, score_all, unseen_from

        source, candles = self._candles()
        check_candles(candles, candidate, f"v{version}")
        rows = score_all(candidate, grid_for(candles, candidate), since=unseen_from(candidate))
        level = self.config.training.significance_level
        own = score(candidate, rows, level=level)
        found = compare_with_champion(
            self.store, self.settings, self.config.registry.model_name, candidate, candles,
            least=self.config.promotion.min_candles, level=level, candidate_version=version,
        )  # fmt: skip
        if found.duel is not None and found.duel.candidate.candles:
            self.on_event(events.Info(duel_text(found.duel, f"v{version}", f"v{found.champion}")))
        is_refit = run.tags.get(FIT_TAG) == ALL_CANDLES and not own.candles
        reasons, warnings = ([], [_of_refit(run, source.name)]) if is_refit else _judge_alone(own, source.name)
        if own.candles:
            self.on_event(
                events.Info(
                    f"validated on the latest {counted(own.candles, 'candle')} of {source.name}: "
                    f"skill {figure(100 * own.skill, '+.3f', unit=' %')}"
                )
            )
        return Validation(
            champion=found.champion,
            metrics={
                **training_metrics(run),
                "validation_data": source.name,
                "validation_candles": own.candles,
                "validation_rmse": own.rmse,
                "validation_skill": own.skill,
                **duel_metrics(found),
            },
            reasons=(*reasons, *judge_duel(found, level, on_tie=self.config.promotion.on_tie)),
            warnings=(*([found.note] if found.note and not found.is_other_market else []), *warnings),
        )

    def _candles(self) -> tuple[Path, Candles]:
        try:
            source = self.data or find_data(self.settings.project_dir)
        except UsageError as error:
            raise DataError(
                f"no candles to validate on: {error.fact}", hint="pass a file with --data, or cryptoml pull-data"
            ) from None
        return source, read_any(source, self.config)


def training_metrics(run: RunView) -> dict[str, float | str]:
    """Return the run's main metrics, its verdict and the digest of its model."""
    names = ("cv_rmse_mean", "test_rmse", "skill", "dm_p_value", "dm_p_value_adjusted", "dm_p_value_holdout")
    found: dict[str, float | str] = {name: run.metrics[name] for name in names if name in run.metrics}
    digest = {MODEL_SHA256: run.tags[MODEL_SHA256]} if MODEL_SHA256 in run.tags else {}
    return {**found, **digest, "run_name": run.name, "verdict": run.tags.get("verdict", "")}


def _of_refit(run: RunView, source: str) -> str:
    """Return the warning about a model that was fitted on all candles."""
    skill = figure(100 * run.metrics.get("skill", math.nan), "+.3f", unit=" %")
    return (
        f"fitted on all candles of {source}, so it cannot be scored on them; its hold-out, before that fit: "
        f"{run.tags.get('verdict', 'ties')} persistence, skill {skill}"
    )


def _judge_alone(own: Score, source: str) -> tuple[list[str], list[str]]:
    """Return the reasons against the model and the warnings from its comparison with persistence."""
    if own.candles == 0:
        return [f"no forecast on {source} can be scored: the model was trained on all of its candles"], []
    if own.word == "worse":
        return [
            f"on the latest {counted(own.candles, 'candle')} it is significantly worse than persistence "
            f"(RMSE {figure(own.rmse, '.6g')} against {figure(own.baseline_rmse, '.6g')}, p = {own.p_value:.3g})"
        ], []
    if own.word == "ties":
        return [], [
            f"on the latest {counted(own.candles, 'candle')} it ties with persistence; p = {figure(own.p_value, '.3g')}"
        ]
    return [], []
