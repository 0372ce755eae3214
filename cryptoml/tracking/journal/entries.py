"""One run's journal on disk: reading it, and the mark of how far it has been delivered."""

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
    """How far a run has been delivered: to which store, as which run, up to which byte of its journal.

    `run_id` is None and `size` is -1 while a first attempt has not come to its end.
    """

    store: str
    run_id: str | None = None
    size: int = -1
    versions: tuple[tuple[str, str], ...] = ()
    run_name: str | None = None


@dataclass(frozen=True)
class JournalEntry:
    """One run's journal on disk: the file, its staged artifacts, its delivery mark and its lock."""

    path: Path

    @property
    def key(self) -> str:
        """The run key: the file's name without its ending."""
        return self.path.stem

    @property
    def staging(self) -> Path:
        """The folder of staged artifacts, laid out as in the run."""
        return self.path.with_suffix(".files")

    @property
    def lock(self) -> Path:
        """The lock that a deliverer holds."""
        return self.path.with_suffix(".lock")

    def read(self) -> tuple[RunRecord | None, int]:
        """What is whole in the journal (None without a start record), and how many bytes were read."""
        with translate_os_errors(self.path):
            data = self.path.read_bytes()
        records, damaged = decode(data)
        return fold(records, damaged), len(data)

    def metrics_from(self, offset: int) -> tuple[MetricPoint, ...]:
        """The metrics noted after the first `offset` bytes."""
        with translate_os_errors(self.path):
            records, _ = decode(self.path.read_bytes()[offset:])
        return metrics_of(records)

    def artifacts_before(self, offset: int) -> frozenset[StagedArtifact]:
        """The artifacts recorded in the first `offset` bytes."""
        with translate_os_errors(self.path):
            records, _ = decode(self.path.read_bytes()[:offset])
        return artifacts_of(records)

    def delivery(self) -> Delivery | None:
        """The delivery mark; None when nothing was attempted or the mark is damaged."""
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
            # An unreadable mark must not hide that the run may be in the store already.
            return Delivery(store="")

    def mark(self, delivery: Delivery) -> None:
        """Write the delivery mark, atomically; the caller holds `lock`."""
        with translate_os_errors(self._mark):
            # A process that was killed while it wrote the mark left its temporary file.
            for part in temporary_files(self._mark):
                part.unlink(missing_ok=True)
            write_atomically(self._mark, json.dumps(vars(delivery)) + "\n")

    def is_delivered(self) -> bool:
        """Whether all that the journal holds has been delivered."""
        found = self.delivery()
        return found is not None and found.run_id is not None and found.size >= self.path.stat().st_size

    def idle_s(self) -> float:
        """Seconds since the journal last grew."""
        return max(0.0, time.time() - self.path.stat().st_mtime)

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".delivered.json")

    def is_orphaned(self) -> bool:
        """Whether the run's process is gone, so that nobody else will deliver it."""
        record, _ = self.read()
        return record is not None and has_exited(record.process, idle_s=self.idle_s())

    def is_ready(self) -> bool:
        """Whether the run has ended, or will never end because its process is gone."""
        record, _ = self.read()
        if record is None:
            return False
        return record.status is not None or has_exited(record.process, idle_s=self.idle_s())
