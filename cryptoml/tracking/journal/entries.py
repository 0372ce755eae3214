"""A run's journal on disk: read it, and track how far it has been delivered."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from cryptoml.system.files import temporary_files, translate_os_errors, write_atomically
from cryptoml.tracking.journal.process import has_exited
from cryptoml.tracking.journal.records import (
    MetricPoint,
    RunRecord,
    StagedArtifact,
    artifacts_of,
    decode,
    fold,
    metrics_of,
)


@dataclass(frozen=True)
class Delivery:
    """Delivery state of a run: the store, the run id there, and the number of journal bytes delivered (`size`).

    `run_id` is None and `size` is -1 until the first delivery has completed.
    """

    store: str
    run_id: str | None = None
    size: int = -1
    versions: tuple[tuple[str, str], ...] = ()
    run_name: str | None = None


@dataclass(frozen=True)
class JournalEntry:
    """A run's journal on disk: the file, its staged artifacts, its delivery state and its lock."""

    path: Path

    @property
    def key(self) -> str:
        """The run key: the file name without its suffix."""
        return self.path.stem

    @property
    def staging(self) -> Path:
        """The folder of staged artifacts, with the paths that they have in the run."""
        return self.path.with_suffix(".files")

    @property
    def lock(self) -> Path:
        """The lock file held during delivery."""
        return self.path.with_suffix(".lock")

    def read(self) -> tuple[RunRecord | None, int]:
        """Return the run (None without a start record) and the number of bytes read."""
        with translate_os_errors(self.path):
            data = self.path.read_bytes()
        records, damaged = decode(data)
        return fold(records, damaged), len(data)

    def metrics_from(self, offset: int) -> tuple[MetricPoint, ...]:
        """Return the metric values recorded after the first `offset` bytes."""
        with translate_os_errors(self.path):
            records, _ = decode(self.path.read_bytes()[offset:])
        return metrics_of(records)

    def artifacts_before(self, offset: int) -> frozenset[StagedArtifact]:
        """Return the artifacts recorded in the first `offset` bytes."""
        with translate_os_errors(self.path):
            records, _ = decode(self.path.read_bytes()[:offset])
        return artifacts_of(records)

    def delivery(self) -> Delivery | None:
        """Return the delivery state; None before the first attempt. A damaged file gives a state without a store."""
        try:
            document = json.loads(self._mark.read_text(encoding="utf-8"))
            return Delivery(
                store=document["store"],
                run_id=document["run_id"],
                size=document["size"],
                versions=tuple((name, version) for name, version in document["versions"]),
                run_name=document.get("run_name"),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            # If the file is unreadable, the run may already be in the store.
            return Delivery(store="")

    def mark(self, delivery: Delivery) -> None:
        """Write the delivery state atomically; the caller must hold `lock`."""
        with translate_os_errors(self._mark):
            # A killed process may have left its temporary file.
            for part in temporary_files(self._mark):
                part.unlink(missing_ok=True)
            write_atomically(self._mark, json.dumps(vars(delivery)) + "\n")

    def is_delivered(self) -> bool:
        """Return whether the whole journal has been delivered."""
        delivery = self.delivery()
        return delivery is not None and delivery.run_id is not None and delivery.size >= self.path.stat().st_size

    def idle_s(self) -> float:
        """Return the seconds since the last write to the journal."""
        return max(0.0, time.time() - self.path.stat().st_mtime)

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".delivered.json")

    def is_orphaned(self) -> bool:
        """Return whether the run's process has exited, so that no other process will deliver the run."""
        record, _ = self.read()
        return record is not None and has_exited(record.process, idle_s=self.idle_s())

    def is_ready(self) -> bool:
        """Return whether the run has ended or its process has exited."""
        record, _ = self.read()
        if record is None:
            return False
        return record.status is not None or has_exited(record.process, idle_s=self.idle_s())
