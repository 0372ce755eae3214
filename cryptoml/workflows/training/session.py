"""One training in progress: opens a run for each model, trains, records, registers the best and delivers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import CryptomlError
from cryptoml.registry.champion import duel_for_gate
from cryptoml.settings import Settings
from cryptoml.tracking.store.errors import masked
from cryptoml.workflows.training import recording, registration
from cryptoml.workflows.training.context import TrainingContext
from cryptoml.workflows.training.inputs import TrainingData
from cryptoml.workflows.training.results import ModelRow, Registered, TrainResult

if TYPE_CHECKING:
    from concurrent.futures import Future

    from cryptoml.evaluation.folds import Plan
    from cryptoml.registry.gate import ChampionDuel
    from cryptoml.tracking.journal.deliver import Delivered
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.tracking.journal.records import Status
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.engine import Engine
    from cryptoml.training.results import ModelChoice, ModelFailure, ModelResult

# Where fits are kept, in the project folder.
FIT_CACHE = Path(".cryptoml", "cache", "fits")
# Less than stopping.LIMIT_S, to leave time for the cleanup.
STOP_DELIVERY_S = 2.0


@dataclass
class TrainingSession:
    """One training in progress: its open runs and the outcome of each model."""

    settings: Settings
    data: TrainingData
    plan: Plan
    choices: Sequence[ModelChoice]
    context: TrainingContext
    tracker: Tracker
    on_event: events.OnEvent
    use_cache: bool = True

    def __post_init__(self) -> None:
        self.config = self.context.config.config
        self.runs: dict[str, JournalRun] = {}
        self.rows: dict[str, ModelRow] = {}
        self.results: dict[str, ModelResult] = {}
        self.delivered: dict[str, Delivered] = {}
        self.best: str | None = None
        self.gate_passed = False
        self.gate_reasons: tuple[str, ...] = ("no model finished training.",)
        self.gate_warnings: tuple[str, ...] = ()

    def run(self) -> None:
        """Open a run for each model, train the models, deliver each finished run, and register the best."""
        from cryptoml.training.cross_validate import engine_for, train_models
        from cryptoml.training.results import ModelFailure, TrainingOptions
        from cryptoml.workflows.training.profile import ProfileReport

        for choice in self.choices:
            self._open_run(choice)
        baseline = next(self.runs[choice.spec.key] for choice in self.choices if choice.spec.is_baseline)
        profile = ProfileReport(self.settings, self.data, wanted=self.config.tracking.profile_report)
        options = TrainingOptions(
            seed=self.config.training.random_seed,
            clip_sigma=self.config.target.clip_sigma,
            scaling_method=self.config.features.scaling_method,
            interval_level=self.config.training.interval_level,
            significance_level=self.config.training.significance_level,
            workers=self.settings.workers,
        )
        started = time.monotonic()
        for choice in self.choices:
            self.on_event(events.StepStarted(choice.spec.key, len(self.plan.folds) + 1))

        def fitted(model: str, fold: int) -> None:
            self.on_event(events.StepAdvanced(model, f"fold {fold}" if fold else "final fit"))

        dataset = self.data.dataset
        cache_folder = self.settings.project_dir / FIT_CACHE if self.use_cache else None
        with profile:
            with (
                engine_for(dataset, options, cache_folder=cache_folder) as engine,
                tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
            ):
                written: dict[Future[object], ModelResult] = {}
                for outcome in train_models(dataset, self.plan, self.choices, options, engine, on_fit=fitted):
                    key = outcome.choice.spec.key
                    self.on_event(events.StepFinished(key, time.monotonic() - started))
                    if isinstance(outcome, ModelFailure):
                        self._record_failure(outcome)
                    else:
                        written[self._write_forecasts(outcome, engine, Path(folder, key))] = outcome
                    for future in [future for future in written if future.done()]:
                        self._record_model(written.pop(future), future, Path(folder))
                if engine.n_cached_fits:
                    n_fits = len(self.choices) * (len(self.plan.folds) + 1)
                    text = (
                        f"{engine.n_cached_fits} of {n_fits} fits were reused from the cache (--no-cache repeats them)"
                    )
                    self.on_event(events.Info(text))
                for future in as_completed(list(written)):
                    self._record_model(written.pop(future), future, Path(folder))
            self._register()
            profile.attach(baseline)
            for key in self.results:
                self.tracker.deliver(self.runs[key])
            self.delivered = self.tracker.finish()
            profile.hand_over(baseline)

    def kill(self) -> None:
        """End the open runs as KILLED after a signal, in the journal and, if it responds in time, in the store."""
        self.tracker.deliver_stopped(self._end_open_runs("KILLED", {"status": "killed"}), within_s=STOP_DELIVERY_S)

    def fail(self) -> None:
        """End the open runs as FAILED after an error that affects all models."""
        self._end_open_runs("FAILED", {"status": "failed"})

    def result(self, seconds: float) -> TrainResult:
        """Return the outcome of the training."""
        rows = []
        for choice in self.choices:
            key = choice.spec.key
            done = self.delivered.get(self.runs[key].key)
            row = self.rows[key]
            rows.append(replace(row, run_id=done.run_id, run_name=done.run_name) if done else row)
        registered = None
        if self.best is not None:
            done = self.delivered.get(self.runs[self.best].key)
            if done and done.versions:
                registered = Registered(*done.versions[-1])
        return TrainResult(
            training_id=self.context.training_id,
            experiment=self.context.experiment,
            tracking_uri=masked(self.settings.mlflow_uri()),
            dataset_version=self.context.dataset_version,
            source=self.context.source,
            symbol=self.data.dataset.symbol,
            interval=self.data.dataset.interval.label,
            n_rows=len(self.data.dataset.index),
            models=tuple(rows),
            best=next((row for row in rows if row.model_type == self.best), None),
            gate_passed=self.gate_passed,
            gate_reasons=self.gate_reasons,
            gate_warnings=self.gate_warnings,
            model_name=self.config.registry.model_name,
            registered=registered,
            trouble=self.tracker.delivery_error,
            seconds=seconds,
        )

    def _open_run(self, choice: ModelChoice) -> None:
        journal = self.tracker.journal
        run = journal.open_run(
            training_id=self.context.training_id,
            experiment=self.context.experiment,
            run_name=journal.reserve_run_name(choice.spec.long_name),
            tags=recording.start_tags(self.context, choice),
        )
        run.log_params(recording.params(self.context, choice, self.data.dataset, self.plan))
        self.runs[choice.spec.key] = run

    def _write_forecasts(self, result: ModelResult, engine: Engine, folder: Path) -> Future[object]:
        """Let a worker write the forecasts and plots of a model to its folder."""
        folder.mkdir()
        report = recording.forecast_report(result, self.context, self.data.dataset)
        return engine.submit(recording.write_forecasts, folder, report)

    def _record_model(self, result: ModelResult, written: Future[object], folder: Path) -> None:
        """Record a model; `written` is done, and its files are in the model's subfolder."""
        written.result()
        key = result.choice.spec.key
        run = self.runs[key]
        recording.record_result(
            run,
            result,
            context=self.context,
            candles=self.data.candles,
            dataset=self.data.dataset,
            plan=self.plan,
            folder=folder / key,
        )
        run.set_tags({"status": "finished"})
        run.end("FINISHED")
        self.results[key] = result
        self.rows[key] = ModelRow(
            model_type=key,
            run_name=run.run_name,
            status="FINISHED",
            implementation=result.implementation,
            metrics=dict(result.metrics),
            verdict=result.verdict.word,
        )
        self.tracker.deliver(run)

    def _record_failure(self, failure: ModelFailure) -> None:
        key = failure.choice.spec.key
        run = self.runs[key]
        text = f"{type(failure.error).__name__}: {failure.error}"
        run.set_tags({"status": "failed", "error": text[:5000]})
        run.end("FAILED")
        code = failure.error.exit_code if isinstance(failure.error, CryptomlError) else 1
        self.rows[key] = ModelRow(key, run.run_name, "FAILED", error=text, exit_code=code)
        self.on_event(events.Warned(f"{key} failed: {text}"))
        self.tracker.deliver(run)

    def _register(self) -> None:
        self.best = registration.best_of(self.results)
        if self.best is None:
            return
        result = self.results[self.best]
        champion, note = self._champion(result)
        decision = registration.judge(
            result.verdict.word, result.metrics, self.data.candles.report, self.config, champion=champion
        )
        self.gate_passed, self.gate_reasons = decision.passed, decision.reasons
        self.gate_warnings = (*decision.warnings, *([note] if note else []))
        run = self.runs[self.best]
        gate = "passed" if decision.passed else " ".join(decision.reasons)
        run.set_tags({"best_of_training": "true", "gate": gate[:5000]})
        if decision.passed and self.config.registry.register_best:
            registration.request_registration(run, result, self.data, self.context, self.config.registry.model_name)

    def _champion(self, result: ModelResult) -> tuple[ChampionDuel | None, str]:
        """Return the duel with the production version on the latest candles, or None and a note on the reason."""
        store = self.tracker.store()
        if store is None:
            return None, ""
        return duel_for_gate(store, self.settings, self.config, result.forecaster, self.data.candles)

    def _end_open_runs(self, status: Status, tags: Mapping[str, str]) -> list[JournalRun]:
        ended = [run for run in self.runs.values() if run.status is None]
        for run in ended:
            run.set_tags(tags)
            run.end(status)
        return ended
