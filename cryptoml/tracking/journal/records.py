"""The lines of a run's journal: how one is written, checked and read, and what all of them add up to."""

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
    """One value of a metric; `value` may be NaN or infinite."""

    key: str
    value: float
    step: int
    timestamp_ms: int


@dataclass(frozen=True)
class StagedArtifact:
    """A file that waits beside the journal; `path` is its path in the run, with forward slashes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Registration:
    """The wish to put a run's model into the registry once the run is delivered."""

    model_name: str
    model_path: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RunRecord:
    """All that a journal says about one run. `status` is None while there is no end record."""

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
    """One line, newline included: a JSON object with the CRC-32 of the record's own bytes."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")
    return _HEAD % zlib.crc32(body) + body + b"}\n"


def decode(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The whole records of a journal, and how many lines were torn or damaged and therefore skipped."""
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
    """A float as JSON knows it: NaN and the infinities become text."""
    return value if math.isfinite(value) else repr(value)


def fold(records: Iterable[Mapping[str, Any]], damaged_lines: int = 0) -> RunRecord | None:
    """What the records add up to, or None when the start record is not there.

    The first end counts, the last value of a tag counts, a parameter is written once.
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
    """The metrics among the records, each point once."""
    total = _Sum()
    for record in records:
        if record["kind"] == "metrics":
            _add(total, record)
    return tuple(total.metrics)


def artifacts_of(records: Iterable[Mapping[str, Any]]) -> frozenset[StagedArtifact]:
    """The artifacts among the records; of a path recorded twice, the last."""
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
            # NaN is unlike itself, yet one object of it is found again in a dict.
            number = math.nan if value == "nan" else float(value)
            total.metrics[MetricPoint(key, number, step, time_ms)] = None
    elif kind == "tags":
        total.tags.update(record["tags"])
    elif kind == "artifact":
        total.artifacts[record["path"]] = StagedArtifact(record["path"], record["sha256"], record["size"])
    elif kind == "registration":
        wish = Registration(record["model_name"], record["model_path"], record["description"], record["tags"])
        if wish not in total.registrations:
            total.registrations.append(wish)
    elif kind == "stop" and total.stop_signal is None:
        total.stop_signal = record["signal"]
    elif kind == "end" and total.status is None:
        total.status = record["status"]
        total.end_time_ms = record["time_ms"]
