"""One training in progress: opens a run for each model, trains, records, registers the best and delivers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.config.schema import Config
from cryptoml.reports.forecast_files import write_forecasts
from cryptoml.settings import Settings
from cryptoml.tracking.store.errors import masked
from cryptoml.workflows.training import recording, registration
from cryptoml.workflows.training.context import TrainingContext
from cryptoml.workflows.training.horizons import HorizonFits, as_one_model, refitted_at_all
from cryptoml.workflows.training.inputs import TrainingData
from cryptoml.workflows.training.judge import Judge
from cryptoml.workflows.training.profile import ProfileReport
from cryptoml.workflows.training.results import MarketRow, Registered, TrainResult, market_row
from cryptoml.workflows.training.schedule import Schedule
from cryptoml.workflows.training.training_runs import TrainingRuns

if TYPE_CHECKING:
    from concurrent.futures import Future

    from cryptoml.evaluation.folds import Plan
    from cryptoml.tracking.journal.deliver import Delivered
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.tracking.journal.records import Status
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.fit_task import FitTask
    from cryptoml.training.pools import Pool
    from cryptoml.training.results import Fit, ModelChoice, ModelResult, TrainingOptions

# Where fits are kept, in the project folder.
FIT_CACHE = Path(".cryptoml", "cache", "fits")


@dataclass
class TrainingSession:
    """One training in progress: its open runs, its calls in the schedule, and the outcome of each model."""

    settings: Settings
    data: TrainingData
    plans: Sequence[Plan]
    choices: Sequence[ModelChoice]
    context: TrainingContext
    config: Config
    tracker: Tracker
    schedule: Schedule
    on_event: events.OnEvent
    on_error: Callable[[Exception], None]
    use_cache: bool = True

    def __post_init__(self) -> None:
        self.runs = TrainingRuns(self.data, self.plans, self.choices, self.context, self.config, self.tracker)
        self._judge = Judge(self.settings, self.config, self.data, self.tracker)
        self.results: dict[str, ModelResult] = {}
        self.best: str | None = None
        self.gate_passed = False
        self.gate_reasons: tuple[str, ...] = ("no model finished training.",)
        self.gate_warnings: tuple[str, ...] = ()
        self.markets: tuple[MarketRow, ...] = ()
        self._market = (self.data.dataset.symbol, self.data.dataset.interval.label, len(self.data.dataset.index))
        self._profile = ProfileReport(self.settings, self.data)
        self._stack = ExitStack()
        self._futures: set[Future[object]] = set()
        # The best model so far, which is fitted again before it is recorded.
        self._held: tuple[ModelResult, Path] | None = None
        self._is_decided = False
        self._alternative: str | None = None
        self._horizons: list[HorizonFits] = []
        self._refits: dict[int, Fit | Exception] = {}
        self._started_at = time.monotonic()
        self._seconds = 0.0

    def start(self, pool: Pool) -> None:
        """Open a run for each model and start the fits; each finished run is delivered, and the best registered."""
        from cryptoml.training.cross_validate import Collector, engine_in, fit_tasks

        self.runs.open()
        if self.config.tracking.profile_report:
            self._profile.start()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cryptoml-")))
        options = training_options(self.settings, self.config, self.choices)
        cache_folder = self.settings.project_dir / FIT_CACHE if self.use_cache else None
        for dataset, plan in zip(self.data.datasets, self.plans, strict=True):
            engine = self._stack.enter_context(engine_in(pool, dataset, options, cache_folder=cache_folder))
            self._horizons.append(HorizonFits(dataset, plan, engine, Collector(dataset, plan, self.choices, options)))
        tasks = [(horizon, fit_tasks(horizon.dataset, horizon.plan, self.choices)) for horizon in self._horizons]
        n_fits = sum(len(of_horizon) for _, of_horizon in tasks)
        for choice in self.choices:
            self.on_event(events.StepStarted(choice.spec.key, n_fits // len(self.choices)))
        for horizon, of_horizon in tasks:
            for task in of_horizon:
                self._add(horizon.engine.start_fit(task), partial(self._on_fit, horizon, task))
        if n_cached := sum(horizon.engine.n_cached_fits for horizon in self._horizons):
            text = f"{n_cached} of {n_fits} fits were reused from the cache (--no-cache repeats them)"
            self.on_event(events.Info(text))

    def hand_over_profile(self) -> None:
        """Let a background process add an unfinished profile report, once the runs are delivered."""
        self._profile.hand_over(self.runs.baseline)

    def stop(self, status: Status) -> list[JournalRun]:
        """End the calls and the profile report of this training, and return its open runs, ended with a status."""
        for future in list(self._futures):
            self.schedule.drop(future)
        self._futures.clear()
        self._profile.cancel()
        self._stack.close()
        return self.runs.end_open(status)

    def result(self, delivered: Mapping[str, Delivered]) -> TrainResult:
        """Return the outcome; delivered: run key -> run in the store, from `Tracker.finish`."""
        found = {key: delivered[run.key] for key, run in self.runs.by_model.items() if run.key in delivered}
        is_delivered = self.tracker.undelivered.isdisjoint(run.key for run in self.runs.by_model.values())
        rows = []
        for choice in self.choices:
            row, done = self.runs.rows[choice.spec.key], found.get(choice.spec.key)
            rows.append(replace(row, run_id=done.run_id, run_name=done.run_name) if done else row)
        registered = None
        if self.best is not None and self.best in found and found[self.best].versions:
            registered = Registered(*found[self.best].versions[-1])
        symbol, interval, n_rows = self._market
        return TrainResult(
            training_id=self.context.training_id,
            experiment=self.context.experiment,
            tracking_uri=masked(self.settings.mlflow_uri()),
            dataset_version=self.context.dataset_version,
            source=self.context.source,
            symbol=symbol,
            interval=interval,
            n_rows=n_rows,
            models=tuple(rows),
            best=next((row for row in rows if row.model_type == self.best), None),
            alternative=next((row for row in rows if row.model_type == self._alternative), None),
            gate_passed=self.gate_passed,
            gate_reasons=self.gate_reasons,
            gate_warnings=self.gate_warnings,
            model_name=self.context.model_name,
            registered=registered,
            trouble=None if is_delivered else self.tracker.delivery_error,
            seconds=self._seconds,
            horizon=self.config.target.prediction_horizon,
            markets=self.markets,
        )

    def _add(self, future: Future[object], then: Callable[[Future[object]], None]) -> None:
        def follow(done: Future[object]) -> None:
            self._futures.discard(done)
            try:
                then(done)
                if not self._futures:
                    self._finish()
            except Exception as error:  # noqa: BLE001 - the other trainings continue
                self.on_error(error)

        self._futures.add(future)
        self.schedule.add(future, follow)

    def _on_fit(self, horizon: HorizonFits, task: FitTask, future: Future[object]) -> None:
        from cryptoml.training.results import ModelFailure

        key = task.choice.spec.key
        fit = horizon.engine.fit_of(future)
        if not isinstance(fit, Exception):
            self.on_event(events.StepAdvanced(key, f"fold {task.number}" if task.number else "final fit"))
        outcome = horizon.collector.add(task, fit)
        if outcome is None or key in self.runs.rows:
            return
        if isinstance(outcome, ModelFailure):
            self.on_event(events.StepFinished(key, time.monotonic() - self._started_at))
            self.runs.record_failure(outcome)
            self.on_event(events.Warned(f"{key} failed: {self.runs.rows[key].error}"))
            return
        horizon.results[key] = outcome
        if all(key in one.results for one in self._horizons):
            self.on_event(events.StepFinished(key, time.monotonic() - self._started_at))
            results = [one.results.pop(key) for one in self._horizons]
            self._write(as_one_model(results, kept=[not self._judge.faults(one) for one in results[1:]]))

    def _write(self, result: ModelResult) -> None:
        folder = self._folder / result.choice.spec.key
        folder.mkdir()
        report = recording.forecast_report(result, self.context, self.data.dataset)
        written = self._horizons[0].engine.submit(write_forecasts, folder, report)
        self._add(written, partial(self._on_written, result, folder))

    def _on_written(self, result: ModelResult, folder: Path, written: Future[object]) -> None:
        """Record a model, or hold it back if it is the best so far; `written` is done, its files are in the folder."""
        written.result()
        key = result.choice.spec.key
        self.results[key] = result
        if registration.best_of(self.results) != key:
            self.runs.record(result, folder)
            return
        self._record_held()
        self._held = result, folder

    def _record_held(self) -> None:
        if self._held is not None:
            self.runs.record(*self._held)
            self._held = None

    def _decide(self) -> None:
        """Choose the best model and apply the gate; fit it again, or record and register it."""
        self._is_decided = True
        self.best = registration.best_of(self.results)
        if self.best is None:
            return
        assert self._held is not None
        result, _ = self._held
        self.markets = tuple(market_row(market) for market in result.markets)
        decision, note = self._judge.decide(result)
        self.gate_passed, self.gate_reasons = decision.passed, decision.reasons
        self.gate_warnings = (*decision.warnings, *([note] if note else []), *self._judge.left_out(result))
        if not decision.passed:
            ranked = registration.ranked(self.results)[1:]
            self._alternative = next((key for key in ranked if self._judge.decide(self.results[key])[0].passed), None)
        if self._registers() and self.config.training.refit == "full":
            self._start_refits(result)
        else:
            self._register()

    def _start_refits(self, result: ModelResult) -> None:
        from cryptoml.training.cross_validate import refit_task

        forecast = result.forecaster.by_horizon
        chosen = [place for place, one in enumerate(self._horizons) if one.dataset.horizon in forecast]
        for place in chosen:
            horizon = self._horizons[place]
            task = refit_task(horizon.dataset, result.choice)
            self._add(horizon.engine.start_fit(task), partial(self._on_refit, place, len(chosen)))

    def _on_refit(self, place: int, n_refits: int, future: Future[object]) -> None:
        assert self._held is not None
        self._refits[place] = self._horizons[place].engine.fit_of(future)
        if len(self._refits) < n_refits:
            return
        result, folder = self._held
        failed = [fit for fit in self._refits.values() if isinstance(fit, Exception)]
        if failed:
            text = f"the fit on all candles failed, so the one before the hold-out is used: {failed[0]}"
            self.gate_warnings = (*self.gate_warnings, text)
        else:
            fits = [self._refits.get(place) for place in range(len(self._horizons))]
            self._held = refitted_at_all(self._horizons, result, fits), folder  # type: ignore[arg-type]
        self._register()

    def _registers(self) -> bool:
        return self.gate_passed and self.config.registry.register_best

    def _register(self) -> None:
        """Record the best model, and request its registration if it passed the gate."""
        assert self._held is not None
        assert self.best is not None
        result, run = self._held[0], self.runs.by_model[self.best]
        self._record_held()
        gate = "passed" if self.gate_passed else " ".join(self.gate_reasons)
        run.set_tags({"best_of_training": "true", "gate": gate[:5000]})
        if self._registers():
            registration.request_registration(run, result, self.data, self.context)

    def _finish(self) -> None:
        """Register the best model, and hand all runs to the tracker."""
        if not self._is_decided:
            self._decide()
            if self._futures:
                return
        self._profile.attach(self.runs.baseline)
        for key in self.results:
            self.tracker.deliver(self.runs.by_model[key])
        # Other trainings may follow in this process.
        self.results = {}
        self._stack.close()
        self._seconds = time.monotonic() - self._started_at


def training_options(settings: Settings, config: Config, choices: Sequence[ModelChoice]) -> TrainingOptions:
    """Return the options that all models of a training share."""
    from cryptoml.training.results import TrainingOptions

    return TrainingOptions(
        seed=config.training.random_seed,
        clip_sigma=config.target.clip_sigma,
        scaling_method=config.features.scaling_method,
        interval_level=config.training.interval_level,
        significance_level=config.training.significance_level,
        n_models=sum(not choice.spec.is_baseline for choice in choices),
        workers=settings.workers,
    )
