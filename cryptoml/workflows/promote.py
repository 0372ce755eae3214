"""Moves a version to a stage: checks, the duel with the champion, the transition, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.errors import AnswerIsNoError, DataError, UsageError
from cryptoml.evaluation.figures import figure
from cryptoml.registry.champion import check_fit, compare_with_champion, grid_of
from cryptoml.registry.ledger import Entry
from cryptoml.registry.model_digest import MODEL_SHA256
from cryptoml.registry.stages import Stage, parse_stage, parse_version, path
from cryptoml.registry.transitions import Move, Registry, history, opened
from cryptoml.registry.version_models import load, of_version
from cryptoml.registry.versions import get_version
from cryptoml.remotes import git
from cryptoml.settings import Settings
from cryptoml.tracking.runs import RunView, get_run
from cryptoml.tracking.store.project_store import CHANGE, READ, open_project_store
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.training.inputs import find_data, read_any

if TYPE_CHECKING:
    from cryptoml.models.forecaster import Forecaster

NO_REASON = "none given"
# A promotion by somebody else in between makes the comparison stale; it is then made again.
TRIES = 3
LONGEST_REASON = 1000


@dataclass(frozen=True)
class PromoteRequest:
    """Which version goes where, and why. data: candles to compare on; by default the newest of the project."""

    settings: Settings
    config: Config
    version: str
    stage: str
    reason: str | None = None
    data: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Promoted:
    """What was done: one entry a step, none when the version was there already."""

    model_name: str
    version: str
    from_stage: Stage
    stage: Stage
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """The result as JSON has it."""
        displaced = [entry.displaced for entry in self.entries if entry.displaced]
        return {
            "schema": "cryptoml.promote/1",
            "model_name": self.model_name,
            "version": self.version,
            "from": self.from_stage,
            "stage": self.stage,
            "changed": bool(self.entries),
            "displaced": [{"version": version, "stage": stage} for version, stage in displaced],
            "metrics": dict(self.entries[-1].metrics) if self.entries else {},
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Validation:
    """What the checks before production found. champion: the version compared with; reasons: why not."""

    champion: str | None
    metrics: Mapping[str, float | str]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def mirror_of(settings: Settings, model_name: str) -> Path:
    """The copy of the ledger on disk."""
    return settings.project_dir / ".cryptoml" / "registry" / f"{model_name}.jsonl"


def promote(request: PromoteRequest, *, on_event: events.OnEvent = events.ignore) -> Promoted:
    """Move a version, step by step; raises AnswerIsNoError when a rule or a check says no, and writes that down."""
    config, settings = request.config, request.settings
    number, target = parse_version(request.version), parse_stage(request.stage)
    _check_reason(request.reason)
    if not request.reason and config.promotion.require_reason:
        raise UsageError("a promotion needs a reason here (promotion.require_reason).", hint='add --reason "..."')
    name = config.registry.model_name
    with open_project_store(settings, CHANGE, on_event=on_event) as store:
        version = get_version(store, name, number)
        run = get_run(store, version.run_id)
        move = Move(
            version=number,
            to_stage=target,
            reason=request.reason or NO_REASON,
            who=settings.author or git.author_name(settings.project_dir),
            forced=request.force,
            git_commit=run.tags.get("git_commit", ""),
            dataset_version=run.tags.get("dataset_version", ""),
        )
        for _ in range(TRIES):
            validation = _validate(store, request, run, number, target, on_event)
            with opened(store, name, mirror_of(settings, name)) as registry:
                champion = registry.aliases.get("production")
                if target == "production" and champion not in (validation.champion, number) and not request.force:
                    continue
                return _move(registry, move, run, validation, request)
    raise AnswerIsNoError("others keep promoting versions at the same time.", hint="settle who decides, and try again")


def _move(registry: Registry, move: Move, run: RunView, validation: Validation, request: PromoteRequest) -> Promoted:
    now = registry.stage_of(move.version)
    steps = path(now, move.to_stage)
    reasons = list(validation.reasons)
    if "staging" in steps and run.status != "FINISHED":
        reasons.append(f"its run {run.name} is {run.status}, not FINISHED")
    if steps and reasons and not request.force:
        registry.refuse(replace(move, kind="refusal", metrics=validation.metrics))
        raise AnswerIsNoError(
            f"v{move.version} does not go to {move.to_stage}: {'; '.join(reasons)}.",
            hint="choose another version, or --force with a --reason",
        )
    entries = []
    for step in steps:
        figures = validation.metrics if step == "production" else _trained(run)
        entries.append(registry.move(replace(move, to_stage=step, metrics=figures)))
    warnings = [*validation.warnings, *(f"forced: {reason}" for reason in reasons)] if steps else []
    if steps and now == "production":
        warnings.append("no version is in production now")
    return Promoted(registry.model_name, move.version, now, move.to_stage, tuple(entries), tuple(warnings))


def rollback(
    settings: Settings, config: Config, *, reason: str | None = None, on_event: events.OnEvent = events.ignore
) -> Promoted:
    """Bring the version that was in production before back, after it was loaded; raises AnswerIsNoError without one."""
    name = config.registry.model_name
    _check_reason(reason)
    with (
        open_project_store(settings, CHANGE, on_event=on_event) as store,
        opened(store, name, mirror_of(settings, name)) as registry,
    ):
        current = registry.aliases.get("production")
        last = registry.ledger.before_production(current)
        if last is None or last not in registry.versions:
            gone = f"v{last} is no longer in the registry" if last else "no other version was ever in production"
            raise AnswerIsNoError(f"there is nothing to go back to: {gone}.", hint="cryptoml promote --history")
        found = registry.version(last)
        load(store, settings, of_version(found))
        run = get_run(store, found.run_id)
        before = registry.stage_of(last)
        entry = registry.move(
            Move(
                version=last,
                to_stage="production",
                reason=reason or NO_REASON,
                who=settings.author or git.author_name(settings.project_dir),
                kind="rollback",
                metrics=_trained(run),
                git_commit=run.tags.get("git_commit", ""),
                dataset_version=run.tags.get("dataset_version", ""),
            )
        )
    return Promoted(name, last, before, "production", (entry,), ())


def read_history(settings: Settings, config: Config) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Every transition, oldest first, and what does not agree with them."""
    name = config.registry.model_name
    with open_project_store(settings, READ) as store:
        ledger, faults = history(store, name, mirror_of(settings, name))
    return ledger.entries, faults


