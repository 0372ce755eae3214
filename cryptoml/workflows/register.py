"""Register a run's model as a version, with the same gate as for the best run of a training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.data.project_files import find_data, read_any
from cryptoml.errors import CheckFailedError, CryptomlError, UsageError
from cryptoml.models.zoo import BASELINE
from cryptoml.registry.champion import duel_for_gate
from cryptoml.registry.markets import is_among_several, market_of_tags, name_for
from cryptoml.registry.model_digest import MODEL_SHA256
from cryptoml.registry.model_names import MODEL_NAME_TAG, with_model_name
from cryptoml.registry.registrar import register_for_market, same_model_text
from cryptoml.registry.version_models import ModelRef, fetched_digest, load, ref_of_run
from cryptoml.registry.versions import (
    MODEL_PATH,
    Version,
    production_version,
    version_of_run,
)
from cryptoml.settings import Settings
from cryptoml.tracking.run_details import fetch_quality_reports
from cryptoml.tracking.runs import LIST_RUNS, RunView, find_run, search_runs
from cryptoml.tracking.store.project_store import CHANGE, open_project_store
from cryptoml.tracking.store.store import Store
from cryptoml.workflows.training.inputs import shortened_list
from cryptoml.workflows.training.registration import RunFacts, judge, version_texts

if TYPE_CHECKING:
    from cryptoml.data.cleaning.quality import QualityReport
    from cryptoml.registry.gate import ChampionDuel, GateDecision, Verdict

NEEDED = ("dm_p_value", "skill", "shrinkage", "cv_rmse_mean", "test_rmse", "interval_coverage")


@dataclass(frozen=True)
class RegisterRequest:
    """The run by id or name (None: the best run of the latest training). `force` requires a `reason`."""

    settings: Settings
    config: Config
    run: str | None = None
    force: bool = False
    reason: str | None = None
    data: Path | None = None


@dataclass(frozen=True)
class RegisterResult:
    """The version and the gate's decision. is_new: False if the run was already registered."""

    model_name: str
    version: str
    run_id: str
    run_name: str
    is_new: bool
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The `result` of --json."""
        return {
            "model_name": self.model_name,
            "version": self.version,
            "run_id": self.run_id,
            "run_name": self.run_name,
            "new": self.is_new,
            "gate": {"passed": not self.reasons, "reasons": list(self.reasons)},
            "warnings": list(self.warnings),
        }


class GateRefusedError(CheckFailedError):
    """The gate refused the run; `decision` has the reasons."""

    def __init__(self, run: RunView, decision: GateDecision) -> None:
        super().__init__(
            f"{run.name} is not registered: {' '.join(decision.reasons)}",
            hint=f'train a better model, or cryptoml register {run.name} --force --reason "..."',
        )
        self.run = run
        self.decision = decision

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.run, self.decision))


def register(request: RegisterRequest, *, on_event: events.OnEvent = events.ignore) -> RegisterResult:
    """Register a run. Raise GateRefusedError, or CheckFailedError for a run that cannot be registered."""
    if request.force and not request.reason:
        raise UsageError("--force requires a reason.", hint='add --reason "..."')
    settings = request.settings
    with open_project_store(settings, CHANGE, on_event=on_event) as store:
        run = _find(store, settings, request.run)
        pattern, market = request.config.registry.model_name, market_of_tags(run.params)
        among_several = is_among_several(pattern, run.tags.get(MODEL_NAME_TAG, pattern), run.params)
        name = pattern if market is None else name_for(store, pattern, market, among_several=among_several)
        config = with_model_name(request.config, name)
        already = version_of_run(store, name, run.run_id)
        if already is not None:
            return _result(already, run, is_new=False)
        _check(run)
        reports = _quality_reports(store, run)
        champion, note = _champion(store, replace(request, config=config), run)
        decision = judge(cast("Verdict", run.tags["verdict"]), run.metrics, reports, config, champion=champion)
        if not decision.passed and not request.force:
            raise GateRefusedError(run, decision)
        digest = run.tags.get(MODEL_SHA256) or fetched_digest(store, settings, ModelRef(run.run_id, run.name))
        run_tags = {**run.tags, MODEL_SHA256: digest}
        description, tags = version_texts(
            RunFacts(run.name, shortened_list([one.source for one in reports]), run.params, run.metrics, run_tags)
        )
        gate = {"gate": "passed" if decision.passed else " ".join(("forced:", *decision.reasons))[:5000]}
        if request.reason:
            gate["reason"] = request.reason[:5000]
        version = register_for_market(
            store,
            run_id=run.run_id,
            pattern=pattern,
            description=description,
            tags={**tags, **gate},
            among_several=among_several,
        )
        warnings = (*decision.warnings, *([note] if note else []))
        if version.run_id != run.run_id:
            warnings = (*warnings, same_model_text(version))
        return _result(version, run, is_new=version.is_new, decision=decision, warnings=warnings)


def _result(
    version: Version,
    run: RunView,
    *,
    is_new: bool,
    decision: GateDecision | None = None,
    warnings: tuple[str, ...] = (),
) -> RegisterResult:
    reasons = decision.reasons if decision else ()
    return RegisterResult(version.model_name, version.version, run.run_id, run.name, is_new, reasons, warnings)


def _find(store: Store, settings: Settings, wanted: str | None) -> RunView:
    """Return the run by id or name, or the run with the lowest cv_rmse_mean of the latest training."""
    experiment = settings.experiment_name
    if wanted is not None:
        return find_run(store, experiment, wanted)
    newest = search_runs(store, experiment, query="tags.status = 'finished'", limit=1)
    training = newest[0].tags.get("training_id", "") if newest else ""
    runs = search_runs(store, experiment, query=f"tags.training_id = '{training}'") if training else ()
    candidates = [
        run
        for run in runs
        if run.status == "FINISHED" and run.tags.get("model_type") != BASELINE and "cv_rmse_mean" in run.metrics
    ]
    if not candidates:
        raise UsageError(f"{experiment}: no finished run to register.", hint="cryptoml train, or cryptoml register RUN")
    return min(candidates, key=lambda run: (run.metrics["cv_rmse_mean"], run.tags.get("model_type", "")))


def _check(run: RunView) -> None:
    if run.status != "FINISHED":
        raise CheckFailedError(
            f"run {run.name} is {run.status}; only a FINISHED run can be registered.", hint=LIST_RUNS
        )
    if run.tags.get("model_type") == BASELINE:
        raise CheckFailedError(f"run {run.name} is the persistence baseline, which has no model.", hint=LIST_RUNS)
    lacking = [name for name in NEEDED if name not in run.metrics]
    if lacking or "verdict" not in run.tags:
        raise CheckFailedError(
            f"run {run.name} lacks {', '.join(lacking) or 'its verdict'}: it was not created by cryptoml train.",
            hint="cryptoml compare lists the runs of cryptoml train",
        )


def _quality_reports(store: Store, run: RunView) -> list[QualityReport]:
    from cryptoml.data.cleaning.quality import QualityReport

    try:
        documents = fetch_quality_reports(store, run.run_id, run.name)
        if documents:
            return [QualityReport.from_dict(document) for document in documents]
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CheckFailedError(f"run {run.name} has no readable data quality report.", hint="cryptoml train")


def _champion(store: Store, request: RegisterRequest, run: RunView) -> tuple[ChampionDuel | None, str]:
    """Compare the run with the production version; return the duel, or None and a note on why it was not possible.

    Raise CryptomlError only if the candles of `request.data` cannot be used.
    """
    settings = request.settings
    if f"{MODEL_PATH}/MLmodel" not in store.list_files(run.run_id, MODEL_PATH):
        raise CheckFailedError(f"run {run.name} has no model at {MODEL_PATH}.", hint=LIST_RUNS)
    if production_version(store, request.config.registry.model_name) is None:
        return None, ""
    try:
        data = request.data or find_data(settings.project_dir)
        candidate = load(store, settings, ref_of_run(run))
        return duel_for_gate(store, settings, request.config, candidate, read_any(data, request.config))
    except CryptomlError as error:
        if request.data is not None:
            raise
        return None, f"not compared with the version in production: {error.fact}"
