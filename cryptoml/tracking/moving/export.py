"""Export a run of another store to a journal, so that it is delivered like any other run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoml.system.files import translate_os_errors, write_atomically
from cryptoml.tracking.journal.artifact_delivery import file_sha256
from cryptoml.tracking.journal.duplicate_runs import RUN_KEY_TAG
from cryptoml.tracking.journal.entries import JournalEntry
from cryptoml.tracking.journal.process import current_process
from cryptoml.tracking.journal.records import SCHEMA, encode, number_to_json
from cryptoml.tracking.moving.source import Source, SourceFile

if TYPE_CHECKING:
    from mlflow.entities import Run

MOVED_FROM_TAG = "cryptoml.moved_from"
WITHOUT_ARTIFACTS_TAG = "cryptoml.moved_without_artifacts"
MOVED_NAME_TAG = "cryptoml.moved_name"
PARENT_TAG = "mlflow.parentRunId"
ENDED = ("FINISHED", "FAILED", "KILLED")
METRICS_PER_LINE = 1000
# The name is set when the run is created; the target may have to use another one.
_NOT_COPIED = ("mlflow.runName", WITHOUT_ARTIFACTS_TAG)


@dataclass(frozen=True)
class Exported:
    """Counts of an exported run: metric values, files, and the total size of the files in bytes."""

    metrics: int
    files: int
    size: int


@dataclass(frozen=True)
class RunCopy:
    """A run to copy. key: its run key, the same in every store; parent_id: its parent's id in the target.

    files: None if the source has lost the run's artifacts.
    """

    run: Run
    key: str
    experiment: str
    parent_id: str | None
    files: tuple[SourceFile, ...] | None

    @property
    def name(self) -> str:
        """The run's name in the source."""
        name: str = self.run.info.run_name or self.run.info.run_id
        return name


def origin(source: Source, run: Run) -> str:
    """Return the value of MOVED_FROM_TAG: the first store that the run was copied from, and its id there."""
    return str(run.data.tags.get(MOVED_FROM_TAG) or f"{source.fingerprint}/{run.info.run_id}")


def export(source: Source, copy: RunCopy, entry: JournalEntry) -> Exported:
    """Write the journal of a run and its staged artifacts; the journal file is complete once it exists."""
    points = source.metric_points(copy.run)
    files = copy.files or ()
    with translate_os_errors(entry.path):
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        if files:
            source.fetch(copy.run, files, entry.staging)
        lines = [encode(record).decode("ascii") for record in _records(source, copy, points)]
        lines += [encode(_artifact(entry, file)).decode("ascii") for file in files]
        lines.append(encode(_end(copy.run, points)).decode("ascii"))
        write_atomically(entry.path, "".join(lines))
    return Exported(len(points), len(files), sum(file.size for file in files))


def last_activity_ms(run: Run, points: Sequence[tuple[str, float, int, int]]) -> int:
    """Return the latest known time of a run, Unix time in milliseconds: its end, else its latest metric or start."""
    return int(run.info.end_time or max([run.info.start_time or 0, *(ms for _, _, _, ms in points)]))


def end_status(run: Run) -> str:
    """Return the status in the target; a run without an end was interrupted and becomes FAILED."""
    status: str = run.info.status
    return status if status in ENDED else "FAILED"


def _records(source: Source, copy: RunCopy, points: Sequence[tuple[str, float, int, int]]) -> Iterator[dict[str, Any]]:
    run = copy.run
    yield {
        "kind": "start",
        "schema": SCHEMA,
        "run_key": copy.key,
        "training_id": run.data.tags.get("training_id", "moved"),
        "experiment": copy.experiment,
        "run_name": copy.name,
        "tags": _tags(source, copy),
        "time_ms": run.info.start_time or last_activity_ms(run, points),
        "process": current_process().to_dict(),
    }
    yield {"kind": "params", "params": dict(run.data.params)}
    for first in range(0, len(points), METRICS_PER_LINE):
        part = points[first : first + METRICS_PER_LINE]
        yield {"kind": "metrics", "metrics": [[key, number_to_json(value), step, ms] for key, value, step, ms in part]}


def _tags(source: Source, copy: RunCopy) -> Mapping[str, str]:
    run = copy.run
    tags = {key: text for key, text in run.data.tags.items() if key not in _NOT_COPIED}
    tags |= {RUN_KEY_TAG: copy.key, MOVED_FROM_TAG: origin(source, run)}
    if copy.parent_id is not None:
        tags[PARENT_TAG] = copy.parent_id
    if copy.files is None:
        tags[WITHOUT_ARTIFACTS_TAG] = "true"
    if run.info.status not in ENDED and "status" in tags:
        tags["status"] = end_status(run).lower()
    return tags


def _artifact(entry: JournalEntry, file: SourceFile) -> dict[str, Any]:
    return {
        "kind": "artifact", "path": file.path, "sha256": file_sha256(entry.staging / file.path), "size": file.size
    }  # fmt: skip


def _end(run: Run, points: Sequence[tuple[str, float, int, int]]) -> dict[str, Any]:
    return {"kind": "end", "status": end_status(run), "time_ms": last_activity_ms(run, points)}
