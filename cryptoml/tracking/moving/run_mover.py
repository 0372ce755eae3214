"""Copy runs of another store to the current store one at a time: export to a journal, deliver, delete the journal."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml import events
from cryptoml.errors import AccessError, CryptomlError, UnavailableError, UsageError
from cryptoml.settings import Settings
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.duplicate_runs import RUN_KEY_TAG
from cryptoml.tracking.journal.entries import Delivery, JournalEntry
from cryptoml.tracking.journal.process import IDLE_LIMIT_S
from cryptoml.tracking.moving import export
from cryptoml.tracking.moving.results import MovedRun
from cryptoml.tracking.moving.target_runs import MoveNotes, TargetRun, target_runs
from cryptoml.tracking.store.errors import masked, translate_store_errors
from cryptoml.tracking.tracker import project_journal

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.moving.source import Source, SourceFile
    from cryptoml.tracking.store.store import Store

STEP = "copy runs"
_MODEL_HISTORY_TAG = "mlflow.log-model.history"


class RunMover:
    """Copies runs. `mapping`: run id in the source -> in the target, for copied and existing runs.

    `there` counts runs that the target already had; `skipped` has a sentence for each skipped run;
    `without_artifacts` has the names of runs whose artifacts the source has lost. `error` is the first error that
    prevented a copy; an unavailable store ends the work.
    """

    def __init__(
        self, settings: Settings, source: Source, target: Store, work_dir: Path, on_event: events.OnEvent
    ) -> None:
        self.notes = MoveNotes(notes_path(settings), masked(settings.mlflow_uri()))
        self.mapping: dict[str, str] = {}
        self.there = 0
        self.skipped: list[str] = []
        self.without_artifacts: list[str] = []
        self.error: CryptomlError | None = None
        self._journal = project_journal(settings)
        self._source = source
        self._target = target
        self._folder = work_dir / "runs"
        self._on_event = on_event
        self._target_runs: dict[str, dict[str, TargetRun]] = {}
        self._keys: set[str] = set()

    def copy(
        self, runs: Sequence[tuple[str, Run]], *, with_model: Collection[str], dry_run: bool, now_ms: int
    ) -> Iterator[MovedRun]:
        """Copy runs, given as (experiment name, run), and yield each copy; `with_model`: ids of runs with a version."""
        for experiment, run in _parents_first(runs):
            try:
                done = self._copy_run(
                    experiment, run, has_model=run.info.run_id in with_model, dry=dry_run, now_ms=now_ms
                )
            except (UnavailableError, AccessError) as error:
                self.error = error
                return
            except UsageError:
                raise
            except CryptomlError as error:
                self.error = self.error or error
                self._on_event(events.Warned(f"{run.info.run_name} was not copied: {error.fact}"))
                continue
            self._on_event(events.StepAdvanced(STEP, run.info.run_name or run.info.run_id))
            if done is not None:
                yield done

    def _copy_run(self, experiment: str, run: Run, *, has_model: bool, dry: bool, now_ms: int) -> MovedRun | None:
        source_id = run.info.run_id
        key, existing = self._identify(experiment, run)
        if self._is_running(run, now_ms):
            return None
        finished = existing is not None and existing.ended and source_id not in self.notes.in_progress
        complete = existing is not None and (existing.deleted or (finished and not existing.without_artifacts))
        files = () if complete else self._files(run, has_model=has_model)
        if files is None:
            self._warn_lost_artifacts(run)
        if existing is not None and (complete or (finished and files is None)):
            self.mapping[source_id] = existing.run_id
            self.there += 1
            if not dry:
                self._inputs(run, existing.run_id, has_inputs=existing.has_inputs or existing.deleted)
                self.notes.finish(source_id)
            return None
        copy = export.RunCopy(run, key, experiment, self._parent(run), files)
        if dry:
            self.mapping[source_id] = existing.run_id if existing else ""
            points = len(self._source.metric_points(run))
            amount = export.Exported(points, len(files or ()), sum(file.size for file in files or ()))
            return _moved(copy, "", copy.name, amount)
        try:
            return self._deliver(copy, existing)
        finally:
            # Limit disk use to one run at a time.
            shutil.rmtree(self._folder, ignore_errors=True)

    def _deliver(self, copy: export.RunCopy, existing: TargetRun | None) -> MovedRun:
        source_id = copy.run.info.run_id
        entry = JournalEntry(self._folder / f"{source_id}.jsonl")
        amount = export.export(self._source, copy, entry)
        if existing is not None:
            entry.mark(Delivery(self._target.address, existing.run_id, run_name=existing.name))
        self.notes.begin(source_id)
        done = deliver(entry, self._target, on_event=self._on_event)
        self._complete(copy, done.run_id, done.run_name, existing)
        self.mapping[source_id] = done.run_id
        self.notes.finish(source_id)
        return _moved(copy, done.run_id, done.run_name, amount)

    def _identify(self, experiment: str, run: Run) -> tuple[str, TargetRun | None]:
        """Return the run's key and the run of the target with that key, if any."""
        if experiment not in self._target_runs:
            runs = target_runs(self._target, experiment)
            self._target_runs[experiment] = {target.key: target for target in reversed(runs) if target.key}
            if run.info.run_id in {target.run_id for target in runs}:
                raise UsageError(
                    f"{masked(self._source.address)}: is the current store; there is nothing to copy.",
                    hint="set MLFLOW_TRACKING_URI to the new store, or pass the old one with --from",
                )
        key = run.data.tags.get(RUN_KEY_TAG, run.info.run_id)
        existing = self._target_runs[experiment].get(key)
        other = existing is not None and existing.origin not in ("", export.origin(self._source, run))
        if key in self._keys or (other and not _same_run(existing, self._source, run)):
            # Another run has this key, as after a copy with another tool.
            key = run.info.run_id
            existing = self._target_runs[experiment].get(key)
        self._keys.add(key)
        return key, existing

    def _is_running(self, run: Run, now_ms: int) -> bool:
        """Return whether the run may still be written to; record it as skipped."""
        if run.info.status in export.ENDED:
            return False
        key = run.data.tags.get(RUN_KEY_TAG, "")
        local = [entry for entry in self._journal.entries() if entry.key == key] if key else []
        hint = "run this command again after it has ended"
        if local and not local[0].is_ready():
            self.skipped.append(f"{run.info.run_name} is still running; {hint}")
            return True
        idle_s = (now_ms - export.last_activity_ms(run, self._source.metric_points(run))) / 1000
        if not local and idle_s < IDLE_LIMIT_S:
            self.skipped.append(f"{run.info.run_name} has not ended and was active in the last 24 hours; {hint}")
            return True
        return False

    def _files(self, run: Run, *, has_model: bool) -> tuple[SourceFile, ...] | None:
        """Return the run's artifacts; None if there are none although the run must have had some."""
        files = self._source.files(run)
        tags = run.data.tags
        is_ours = RUN_KEY_TAG in tags and "model_type" in tags and run.info.status == "FINISHED"
        expected = has_model or is_ours or _MODEL_HISTORY_TAG in tags
        already_lost = export.WITHOUT_ARTIFACTS_TAG in tags
        return None if not files and (expected or already_lost) else files

    def _warn_lost_artifacts(self, run: Run) -> None:
        self.without_artifacts.append(run.info.run_name or run.info.run_id)
        self._on_event(
            events.Warned(f"{run.info.run_name}: no artifacts found at {run.info.artifact_uri} or beside the store.")
        )

    def _parent(self, run: Run) -> str | None:
        return self.mapping.get(run.data.tags.get(export.PARENT_TAG, ""))

    def _complete(self, copy: export.RunCopy, run_id: str, name: str, existing: TargetRun | None) -> None:
        """Copy what a journal does not contain: data set inputs, and tags that depend on the target."""
        self._inputs(copy.run, run_id, has_inputs=existing is not None and existing.has_inputs)
        with translate_store_errors(self._target.uri, f"deliver {copy.name}"):
            if name != copy.name:
                self._target.client.set_tag(run_id, export.MOVED_NAME_TAG, copy.name)
                self._on_event(
                    events.Info(f"{copy.name} was renamed to {name}: another run in the target has its name.")
                )
            if existing is not None and existing.without_artifacts and copy.files is not None:
                self._target.client.delete_tag(run_id, export.WITHOUT_ARTIFACTS_TAG)

    def _inputs(self, run: Run, run_id: str, *, has_inputs: bool) -> None:
        from mlflow.exceptions import MlflowException

        datasets = list(run.inputs.dataset_inputs) if run.inputs else []
        if not datasets or has_inputs:
            return
        with translate_store_errors(self._target.uri, f"deliver the inputs of {run.info.run_name}"):
            try:
                self._target.client.log_inputs(run_id, datasets)
            except MlflowException as error:
                if "unsupported endpoint" not in str(error) and error.get_http_status_code() != 404:
                    raise
                self._on_event(events.Warned(f"{run.info.run_name}: the target does not store data set inputs."))


