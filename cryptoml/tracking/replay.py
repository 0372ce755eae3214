"""Writing what a journal holds into a run of the store: parameters, metrics, tags, artifacts, the end.

Each part first looks at what is there, so that going on after a break doubles nothing on any store.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.tracking import limits
from cryptoml.tracking.entries import JournalEntry
from cryptoml.tracking.files import in_words
from cryptoml.tracking.records import MetricPoint, RunRecord

if TYPE_CHECKING:
    from mlflow.entities import Run

    from cryptoml.tracking.store import Store

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
        self._artifacts(run)
        ended_ms = self.record.end_time_ms
        if ended_ms is None:
            ended_ms = int(self.entry.path.stat().st_mtime * 1000)
        if status != "RUNNING" and (run.info.status, run.info.end_time) != (status, ended_ms):
            self.store.client.set_terminated(run.info.run_id, status, ended_ms)

    def _params(self, run: Run) -> None:
        from mlflow.entities import Param

        there: Mapping[str, str] = run.data.params
        wanted = limits.fit(self.record.params, length=limits.PARAM_LENGTH, what="parameter", tell=self._warn)
        for key, text in wanted.items():
            if there.get(key, text) != text:
                self._warn(f"the store has {there[key]!r} for the parameter {key}, the journal {text!r}.")
        new = [(key, text) for key, text in wanted.items() if key not in there]
        for part in limits.chunks(new, most=limits.PARAMS_A_REQUEST, size=limits.pair_size):
            self.store.client.log_batch(run.info.run_id, params=[Param(key, text) for key, text in part])

    def _tags(self, run: Run, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        wanted = limits.fit(tags, length=limits.TAG_LENGTH, what="tag", tell=self._warn)
        new = [(key, text) for key, text in wanted.items() if run.data.tags.get(key) != text]
        for part in limits.chunks(new, most=limits.PARAMS_A_REQUEST, size=limits.pair_size):
            self.store.client.log_batch(run.info.run_id, tags=[RunTag(key, text) for key, text in part])

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
        """Log the points; returns those that the server refuses for being NaN."""
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        def send(chosen: Sequence[MetricPoint]) -> None:
            metrics = [Metric(one.key, one.value, one.timestamp_ms, one.step) for one in chosen]
            self.store.client.log_batch(run_id, metrics=metrics)

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

    def _artifacts(self, run: Run) -> None:
        staging = self.entry.staging
        if not self.record.artifacts or not staging.is_dir():
            return
        for artifact in self.record.artifacts:
            path = staging / artifact.path
            # A file that is gone was delivered before; one that changed is not what was recorded.
            if path.exists() and (path.stat().st_size != artifact.size or _sha256(path) != artifact.sha256):
                self._warn(f"the staged artifact {artifact.path} is damaged and stays out.")
                path.unlink()
        self.store.upload_folder(run.info.run_id, staging)

    def _warn(self, sentence: str) -> None:
        self.on_event(events.Warned(f"{self.record.run_name}: {sentence}"))


def _size(point: MetricPoint) -> int:
    return limits.pair_size((point.key, "")) + 110


def _identity(point: MetricPoint) -> tuple[Any, ...]:
    value = "nan" if math.isnan(point.value) else max(-LARGEST_FLOAT, min(LARGEST_FLOAT, point.value))
    return point.key, value, point.step, point.timestamp_ms


def _sha256(path: Path) -> str:
    with in_words(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
