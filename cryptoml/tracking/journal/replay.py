"""Write the contents of a journal to a run of the store: parameters, metrics, tags, artifacts and the end.

Each part first checks what the store has, so that resuming after an interruption creates no duplicates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.errors import UnavailableError
from cryptoml.tracking.journal.artifact_delivery import file_sha256, store_artifacts
from cryptoml.tracking.journal.duplicate_runs import runs_of_key
from cryptoml.tracking.journal.entries import JournalEntry
from cryptoml.tracking.journal.records import MetricPoint, RunRecord, StagedArtifact
from cryptoml.tracking.store import limits
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.limits import Batch
from cryptoml.tracking.store.lost_responses import send_once, send_until_clear

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.store.store import Store

NOT_FINITE_TAG = "not_finite_metrics"
LARGEST_FLOAT = 1.7976931348623157e308


@dataclass(frozen=True)
class Replay:
    """Writes the record of one run to a store."""

    entry: JournalEntry
    store: Store
    record: RunRecord
    on_event: events.OnEvent

    def write(self, run: Run, status: str, *, settled: int | None) -> Sequence[Run]:
        """Update `run` to the contents of the journal and set its status; RUNNING leaves the run open.

        settled: None for a new run, -1 if the contents of the run are unknown, else the number of journal bytes whose
        metrics and artifacts are already in the store. Return the runs with this run key on the server, including
        `run`; empty for a store without a server.
        """
        tags = dict(self.record.tags)
        if self.record.status is None and status != "RUNNING":
            tags["status"] = status.lower()
        self._values(run, tags, settled)
        self._artifacts(run, settled)
        ended_ms = self.record.end_time_ms
        if ended_ms is None:
            ended_ms = int(self.entry.path.stat().st_mtime * 1000)
        if status != "RUNNING" and (run.info.status, run.info.end_time) != (status, ended_ms):
            send_until_clear(self.store, lambda: self.store.client.set_terminated(run.info.run_id, status, ended_ms))
        if not self.store.is_remote:
            return ()
        runs = runs_of_key(self.store, run.info.experiment_id, self.record.run_key)
        self._confirm([one for one in runs if one.info.run_id == run.info.run_id], status, tags)
        return runs

    def _values(self, run: Run, tags: dict[str, str], settled: int | None) -> None:
        """Send parameters, metrics and tags together.

        NaN goes as NaN where the server takes it; an infinity, which a store would turn into a huge number, goes into
        a tag, which is added to `tags`.
        """
        points = self._points(run, settled)
        refused = [point for point in points if math.isinf(point.value)]
        if refused:
            tags[NOT_FINITE_TAG] = _listed(refused)
        finite = [point for point in points if not math.isinf(point.value)]
        for batch in limits.batches(self._params(run), finite, self._tags(run, tags), metric_size=_size):
            nan = self._send(run.info.run_id, batch)
            if nan:
                refused += nan
                tags[NOT_FINITE_TAG] = _listed(refused)
                self._send(run.info.run_id, Batch(tags={NOT_FINITE_TAG: tags[NOT_FINITE_TAG]}))
        if refused:
            self._warn(f"not stored as metrics because they are not numbers: {_listed(refused)[:200]}.")

    def _params(self, run: Run) -> dict[str, str]:
        """The parameters that the run does not have yet."""
        there: Mapping[str, str] = run.data.params
        wanted = limits.fit(self.record.params, length=limits.PARAM_LENGTH, what="parameter", tell=self._warn)
        for key, text in wanted.items():
            if there.get(key, text) != text:
                self._warn(f"the store has {there[key]!r} for the parameter {key}, the journal {text!r}.")
        return {key: text for key, text in wanted.items() if key not in there}

    def _tags(self, run: Run, tags: Mapping[str, str]) -> dict[str, str]:
        """The tags that the run does not have yet, or with another value."""
        wanted = limits.fit(tags, length=limits.TAG_LENGTH, what="tag", tell=self._warn)
        return {key: text for key, text in wanted.items() if run.data.tags.get(key) != text}

    def _points(self, run: Run, settled: int | None) -> list[MetricPoint]:
        """The metric values that the run does not have yet."""
        resumed = settled is not None and settled >= 0
        points = [
            replace(point, key=limits.cut_key(point.key, what="metric", tell=self._warn))
            for point in (self.entry.metrics_from(settled or 0) if resumed else self.record.metrics)
        ]
        if settled == -1:
            there = self._stored(run, {point.key for point in points})
            points = [point for point in points if _identity(point) not in there]
        return points

    def _send(self, run_id: str, batch: Batch[MetricPoint]) -> list[MetricPoint]:
        """Log a batch; returns those of its metrics that the server refuses for being NaN."""
        from mlflow.exceptions import MlflowException

        if not batch.metrics:
            send_until_clear(self.store, lambda: self._log(run_id, batch))
            return []
        numbers = [point for point in batch.metrics if not math.isnan(point.value)]
        try:
            self._log_once(run_id, batch)
        except MlflowException as error:
            refusal = error.error_code in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
            if not refusal or len(numbers) == len(batch.metrics):
                raise
            self._send(run_id, replace(batch, metrics=numbers))
            return [point for point in batch.metrics if math.isnan(point.value)]
        return []

    def _log(self, run_id: str, batch: Batch[MetricPoint]) -> bool:
        from mlflow.entities import Metric, Param, RunTag

        self.store.client.log_batch(
            run_id,
            metrics=[Metric(one.key, one.value, one.timestamp_ms, one.step) for one in batch.metrics],
            params=[Param(key, text) for key, text in batch.params.items()],
            tags=[RunTag(key, text) for key, text in batch.tags.items()],
        )
        return True

    def _log_once(self, run_id: str, batch: Batch[MetricPoint]) -> None:
        """Log a batch with metrics. Some stores keep a point twice that is sent twice, so after a lost answer only
        what is missing is sent."""
        left = batch

        def all_there() -> bool | None:
            nonlocal left
            run = self.store.client.get_run(run_id)
            there = self._stored(run, {one.key for one in left.metrics})
            left = Batch(
                params={key: text for key, text in left.params.items() if key not in run.data.params},
                metrics=[one for one in left.metrics if _identity(one) not in there],
                tags=self._tags(run, left.tags),
            )
            return None if len(left) else True

        send_once(self.store, lambda: self._log(run_id, left), all_there)

    def _stored(self, run: Run, keys: set[str]) -> set[tuple[Any, ...]]:
        return {
            _identity(MetricPoint(key, one.value, one.step, one.timestamp))
            for key in sorted(keys & set(run.data.metrics))
            for one in self.store.client.get_metric_history(run.info.run_id, key)
        }

    def _artifacts(self, run: Run, settled: int | None) -> None:
        """Store every staged file that is not known to be there.

        A file without a record in the journal counts by what it is on disk.
        """
        staging = self.entry.staging
        stored = self.entry.artifacts_before(settled) if settled is not None and settled >= 0 else frozenset()
        recorded = {one.path: one for one in self.record.artifacts}
        staged: list[StagedArtifact] = []
        for path in sorted(one for one in staging.rglob("*") if one.is_file()):
            name = path.relative_to(staging).as_posix()
            found = StagedArtifact(name, file_sha256(path), path.stat().st_size)
            if found in stored:
                continue
            if recorded.get(name, found) == found:
                staged.append(found)
            else:
                self._warn(f"the staged artifact {name} is damaged and stays out.")
                path.unlink()
        store_artifacts(self.store, run, staging, staged, resumed=settled is not None)

    def _confirm(self, found: Sequence[Run], status: str, tags: Mapping[str, str]) -> None:
        """Check that the run has what was sent: an empty answer with status 200 counts as success in mlflow.

        `found` is the run as the server now has it, or nothing.
        """
        if not found:
            raise self._unconfirmed("the run")
        (run,) = found
        keys = {
            "parameters": {key[: limits.KEY_LENGTH] for key in self.record.params} - set(run.data.params),
            "tags": {key[: limits.KEY_LENGTH] for key in tags} - set(run.data.tags),
            "metrics": {point.key[: limits.KEY_LENGTH] for point in self.record.metrics if math.isfinite(point.value)}
            - set(run.data.metrics),
        }
        lacking = [f"{len(missing)} {what}" for what, missing in keys.items() if missing]
        if status not in (run.info.status, "RUNNING"):
            lacking.append(f"the status {status}")
        if lacking:
            raise self._unconfirmed(", ".join(lacking))

    def _unconfirmed(self, missing: str) -> UnavailableError:
        return UnavailableError(
            f"{masked(self.store.uri)}: {self.record.run_name} was written, but the store does not show all of "
            f"it: {missing} missing.",
            hint="try again later: cryptoml sync",
        )

    def _warn(self, sentence: str) -> None:
        self.on_event(events.Warned(f"{self.record.run_name}: {sentence}"))


def _listed(points: Sequence[MetricPoint]) -> str:
    return ", ".join(f"{one.key}={one.value} (step {one.step})" for one in points)[: limits.TAG_LENGTH]


def _size(point: MetricPoint) -> int:
    return limits.pair_size((point.key, "")) + 110


def _identity(point: MetricPoint) -> tuple[Any, ...]:
    value = "nan" if math.isnan(point.value) else max(-LARGEST_FLOAT, min(LARGEST_FLOAT, point.value))
    return point.key, value, point.step, point.timestamp_ms
