"""The runs of a search in MLflow: one per model, with a nested run for each of its best trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.load import LoadedConfig
from cryptoml.models.zoo import MODELS
from cryptoml.settings import Settings
from cryptoml.workflows.training.context import TrainingContext, training_context
from cryptoml.workflows.training.inputs import TrainingData

if TYPE_CHECKING:
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.tuning import HoldoutScore, Search, TrialScore

# Of each model; each nested run costs a few requests.
MAX_NESTED = 10
# MLflow's own tag of nested runs.
PARENT_TAG = "mlflow.parentRunId"


def record_searches(
    settings: Settings,
    config: LoadedConfig,
    data: TrainingData,
    experiment: str,
    searches: Mapping[str, tuple[Search, HoldoutScore]],
    *,
    on_event: events.OnEvent,
) -> str | None:
    """Record the searches by model in an experiment of their own; return why runs are in the journal, or None."""
    from cryptoml.registry.registrar import registrar
    from cryptoml.tracking.tracker import Tracker

    context = training_context(
        data.sources, settings, config,
        dataset_version=data.version.text, model_name=config.config.registry.model_name,
    )  # fmt: skip
    parents: dict[str, JournalRun] = {}
    with Tracker(settings, registrar=registrar, on_event=on_event) as tracker:
        for key, (search, holdout) in searches.items():
            parents[key] = _parent(tracker, context, experiment, key, search, holdout)
        found = tracker.finish()
        error = tracker.delivery_error
    # A nested run has the identifier that the store gave to its parent.
    ids = {key: found[run.key].run_id for key, run in parents.items() if run.key in found}
    with Tracker(settings, registrar=registrar, on_event=on_event) as tracker:
        for key, (search, _) in searches.items():
            for trial in _shown(search):
                _nested(tracker, context, experiment, parents[key].run_name, ids.get(key), trial)
        tracker.finish()
        error = tracker.delivery_error or error
    return error.fact if error else None


def _shown(search: Search) -> list[TrialScore]:
    """Return the trial of the configured parameters and the best ones, at most MAX_NESTED."""
    complete = [one for one in search.trials[1:] if one.state == "complete"]
    best = sorted(complete, key=lambda one: -one.skill)[: MAX_NESTED - 1]
    return [search.default, *best]


def _parent(
    tracker: Tracker, context: TrainingContext, experiment: str, key: str, search: Search, holdout: HoldoutScore
) -> JournalRun:
    journal = tracker.journal
    name = journal.reserve_run_name(f"{MODELS[key].long_name}_tuning")
    run = _opened(tracker, context, experiment, name, key)
    run.log_params({**search.best.params, "n_trials": len(search.trials), "best_trial": search.best.number})
    run.log_metrics(
        {
            "folds_skill": search.best.skill,
            "default_folds_skill": search.default.skill,
            "holdout_skill": holdout.tuned_skill,
            "default_holdout_skill": holdout.default_skill,
            "p_value": holdout.p_value,
        }
    )
    run.end("FINISHED")
    tracker.deliver(run)
    return run


def _nested(
    tracker: Tracker, context: TrainingContext, experiment: str, parent: str, parent_id: str | None, trial: TrialScore
) -> None:
    run = _opened(tracker, context, experiment, f"{parent}_trial_{trial.number:03d}", "")
    if parent_id is not None:
        run.set_tags({PARENT_TAG: parent_id})
    run.set_tags({"tuning_run": parent})
    run.log_params(trial.params)
    run.log_metrics({"folds_skill": trial.skill})
    run.end("FINISHED")
    tracker.deliver(run)


def _opened(tracker: Tracker, context: TrainingContext, experiment: str, name: str, key: str) -> JournalRun:
    return tracker.journal.open_run(
        training_id=context.training_id,
        experiment=experiment,
        run_name=name,
        tags={
            **({"model_type": key} if key else {}),
            "purpose": "tuning",
            "dataset_version": context.dataset_version,
            "author": context.author,
            "git_commit": context.git_commit,
            "config_hash": context.config.hash(),
        },
    )