def _validate(
    store: Store, request: PromoteRequest, run: RunView, number: str, target: Stage, on_event: events.OnEvent
) -> Validation:
    """Before production: the model is loaded back from the store, must forecast, and meets the champion."""
    if target != "production":
        return Validation(None, {}, (), ())
    name = request.config.registry.model_name
    try:
        candidate = load(store, request.settings, of_version(get_version(store, name, number)))
        return _score(store, request, run, candidate, number, on_event)
    except (AnswerIsNoError, DataError) as error:
        if not request.force:
            if isinstance(error, AnswerIsNoError):
                return Validation(_champion(store, name), _trained(run), (error.fact.rstrip("."),), ())
            raise
        return Validation(None, _trained(run), (), (f"not validated: {error.fact}",))


def _check_reason(reason: str | None) -> None:
    # An entry of the ledger is one tag of the registry, which holds 5,000 characters.
    if reason is not None and len(reason) > LONGEST_REASON:
        raise UsageError(
            f"the reason has {len(reason):,} characters.", hint=f"say it in {LONGEST_REASON:,}, and link to the rest"
        )


def _champion(store: Store, name: str) -> str | None:
    from cryptoml.registry.versions import production_version

    found = production_version(store, name)
    return found.version if found else None


def _score(
    store: Store,
    request: PromoteRequest,
    run: RunView,
    candidate: Forecaster,
    number: str,
    on_event: events.OnEvent,
) -> Validation:
    from cryptoml.registry.duel import score, score_all, unseen_from

    config, settings = request.config, request.settings
    try:
        source = request.data or find_data(settings.project_dir)
    except UsageError as error:
        raise DataError(
            f"no candles to validate on: {error.fact}", hint="name some with --data, or cryptoml pull-data"
        ) from None
    candles = read_any(source, config)
    check_fit(candles, candidate, f"v{number}")
    rows = score_all(candidate, grid_of(candles, candidate), since=unseen_from(candidate))
    level = config.training.significance_level
    own = score(candidate, rows, level=level)
    found = compare_with_champion(
        store, settings, config.registry.model_name, candidate, candles,
        least=config.promotion.min_candles, level=level, itself=number,
    )  # fmt: skip
    metrics: dict[str, float | str] = {
        **_trained(run),
        "validation_data": source.name,
        "validation_candles": own.candles,
        "validation_rmse": own.rmse,
        "validation_skill": own.skill,
    }
    reasons, warnings = [], [found.note] if found.note else []
    if own.candles == 0:
        reasons.append(f"it makes no forecast on {source.name} that can be scored: no candle there is new to it")
    elif own.word == "worse":
        reasons.append(
            f"on {own.candles:,} newest candles it is significantly worse than persistence "
            f"(RMSE {figure(own.rmse, '.6g')} against {figure(own.baseline_rmse, '.6g')}, p = {own.p_value:.3g})"
        )
    elif own.word == "ties":
        warnings.append(
            f"on {own.candles:,} newest candles it ties with persistence (p = {figure(own.p_value, '.3g')})"
        )
    if found.duel is not None:
        duel = found.duel
        metrics |= {
            "champion": f"v{found.champion}",
            "champion_rmse": duel.champion.rmse,
            "candidate_rmse": duel.candidate.rmse,
            "duel_p_value": duel.p_value,
            "duel_candles": duel.candidate.candles,
        }
        if duel.decided and not duel.candidate_better and duel.p_value < level:
            reasons.append(
                f"on the same {duel.candidate.candles:,} newest candles it is significantly worse than "
                f"v{found.champion} in production (RMSE {figure(duel.candidate.rmse, '.6g')} against "
                f"{figure(duel.champion.rmse, '.6g')}, "
                f"p = {duel.p_value:.3g})"
            )
    on_event(
        events.Info(
            f"validated on {own.candles:,} newest candles of {source.name}: "
            f"skill {figure(100 * own.skill, '+.3f', unit=' %')}"
        )
    )
    return Validation(found.champion, metrics, tuple(reasons), tuple(warnings))


def _trained(run: RunView) -> dict[str, float | str]:
    """What training promised."""
    names = ("cv_rmse_mean", "test_rmse", "skill", "dm_p_value")
    found: dict[str, float | str] = {name: run.metrics[name] for name in names if name in run.metrics}
    digest = {MODEL_SHA256: run.tags[MODEL_SHA256]} if MODEL_SHA256 in run.tags else {}
    return {**found, **digest, "run_name": run.name, "verdict": run.tags.get("verdict", "")}
