"""Promote a version to a stage, with validation and comparison with the production version, and roll back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, UsageError
from cryptoml.registry.ledger import Entry, mirror_of
from cryptoml.registry.stages import Stage, parse_stage, parse_version, transition_path
from cryptoml.registry.transitions import Move, Registry, check_history, open_registry
from cryptoml.registry.version_models import load, ref_of_version
from cryptoml.registry.versions import get_version
from cryptoml.remotes import git
from cryptoml.settings import Settings
from cryptoml.tracking.runs import RunView, get_run
from cryptoml.tracking.store.project_store import CHANGE, READ, open_project_store
from cryptoml.workflows.promotion.validation import Validation, Validator, training_metrics

NO_REASON = "none given"
# A concurrent promotion makes the comparison stale; the version is then validated again.
TRIES = 3
LONGEST_REASON = 1000
# For stages other than production.
NOT_NEEDED = Validation(None, {}, (), ())


@dataclass(frozen=True)
class PromoteRequest:
    """The version, its target stage and the reason. data: candles to validate on; default: the project's latest."""

    settings: Settings
    config: Config
    version: str
    stage: str
    reason: str | None = None
    data: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Promoted:
    """The outcome. entries: one per transition, none if the version was already in the stage."""

    model_name: str
    version: str
    from_stage: Stage
    stage: Stage
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """The `result` of --json."""
        displaced = [entry.displaced for entry in self.entries if entry.displaced]
        return {
            "model_name": self.model_name,
            "version": self.version,
            "from": self.from_stage,
            "stage": self.stage,
            "changed": bool(self.entries),
            "displaced": [{"version": version, "stage": stage} for version, stage in displaced],
            "metrics": dict(self.entries[-1].metrics) if self.entries else {},
            "warnings": list(self.warnings),
        }


def promote(request: PromoteRequest, *, on_event: events.OnEvent = events.ignore) -> Promoted:
    """Promote a version through the stages. Record a refusal in the ledger and raise CheckFailedError."""
    config, settings = request.config, request.settings
    number, target = parse_version(request.version), parse_stage(request.stage)
    _check_reason(request.reason)
    if not request.reason and config.promotion.require_reason:
        raise UsageError("a reason is required (promotion.require_reason).", hint='add --reason "..."')
    name = config.registry.model_name
    with open_project_store(settings, CHANGE, on_event=on_event) as store:
        validator = Validator(store, settings, config, request.data, request.force, on_event)
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
            validation = validator.validate(number, run) if target == "production" else NOT_NEEDED
            with open_registry(store, name, mirror_of(settings, name)) as registry:
                champion = registry.aliases.get("production")
                if target == "production" and champion not in (validation.champion, number) and not request.force:
                    continue
                return _move(registry, move, run, validation, request)
    raise CheckFailedError(
        f"v{number} is not promoted: concurrent promotions changed the registry {TRIES} times.",
        hint="try again",
    )


def _move(registry: Registry, move: Move, run: RunView, validation: Validation, request: PromoteRequest) -> Promoted:
    now = registry.stage_of(move.version)
    steps = transition_path(now, move.to_stage)
    reasons = list(validation.reasons)
    if "staging" in steps and run.status != "FINISHED":
        reasons.append(f"its run {run.name} is {run.status}, not FINISHED")
    if steps and reasons and not request.force:
        registry.refuse(replace(move, kind="refusal", metrics=validation.metrics))
        raise CheckFailedError(
            f"v{move.version} is not promoted to {move.to_stage}: {'; '.join(reasons)}.",
            hint="choose another version, or add --force and a --reason",
        )
    entries = []
    for step in steps:
        figures = validation.metrics if step == "production" else training_metrics(run)
        entries.append(registry.move(replace(move, to_stage=step, metrics=figures)))
    warnings = [*validation.warnings, *(f"forced: {reason}" for reason in reasons)] if steps else []
    if steps and now == "production":
        warnings.append("there is no version in production now")
    return Promoted(registry.model_name, move.version, now, move.to_stage, tuple(entries), tuple(warnings))


def rollback(
    settings: Settings, config: Config, *, reason: str | None = None, on_event: events.OnEvent = events.ignore
) -> Promoted:
    """Restore the previous production version if its model can be loaded. Raise CheckFailedError if there is none."""
    name = config.registry.model_name
    _check_reason(reason)
    with (
        open_project_store(settings, CHANGE, on_event=on_event) as store,
        open_registry(store, name, mirror_of(settings, name)) as registry,
    ):
        current = registry.aliases.get("production")
        last = registry.ledger.before_production(current)
        if last is None or last not in registry.versions:
            missing = f"v{last} is no longer in the registry" if last else "no other version was ever in production"
            raise CheckFailedError(f"no version to roll back to: {missing}.", hint="cryptoml promote --history")
        found = registry.version(last)
        load(store, settings, ref_of_version(found))
        run = get_run(store, found.run_id)
        before = registry.stage_of(last)
        entry = registry.move(
            Move(
                version=last,
                to_stage="production",
                reason=reason or NO_REASON,
                who=settings.author or git.author_name(settings.project_dir),
                kind="rollback",
                metrics=training_metrics(run),
                git_commit=run.tags.get("git_commit", ""),
                dataset_version=run.tags.get("dataset_version", ""),
            )
        )
    return Promoted(name, last, before, "production", (entry,), ())


def read_history(settings: Settings, config: Config) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return all ledger entries, oldest first, and the mismatches with the registry."""
    name = config.registry.model_name
    with open_project_store(settings, READ) as store:
        ledger, faults = check_history(store, name, mirror_of(settings, name))
    return ledger.entries, faults


def _check_reason(reason: str | None) -> None:
    # A ledger entry is stored in one registry tag, which is limited to 5,000 characters.
    if reason is not None and len(reason) > LONGEST_REASON:
        raise UsageError(
            f"the reason has {len(reason):,} characters.", hint=f"shorten it to {LONGEST_REASON:,} characters"
        )