def notes_path(settings: Settings) -> Path:
    """Return the path of the project's notes about copied runs."""
    return settings.project_dir / ".cryptoml" / "moving" / "notes.json"


def _same_run(existing: TargetRun | None, source: Source, run: Run) -> bool:
    """Return whether both origins have the same run id; a store can have several addresses."""
    ids = [path.rpartition("/")[2] for path in (existing.origin if existing else "", export.origin(source, run))]
    return ids[0] == ids[1]


def _moved(copy: export.RunCopy, run_id: str, name: str, amount: export.Exported) -> MovedRun:
    return MovedRun(
        source_run_id=copy.run.info.run_id,
        run_id=run_id,
        run_name=name,
        experiment=copy.experiment,
        status=export.end_status(copy.run),
        metrics=amount.metrics,
        artifacts=amount.files,
        size=amount.size,
    )


def _parents_first(runs: Sequence[tuple[str, Run]]) -> list[tuple[str, Run]]:
    """Return the runs in order, each after its parent if that is among them."""
    by_id: Mapping[str, Run] = {run.info.run_id: run for _, run in runs}

    def depth(run: Run) -> int:
        seen: set[str] = set()
        parent = run.data.tags.get(export.PARENT_TAG)
        while parent in by_id and parent not in seen:
            seen.add(parent)
            parent = by_id[parent].data.tags.get(export.PARENT_TAG)
        return len(seen)

    return sorted(runs, key=lambda item: depth(item[1]))
