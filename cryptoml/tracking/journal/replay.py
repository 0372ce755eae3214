"""Writing what a journal holds into a run of the store: parameters, metrics, tags, artifacts, the end.

Each part first looks at what is there, so that going on after a break doubles nothing on any store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.errors import UnavailableError
from cryptoml.tracking.journal.artifact_delivery import file_sha256, store_artifacts
from cryptoml.tracking.journal.entries import JournalEntry
from cryptoml.tracking.journal.records import MetricPoint, RunRecord, StagedArtifact
from cryptoml.tracking.store import limits
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.unclear_answers import once, repeat

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.store.store import Store

NOT_FINITE_TAG = "not_finite_metrics"
LARGEST_FLOAT = 1.7976931348623157e308


@dataclass(frozen=True)
class Replay:
    """One run's record on its way into one store."""

    entry: JournalEntry
    store: Store
    record: RunRecord
    on_event: events.OnEvent

    def write(self, run: Run, status: str, *, settled: int | None) -> None:
        """Bring `run` to what the journal says and to `status` (RUNNING leaves it open).

        `settled` is None for a run made just now, -1 when anything may be there already, else the number of
        bytes of the journal whose metrics are known to be there.
        """
        tags = dict(self.record.tags)
        if self.record.status is None and status != "RUNNING":
            tags["status"] = status.lower()
        self._params(run)
        self._metrics(run, tags, settled)
        self._tags(run, tags)
        self._artifacts(run, resumed=settled is not None)
        ended_ms = self.record.end_time_ms
        if ended_ms is None:
            ended_ms = int(self.entry.path.stat().st_mtime * 1000)
        if status != "RUNNING" and (run.info.status, run.info.end_time) != (status, ended_ms):
            repeat(self.store, lambda: self.store.client.set_terminated(run.info.run_id, status, ended_ms))
        if self.store.is_remote:
            self._confirm(run.info.run_id, status, tags)

    def _params(self, run: Run) -> None:
        from mlflow.entities import Param

        there: Mapping[str, str] = run.data.params
        wanted = limits.fit(self.record.params, length=limits.PARAM_LENGTH, what="parameter", tell=self._warn)
        for key, text in wanted.items():
            if there.get(key, text) != text:
                self._warn(f"the store has {there[key]!r} for the parameter {key}, the journal {text!r}.")
        new = [(key, text) for key, text in wanted.items() if key not in there]
        for part in limits.chunks(new, most=limits.PARAMS_A_REQUEST, size=limits.pair_size):
            params = [Param(key, text) for key, text in part]
            repeat(self.store, partial(self.store.client.log_batch, run.info.run_id, params=params))

    def _tags(self, run: Run, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        wanted = limits.fit(tags, length=limits.TAG_LENGTH, what="tag", tell=self._warn)
        new = [(key, text) for key, text in wanted.items() if run.data.tags.get(key) != text]
        for part in limits.chunks(new, most=limits.PARAMS_A_REQUEST, size=limits.pair_size):
            run_tags = [RunTag(key, text) for key, text in part]
            repeat(self.store, partial(self.store.client.log_batch, run.info.run_id, tags=run_tags))

    def _metrics(self, run: Run, tags: dict[str, str], settled: int | None) -> None:
        """NaN goes as NaN; an infinity, which a store would turn into a huge number, goes into a tag."""
        resumed = settled is not None and settled >= 0
        points = [
            replace(point, key=limits.cut_key(point.key, what="metric", tell=self._warn))
            for point in (self.entry.metrics_from(settled or 0) if resumed else self.record.metrics)
        ]
        if settled == -1:
            there = self._stored(run, {point.key for point in points})
            points = [point for point in points if _identity(point) not in there]
        refused = [point for point in points if math.isinf(point.value)]
        sent = [point for point in points if not math.isinf(point.value)]
        for part in limits.chunks(sent, most=limits.METRICS_A_REQUEST, size=_size):
            refused += self._send(run.info.run_id, part)
        if refused:
            text = ", ".join(f"{point.key}={point.value} (step {point.step})" for point in refused)
            tags[NOT_FINITE_TAG] = text[: limits.TAG_LENGTH]
            self._warn(f"not stored as metrics, as they are no numbers: {text[:200]}.")

    def _send(self, run_id: str, points: Sequence[MetricPoint]) -> list[MetricPoint]:
        """Log the points; returns those that the server refuses for being NaN.

        Some stores keep a point twice that is sent twice, so after a lost answer only what is not there is sent.
        """
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        def send(chosen: Sequence[MetricPoint]) -> None:
            left = list(chosen)

            def log() -> bool:
                metrics = [Metric(one.key, one.value, one.timestamp_ms, one.step) for one in left]
                self.store.client.log_batch(run_id, metrics=metrics)
                return True

            def all_there() -> bool | None:
                there = self._stored(self.store.client.get_run(run_id), {one.key for one in left})
                left[:] = [one for one in left if _identity(one) not in there]
                return None if left else True

            once(self.store, log, all_there)

        numbers = [point for point in points if not math.isnan(point.value)]
        try:
            send(points)
        except MlflowException as error:
            refusal = error.error_code in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
            if not refusal or len(numbers) == len(points):
                raise
            if numbers:
                send(numbers)
            return [point for point in points if math.isnan(point.value)]
        return []

    def _stored(self, run: Run, keys: set[str]) -> set[tuple[Any, ...]]:
        return {
            _identity(MetricPoint(key, one.value, one.step, one.timestamp))
            for key in sorted(keys & set(run.data.metrics))
            for one in self.store.client.get_metric_history(run.info.run_id, key)
        }

    def _artifacts(self, run: Run, *, resumed: bool) -> None:
        """Store every staged file. One without a record in the journal counts by what it is on disk."""
        staging = self.entry.staging
        recorded = {one.path: one for one in self.record.artifacts}
        staged: list[StagedArtifact] = []
        for path in sorted(one for one in staging.rglob("*") if one.is_file()):
            name = path.relative_to(staging).as_posix()
            found = StagedArtifact(name, file_sha256(path), path.stat().st_size)
            if recorded.get(name, found) == found:
                staged.append(found)
            else:
                self._warn(f"the staged artifact {name} is damaged and stays out.")
                path.unlink()
        store_artifacts(self.store, run, staging, staged, resumed=resumed)

    def _confirm(self, run_id: str, status: str, tags: Mapping[str, str]) -> None:
        """Check that the run has what was sent: an empty answer with status 200 counts as success in mlflow."""
        run = self.store.client.get_run(run_id)
        keys = {
            "parameters": {key[: limits.KEY_LENGTH] for key in self.record.params} - set(run.data.params),
            "tags": {key[: limits.KEY_LENGTH] for key in tags} - set(run.data.tags),
            "metrics": {point.key[: limits.KEY_LENGTH] for point in self.record.metrics if math.isfinite(point.value)}
            - set(run.data.metrics),
        }
        lacking = [f"{len(missing)} {what}" for what, missing in keys.items() if missing]
        if run.info.run_id != run_id or status not in (run.info.status, "RUNNING"):
            lacking.append(f"the status {status}")
        if lacking:
            raise UnavailableError(
                f"{masked(self.store.uri)}: {self.record.run_name} was written, but the store does not show all of "
                f"it: {', '.join(lacking)} missing.",
                hint="try again later: cryptoml sync",
            )

    def _warn(self, sentence: str) -> None:
        self.on_event(events.Warned(f"{self.record.run_name}: {sentence}"))


def _size(point: MetricPoint) -> int:
    return limits.pair_size((point.key, "")) + 110


def _identity(point: MetricPoint) -> tuple[Any, ...]:
    value = "nan" if math.isnan(point.value) else max(-LARGEST_FLOAT, min(LARGEST_FLOAT, point.value))
    return point.key, value, point.step, point.timestamp_ms
