"""Promote a version to a stage, with validation and comparison with the production version, and roll back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.errors import CheckFailedError, UsageError
from cryptoml.registry.ledger import Entry, mirror_of
from cryptoml.registry.markets import market_of_tags, names_of
from cryptoml.registry.model_names import with_model_name
from cryptoml.registry.stages import Stage, parse_stage, transition_path
from cryptoml.registry.transitions import Move, Registry, check_history, open_registry
from cryptoml.registry.version_models import load, ref_of_version
from cryptoml.registry.version_refs import find_version, needed_version_ref
from cryptoml.remotes import git
from cryptoml.settings import Settings
from cryptoml.tracking.runs import RunView, get_run
from cryptoml.tracking.store.project_store import CHANGE, READ, open_project_store
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.market_models import model_name_for_version
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
    ref, target = needed_version_ref(request.version), parse_stage(request.stage)
    _check_reason(request.reason)
    if not request.reason and config.promotion.require_reason:
        raise UsageError("a reason is required (promotion.require_reason).", hint='add --reason "..."')
    with open_project_store(settings, CHANGE, on_event=on_event) as store:
        name = model_name_for_version(store, settings, config, reference=request.version, data=request.data)
        config = with_model_name(config, name)
        validator = Validator(store, settings, config, request.data, request.force, on_event)
        version = find_version(store, name, ref)
        number, run = version.version, get_run(store, version.run_id)
        crossing = _crossing(store, name, run)
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
            validation = validator.validate(number, run) if target == "production" and not crossing else NOT_NEEDED
            validation = replace(validation, reasons=(*crossing, *validation.reasons))
            with open_registry(store, name, mirror_of(settings, name)) as registry:
                champion = registry.aliases.get("production")
                is_stale = champion not in (validation.champion, number) and not crossing
                if target == "production" and is_stale and not request.force:
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
            hint=_hint(reasons, move),
        )
    entries = []
    for step in steps:
        figures = validation.metrics if step == "production" else training_metrics(run)
        entries.append(registry.move(replace(move, to_stage=step, metrics=figures)))
    warnings = [*validation.warnings, *(f"forced: {reason}" for reason in reasons)] if steps else []
    if steps and now == "production":
        warnings.append("there is no version in production now")
    return Promoted(registry.model_name, move.version, now, move.to_stage, tuple(entries), tuple(warnings))


def _crossing(store: Store, name: str, run: RunView) -> list[str]:
    """Return the reason against a version whose registered model is that of another market."""
    own = market_of_tags(run.params)
    of_model = next((one.market for one in names_of(store, name) if one.name == name), None)
    if own is None or of_model is None or own.is_same(of_model):
        return []
    return [f"it forecasts {own.title}, but {name} is the model of {of_model.title}"]


def _hint(reasons: Sequence[str], move: Move) -> str:
    if any("is the model of" in reason for reason in reasons):
        return "register its run as a model of its own market: cryptoml register RUN"
    if all("promotion.on_tie" in reason for reason in reasons):
        return (
            f"keep the one in production, or cryptoml promote v{move.version} {move.to_stage} "
            "--set promotion.on_tie=replace"
        )
    return "choose another version, or add --force and a --reason"


def rollback(
    settings: Settings,
    config: Config,
    *,
    reason: str | None = None,
    data: Path | None = None,
    on_event: events.OnEvent = events.ignore,
) -> Promoted:
    """Restore the previous production version if its model can be loaded. Raise CheckFailedError if there is none.

    data: candles of the market; default: the newest file, if there are several registered models.
    """
    _check_reason(reason)
    with ExitStack() as stack:
        store = stack.enter_context(open_project_store(settings, CHANGE, on_event=on_event))
        name = model_name_for_version(store, settings, config, data=data)
        registry = stack.enter_context(open_registry(store, name, mirror_of(settings, name)))
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


def read_history(
    settings: Settings, config: Config, *, data: Path | None = None
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return all ledger entries, oldest first, and the mismatches with the registry; data: as in `rollback`."""
    with open_project_store(settings, READ) as store:
        name = model_name_for_version(store, settings, config, data=data)
        ledger, faults = check_history(store, name, mirror_of(settings, name))
    return ledger.entries, faults


def _check_reason(reason: str | None) -> None:
    # A ledger entry is stored in one registry tag, which is limited to 5,000 characters.
    if reason is not None and len(reason) > LONGEST_REASON:
        raise UsageError(
            f"the reason has {len(reason):,} characters.", hint=f"shorten it to {LONGEST_REASON:,} characters"
        )
