"""The runs of one training: opened at its start, recorded when their models are done, delivered at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.errors import CryptomlError
from cryptoml.workflows.training import recording
from cryptoml.workflows.training.context import TrainingContext
from cryptoml.workflows.training.inputs import TrainingData
from cryptoml.workflows.training.results import ModelRow, horizon_row

if TYPE_CHECKING:
    from cryptoml.evaluation.folds import Plan
    from cryptoml.tracking.journal.journal import JournalRun
    from cryptoml.tracking.journal.records import Status
    from cryptoml.tracking.tracker import Tracker
    from cryptoml.training.results import ModelChoice, ModelFailure, ModelResult


@dataclass
class TrainingRuns:
    """The runs and their rows in the table of results, by model."""

    data: TrainingData
    plans: Sequence[Plan]
    choices: Sequence[ModelChoice]
    context: TrainingContext
    config: Config
    tracker: Tracker
    by_model: dict[str, JournalRun] = field(default_factory=dict)
    rows: dict[str, ModelRow] = field(default_factory=dict)

    @property
    def baseline(self) -> JournalRun:
        """The run of the baseline."""
        return next(self.by_model[choice.spec.key] for choice in self.choices if choice.spec.is_baseline)

    def open(self) -> None:
        """Open a run for each model."""
        journal = self.tracker.journal
        for choice in self.choices:
            run = journal.open_run(
                training_id=self.context.training_id,
                experiment=self.context.experiment,
                run_name=journal.reserve_run_name(choice.spec.long_name),
                tags=recording.start_tags(self.context, choice),
            )
            run.log_params(recording.params(self.context, choice, self.data.dataset, self.plans[0]))
            self.by_model[choice.spec.key] = run

    def record(self, result: ModelResult, folder: Path) -> None:
        """Record, end and deliver the run of a model; its plots and forecasts are in the folder."""
        key = result.choice.spec.key
        run = self.by_model[key]
        recording.record_result(
            run,
            result,
            context=self.context,
            reports=self.data.reports,
            dataset=self.data.dataset,
            plan=self.plans[0],
            folder=folder,
        )
        run.set_tags({"status": "finished"})
        run.end("FINISHED")
        self.rows[key] = ModelRow(
            model_type=key,
            run_name=run.run_name,
            status="FINISHED",
            implementation=result.implementation,
            metrics=dict(result.metrics),
            verdict=result.verdict.word,
            further=tuple(horizon_row(one) for one in result.further),
        )
        self.tracker.deliver(run)

    def record_failure(self, failure: ModelFailure) -> None:
        """Record, end and deliver the run of a model that failed."""
        key = failure.choice.spec.key
        run = self.by_model[key]
        text = f"{type(failure.error).__name__}: {failure.error}"
        run.set_tags({"status": "failed", "error": text[:5000]})
        run.end("FAILED")
        code = failure.error.exit_code if isinstance(failure.error, CryptomlError) else 1
        self.rows[key] = ModelRow(key, run.run_name, "FAILED", error=text, exit_code=code)
        self.tracker.deliver(run)

    def end_open(self, status: Status) -> list[JournalRun]:
        """End the runs that are still open, and return them."""
        ended = [run for run in self.by_model.values() if run.status is None]
        for run in ended:
            run.set_tags({"status": status.lower()})
            run.end(status)
        return ended
