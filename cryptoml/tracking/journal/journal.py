"""The journal: an append-only file per run, written before anything is sent to the store.

Each run has a `.jsonl` under `journal/<training_id>/` and its staged artifacts beside it; `deliver.py` delivers it.
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
    """The runs of a project under one folder (`.cryptoml/journal`)."""

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
        """Start a run; it is on disk when this method returns."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", training_id):
            raise ValueError(f"training id {training_id!r} is not a valid folder name")
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
        """Reserve a run name across processes, with a number above `used`. `day` is a UTC date, today by default."""
        day = day or _today()
        return run_names.run_name(long_name, day, self.reserve_run_number(day, long_name, used=used))

    def reserve_run_number(self, day: date, long_name: str, *, used: int = 0) -> int:
        """Reserve the next free run number of that model and day."""
        return run_names.reserve_run_number(self.root, day, long_name, used=used)

    def mark_stopped(self, pid: int, signal_number: int) -> None:
        """Record in the open runs of a local process that a signal stopped it: they are delivered as KILLED."""
        host = current_process().host
        for entry in self.entries():
            record = None if entry.is_delivered() else entry.read()[0]
            if record and record.status is None and (record.process.pid, record.process.host) == (pid, host):
                line = encode({"kind": "stop", "signal": signal_number, "time_ms": _now_ms()})
                with translate_os_errors(entry.path), entry.path.open("ab", buffering=0) as file:
                    # The previous line may be incomplete.
                    file.write(b"\n" + line)

    def entries(self) -> tuple[JournalEntry, ...]:
        """Return the journals of all runs, delivered or not, oldest first."""
        files = [(path.stat().st_mtime, path) for path in self.root.glob("*/*.jsonl")]
        return tuple(JournalEntry(path) for _, path in sorted(files))

    def pending(self) -> tuple[JournalEntry, ...]:
        """Return undelivered runs that have ended or whose process has exited, oldest first."""
        return tuple(entry for entry in self.entries() if not entry.is_delivered() and entry.is_ready())

    def orphaned(self) -> tuple[JournalEntry, ...]:
        """Return undelivered runs whose process has exited, oldest first."""
        return tuple(entry for entry in self.entries() if not entry.is_delivered() and entry.is_orphaned())


class JournalRun:
    """A run being recorded. Each call appends a line; start, artifacts, registrations and the end are synced to disk.

    The methods raise AccessError or UnavailableError if the write fails.
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
        """Record parameters; raise ValueError if a parameter already has another value."""
        strings = {key: str(value) for key, value in params.items()}
        for key, value in strings.items():
            if self._params.get(key, value) != value:
                raise ValueError(
                    f"parameter {key} already has the value {self._params[key]} and cannot be set to {value}"
                )
        self._params.update(strings)
        self._append({"kind": "params", "params": strings})

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0, timestamp_ms: int | None = None) -> None:
        """Record metrics at one step; NaN and infinities are kept."""
        now = _now_ms() if timestamp_ms is None else timestamp_ms
        points = [[key, number_to_json(float(value)), step, now] for key, value in metrics.items()]
        self._append({"kind": "metrics", "metrics": points})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Record tags; the last value of a tag is used."""
        self._append({"kind": "tags", "tags": {key: str(value) for key, value in tags.items()}})

    def add_artifact(self, local: Path, artifact_dir: str = "") -> None:
        """Stage a copy of a file beside the journal, for `artifact_dir`/<its name> in the run."""
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
        """Stage all files below `local`, with their relative paths, for `artifact_dir` in the run."""
        for path in sorted(local.rglob("*")):
            if path.is_file():
                below = PurePosixPath(path.relative_to(local).as_posix()).parent
                self.add_artifact(path, str(PurePosixPath(artifact_dir) / below))

    def request_registration(
        self,
        model_name: str,
        *,
        pattern: str = "",
        description: str = "",
        tags: Mapping[str, object] | None = None,
        model_path: str = "models/model",
    ) -> None:
        """Record that the run's model shall be registered as a version of `model_name` after delivery.

        pattern: the name in the config, if the model may get another name because of its market.
        """
        self._append(
            {
                "kind": "registration",
                "model_name": model_name,
                "pattern": pattern,
                "model_path": model_path,
                "description": description,
                "tags": {key: str(value) for key, value in (tags or {}).items()},
            },
            durable=True,
        )

    def end(self, status: Status, *, end_time_ms: int | None = None) -> None:
        """End the run; further calls have no effect. Tags and registrations may still follow."""
        if self.status is None:
            self.status = status
            now = _now_ms() if end_time_ms is None else end_time_ms
            self._append({"kind": "end", "status": status, "time_ms": now}, durable=True)

    def _append(self, record: Mapping[str, Any], *, durable: bool = False) -> None:
        line = encode(record)
        with self._guard, translate_os_errors(self.entry.path):
            if self._torn:
                # Start a new line: a failed write may have left an incomplete one.
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
