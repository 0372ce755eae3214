"""The journal: every run is written here first, append-only, and delivered to the store from here.

One `.jsonl` a run under `journal/<training_id>/`, staged artifacts beside it; delivering is `deliver.py`.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from cryptoml.system.files import replacing, sync_folder, translate_os_errors
from cryptoml.tracking import run_names
from cryptoml.tracking.journal.entries import JournalEntry
from cryptoml.tracking.journal.process import current_process
from cryptoml.tracking.journal.records import SCHEMA, Status, encode, number_to_json

_CHUNK = 1 << 20


class Journal:
    """All journals of a project, under one folder (`.cryptoml/journal`)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open_run(
        self,
        *,
        training_id: str,
        experiment: str,
        run_name: str,
        tags: Mapping[str, object] | None = None,
        start_time_ms: int | None = None,
    ) -> JournalRun:
        """Begin a run; when this returns, it is on disk."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", training_id):
            raise ValueError(f"training id {training_id!r} cannot be a folder's name")
        key = uuid.uuid4().hex
        entry = JournalEntry(self.root / training_id / f"{key}.jsonl")
        with translate_os_errors(entry.path):
            entry.path.parent.mkdir(parents=True, exist_ok=True)
        run = JournalRun(entry, run_name)
        start = {
            "kind": "start",
            "schema": SCHEMA,
            "run_key": key,
            "training_id": training_id,
            "experiment": experiment,
            "run_name": run_name,
            "tags": {name: str(value) for name, value in (tags or {}).items()},
            "time_ms": _now_ms() if start_time_ms is None else start_time_ms,
            "process": current_process().to_dict(),
        }
        run._append(start, durable=True)
        with translate_os_errors(entry.path):
            sync_folder(entry.path.parent)
        return run

    def reserve_run_name(self, long_name: str, *, day: date | None = None, used: int = 0) -> str:
        """A run name that no other process was given; its number is above `used`. The date is UTC's."""
        day = day or _today()
        return run_names.run_name(long_name, day, self.reserve_run_number(day, long_name, used=used))

    def reserve_run_number(self, day: date, long_name: str, *, used: int = 0) -> int:
        """The next free run number of that model and day."""
        return run_names.reserve_run_number(self.root, day, long_name, used=used)

    def mark_stopped(self, pid: int, signal_number: int) -> None:
        """Note in the open runs of a process of this host that a signal ended it: they count as KILLED, not FAILED."""
        host = current_process().host
        for entry in self.entries():
            record = None if entry.is_delivered() else entry.read()[0]
            if record and record.status is None and (record.process.pid, record.process.host) == (pid, host):
                line = encode({"kind": "stop", "signal": signal_number, "time_ms": _now_ms()})
                with translate_os_errors(entry.path), entry.path.open("ab", buffering=0) as file:
                    # The line before may have been cut short.
                    file.write(b"\n" + line)

    def entries(self) -> tuple[JournalEntry, ...]:
        """Every run's journal, delivered or not, oldest first."""
        found = [(path.stat().st_mtime, path) for path in self.root.glob("*/*.jsonl")]
        return tuple(JournalEntry(path) for _, path in sorted(found))

    def pending(self) -> tuple[JournalEntry, ...]:
        """Runs with something to deliver, oldest first; those of a living process only once they have ended."""
        return tuple(entry for entry in self.entries() if not entry.is_delivered() and entry.is_ready())

    def orphaned(self) -> tuple[JournalEntry, ...]:
        """Runs with something to deliver whose process is gone, oldest first."""
        return tuple(entry for entry in self.entries() if not entry.is_delivered() and entry.is_orphaned())


class JournalRun:
    """A run being written. Every call is one line; `open_run`, artifacts and `end` wait for the disk.

    Raises AccessError or UnavailableError when the disk does not take it.
    """

    def __init__(self, entry: JournalEntry, run_name: str) -> None:
        self.entry = entry
        self.key = entry.key
        self.run_name = run_name
        self.status: Status | None = None
        self._params: dict[str, str] = {}
        self._guard = threading.Lock()
        self._torn = False

    def log_params(self, params: Mapping[str, object]) -> None:
        """Note parameters; one that has a value already cannot get another (ValueError)."""
        texts = {key: str(value) for key, value in params.items()}
        for key, text in texts.items():
            if self._params.get(key, text) != text:
                raise ValueError(f"parameter {key} is {self._params[key]} already and cannot become {text}")
        self._params.update(texts)
        self._append({"kind": "params", "params": texts})

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0, timestamp_ms: int | None = None) -> None:
        """Note metrics at one step; NaN and infinities are kept as such."""
        now = _now_ms() if timestamp_ms is None else timestamp_ms
        points = [[key, number_to_json(float(value)), step, now] for key, value in metrics.items()]
        self._append({"kind": "metrics", "metrics": points})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Note tags; the last value counts."""
        self._append({"kind": "tags", "tags": {key: str(value) for key, value in tags.items()}})

    def add_artifact(self, local: Path, artifact_dir: str = "") -> None:
        """Copy a file beside the journal, to be stored as `artifact_dir`/<its name> in the run."""
        folder = PurePosixPath(artifact_dir)
        if folder.is_absolute() or ".." in folder.parts:
            raise ValueError(f"{artifact_dir!r} is not a folder inside a run")
        path = str(folder / local.name)
        target = self.entry.staging / path
        with translate_os_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            sha256, size = _copy(local, target, part=self.entry.path.with_suffix(".part"))
        self._append({"kind": "artifact", "path": path, "sha256": sha256, "size": size})

    def add_artifact_folder(self, local: Path, artifact_dir: str = "") -> None:
        """Copy every file below `local`; its tree stands below `artifact_dir` in the run."""
        for path in sorted(local.rglob("*")):
            if path.is_file():
                below = PurePosixPath(path.relative_to(local).as_posix()).parent
                self.add_artifact(path, str(PurePosixPath(artifact_dir) / below))

    def request_registration(
        self,
        model_name: str,
        *,
        description: str = "",
        tags: Mapping[str, object] | None = None,
        model_path: str = "models/model",
    ) -> None:
        """Note that the run's model is to become a version of `model_name` when the run is delivered."""
        self._append(
            {
                "kind": "registration",
                "model_name": model_name,
                "model_path": model_path,
                "description": description,
                "tags": {key: str(value) for key, value in (tags or {}).items()},
            },
            durable=True,
        )

    def end(self, status: Status, *, end_time_ms: int | None = None) -> None:
        """End the run; a second call changes nothing. Tags and registrations may still follow."""
        if self.status is None:
            self.status = status
            now = _now_ms() if end_time_ms is None else end_time_ms
            self._append({"kind": "end", "status": status, "time_ms": now}, durable=True)

    def _append(self, record: Mapping[str, Any], *, durable: bool = False) -> None:
        line = encode(record)
        with self._guard, translate_os_errors(self.entry.path):
            if self._torn:
                # What a failed write left behind must not swallow this line.
                line = b"\n" + line
            self._torn = True
            with self.entry.path.open("ab", buffering=0) as file:
                written = file.write(line)
                while written < len(line):
                    written += file.write(line[written:])
                self._torn = False
                if durable:
                    os.fsync(file.fileno())


def _copy(source: Path, target: Path, *, part: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as reader, replacing(target, part=part), part.open("wb") as writer:
        while block := reader.read(_CHUNK):
            digest.update(block)
            size += len(block)
            writer.write(block)
    return digest.hexdigest(), size


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _today() -> date:
    from datetime import UTC, datetime

    return datetime.now(UTC).date()
