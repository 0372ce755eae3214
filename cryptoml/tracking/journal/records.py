"""Records of a run's journal: encode, check and decode lines, and fold them into one run."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptoml.tracking.journal.process import ProcessIdentity, read_identity

Status = Literal["FINISHED", "FAILED", "KILLED"]
SCHEMA = 1
_HEAD = b'{"crc":"%08x","record":'
_HEAD_LENGTH = len(_HEAD % 0)


@dataclass(frozen=True)
class MetricPoint:
    """A value of a metric; `value` may be NaN or infinite."""

    key: str
    value: float
    step: int
    timestamp_ms: int


@dataclass(frozen=True)
class StagedArtifact:
    """A file staged beside the journal; `path` is its path in the run, with forward slashes; size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Registration:
    """A request to register the run's model once the run is delivered.

    pattern: the name in the config, if the market decides the name; empty in journals of earlier releases.
    """

    model_name: str
    model_path: str
    description: str
    tags: Mapping[str, str]
    pattern: str = ""


@dataclass(frozen=True)
class RunRecord:
    """The content of a run's journal. `status` is None until there is an end record."""

    run_key: str
    training_id: str
    experiment: str
    run_name: str
    start_time_ms: int
    process: ProcessIdentity
    params: Mapping[str, str]
    metrics: tuple[MetricPoint, ...]
    tags: Mapping[str, str]
    artifacts: tuple[StagedArtifact, ...]
    registrations: tuple[Registration, ...]
    status: Status | None
    end_time_ms: int | None
    stop_signal: int | None
    damaged_lines: int = 0


@dataclass
class _Sum:
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[MetricPoint, None] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, StagedArtifact] = field(default_factory=dict)
    registrations: list[Registration] = field(default_factory=list)
    status: Status | None = None
    end_time_ms: int | None = None
    stop_signal: int | None = None


def encode(record: Mapping[str, Any]) -> bytes:
    """Return the record as a line of JSON with the CRC-32 of the record's bytes, newline included."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")
    return _HEAD % zlib.crc32(body) + body + b"}\n"


def decode(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the valid records of a journal and the number of truncated or damaged lines, which are skipped."""
    records: list[dict[str, Any]] = []
    damaged = 0
    for line in data.split(b"\n"):
        if not line:
            continue
        body = line[_HEAD_LENGTH:-1]
        if line[-1:] == b"}" and line[:_HEAD_LENGTH] == _HEAD % zlib.crc32(body):
            records.append(json.loads(body))
        else:
            damaged += 1
    return records, damaged


def number_to_json(value: float) -> float | str:
    """Return a JSON value: the float itself, or a string for NaN and infinities."""
    return value if math.isfinite(value) else repr(value)


def fold(records: Iterable[Mapping[str, Any]], damaged_lines: int = 0) -> RunRecord | None:
    """Combine the records into a run; None if there is no start record.

    The first end record, the first value of a parameter and the last value of a tag are used.
    """
    start: Mapping[str, Any] | None = None
    total = _Sum()
    for record in records:
        if record["kind"] == "start":
            start = start or record
        else:
            _add(total, record)
    if start is None:
        return None
    return RunRecord(
        run_key=start["run_key"],
        training_id=start["training_id"],
        experiment=start["experiment"],
        run_name=start["run_name"],
        start_time_ms=start["time_ms"],
        process=read_identity(start["process"]),
        params=total.params,
        metrics=tuple(total.metrics),
        tags={**start["tags"], **total.tags},
        artifacts=tuple(total.artifacts.values()),
        registrations=tuple(total.registrations),
        status=total.status,
        end_time_ms=total.end_time_ms,
        stop_signal=total.stop_signal,
        damaged_lines=damaged_lines,
    )


def metrics_of(records: Iterable[Mapping[str, Any]]) -> tuple[MetricPoint, ...]:
    """Return the metric values in the records, without duplicates."""
    total = _Sum()
    for record in records:
        if record["kind"] == "metrics":
            _add(total, record)
    return tuple(total.metrics)


def artifacts_of(records: Iterable[Mapping[str, Any]]) -> frozenset[StagedArtifact]:
    """Return the artifacts in the records; the last one of each path."""
    total = _Sum()
    for record in records:
        if record["kind"] == "artifact":
            _add(total, record)
    return frozenset(total.artifacts.values())


def _add(total: _Sum, record: Mapping[str, Any]) -> None:
    kind = record["kind"]
    if kind == "params":
        for key, text in record["params"].items():
            total.params.setdefault(key, text)
    elif kind == "metrics":
        for key, value, step, time_ms in record["metrics"]:
            # NaN differs from itself, but a dict finds the same NaN object again by identity.
            number = math.nan if value == "nan" else float(value)
            total.metrics[MetricPoint(key, number, step, time_ms)] = None
    elif kind == "tags":
        total.tags.update(record["tags"])
    elif kind == "artifact":
        total.artifacts[record["path"]] = StagedArtifact(record["path"], record["sha256"], record["size"])
    elif kind == "registration":
        registration = Registration(
            record["model_name"], record["model_path"], record["description"], record["tags"], record.get("pattern", "")
        )
        if registration not in total.registrations:
            total.registrations.append(registration)
    elif kind == "stop" and total.stop_signal is None:
        total.stop_signal = record["signal"]
    elif kind == "end" and total.status is None:
        total.status = record["status"]
        total.end_time_ms = record["time_ms"]
