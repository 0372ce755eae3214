"""The accounts that must balance once a fault is over: what the journal announced against what the store holds."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.tracking.journal.duplicate_runs import RUN_KEY_TAG
from cryptoml.tracking.journal.entries import JournalEntry
from cryptoml.tracking.journal.journal import Journal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from cryptoml.tracking.journal.records import RunRecord

TAG_LENGTH = 8000
UNFINISHED = (".part", ".partial", ".tmp")


@dataclass(frozen=True)
class Books:
    """The store as its own disk has it, past any proxy. artifacts: where a server keeps `mlflow-artifacts:` files."""

    client: MlflowClient
    artifacts: Path | None = None

    def folder_of(self, run: Run) -> Path:
        """The folder with the run's artifacts."""
        scheme, _, path = str(run.info.artifact_uri).partition(":")
        if scheme == "mlflow-artifacts" and self.artifacts is not None:
            return self.artifacts / path.lstrip("/")
        return Path(path.replace("//", "/"))


def announced(project: Path) -> list[tuple[JournalEntry, RunRecord]]:
    """Every run whose beginning reached the journal."""
    found = [(entry, entry.read()[0]) for entry in Journal(project / ".cryptoml" / "journal").entries()]
    return [(entry, record) for entry, record in found if record is not None]


def check_runs(books: Books, project: Path, experiments: tuple[str, ...] = ()) -> list[str]:
    """What does not balance between a project's journal and the store, in sentences.

    experiments: those that belong to this project alone, so that each of their runs must be in its journal.
    """
    records = announced(project)
    problems: list[str] = []
    by_key: dict[str, list[Run]] = {}
    for experiment in {record.experiment for _, record in records} | set(experiments):
        for run in _runs(books, experiment):
            if run.info.lifecycle_stage == "deleted":
                # A run that a lost reply doubled may be deleted again; it must not stay open.
                problems += [f"{run.info.run_name}: a deleted run is RUNNING"] if run.info.status == "RUNNING" else []
                continue
            by_key.setdefault(run.data.tags.get(RUN_KEY_TAG, f"without a key: {run.info.run_name}"), []).append(run)
    if experiments:
        extra = set(by_key) - {record.run_key for _, record in records}
        problems += [f"the store has a run that no journal announced ({key})" for key in sorted(extra)]
    for entry, record in records:
        found = by_key.get(record.run_key, [])
        if len(found) != 1:
            problems.append(f"{record.run_name}: {len(found)} runs in the store instead of 1")
        for run in found:
            problems += [f"{record.run_name}: {one}" for one in _check_run(books, record, run)]
        if not entry.is_delivered():
            problems.append(f"{record.run_name}: still pending in the journal")
        if entry.staging.exists():
            problems.append(f"{record.run_name}: its staged artifacts are still there")
    return problems + check_leftovers(project)


def check_leftovers(project: Path) -> list[str]:
    """Unfinished files below the project."""
    return [
        f"unfinished file {path.relative_to(project)}"
        for path in project.rglob("*")
        if path.name.endswith(UNFINISHED) and path.is_file()
    ]


def check_secrets(project: Path, secrets: tuple[bytes, ...], allowed: tuple[str, ...]) -> list[str]:
    """Files of the project that hold a secret and should not."""
    problems = []
    for path in sorted(project.rglob("*")):
        name = str(path.relative_to(project))
        if path.is_file() and name not in allowed and any(secret in path.read_bytes() for secret in secrets):
            problems.append(f"a token is in {name}")
    return problems


def check_production(books: Books, model: str, expected: str | None) -> list[str]:
    """Whether `expected` is the one version in production, by alias and by stage, and the lock is gone."""
    found = books.client.get_registered_model(model)
    alias = dict(found.aliases).get("production")
    staged = [str(one.version) for one in _versions(books, model) if one.current_stage == "Production"]
    problems = []
    if expected is not None and str(alias) != expected:
        problems.append(f"production is v{alias} instead of v{expected}")
    if staged != ([str(alias)] if alias else []):
        problems.append(f"the stage Production is on {staged}, the alias on {alias}")
    if books.client.search_registered_models(f"name = '{model}.lock'"):
        problems.append("the registry's lock is still taken")
    return problems


def _runs(books: Books, experiment: str) -> Iterator[Run]:
    from mlflow.entities import ViewType

    found = books.client.get_experiment_by_name(experiment)
    if found is not None:
        yield from books.client.search_runs([found.experiment_id], run_view_type=ViewType.ALL, max_results=1000)


def _versions(books: Books, model: str) -> list[Any]:
    return list(books.client.search_model_versions(f"name = '{model}'", max_results=200))


def _check_run(books: Books, record: RunRecord, run: Run) -> Iterator[str]:
    status = record.status or ("FAILED" if record.stop_signal is None else "KILLED")
    if run.info.status != status:
        yield f"its status is {run.info.status} instead of {status}"
    if dict(run.data.params) != dict(record.params):
        yield f"{len(run.data.params)} parameters instead of {len(record.params)}, or other values"
    lost = [key for key in record.tags if key != "status" and run.data.tags.get(key) != record.tags[key][:TAG_LENGTH]]
    if lost:
        yield f"the tags {', '.join(lost)} are missing or have other values"
    yield from _check_metrics(books, record, run)
    yield from _check_artifacts(books, record, run)
    yield from _check_versions(books, record, run)


def _check_metrics(books: Books, record: RunRecord, run: Run) -> Iterator[str]:
    wanted = Counter(
        (one.key, repr(one.value), one.step, one.timestamp_ms) for one in record.metrics if not math.isinf(one.value)
    )
    stored = Counter(
        (key, repr(one.value), one.step, one.timestamp)
        for key in run.data.metrics
        for one in books.client.get_metric_history(run.info.run_id, key)
    )
    if wanted - stored:
        yield f"{sum((wanted - stored).values())} metric points are missing"
    if stored - wanted:
        yield f"{sum((stored - wanted).values())} metric points are too many"


def _check_artifacts(books: Books, record: RunRecord, run: Run) -> Iterator[str]:
    folder = books.folder_of(run)
    stored = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    wanted = {one.path: one.sha256 for one in record.artifacts}
    missing, extra = sorted(set(wanted) - set(stored)), sorted(set(stored) - set(wanted))
    other = sorted(path for path in set(wanted) & set(stored) if wanted[path] != stored[path])
    for what, paths in (("are missing", missing), ("have other bytes", other), ("are too many", extra)):
        if paths:
            yield f"{len(paths)} of {len(wanted)} artifacts {what}: {', '.join(paths[:3])}"


def _check_versions(books: Books, record: RunRecord, run: Run) -> Iterator[str]:
    wishes = record.registrations if (record.status == "FINISHED") else ()
    for model in {wish.model_name for wish in record.registrations}:
        found = [one for one in _versions(books, model) if one.run_id == run.info.run_id]
        wanted = [wish for wish in wishes if wish.model_name == model]
        if len(found) != min(len(wanted), 1):
            yield f"{len(found)} versions of {model} instead of {min(len(wanted), 1)}"
        for version, wish in zip(found[:1], wanted[:1], strict=False):
            if version.status != "READY" or version.description != wish.description:
                yield f"v{version.version} of {model} is {version.status} or lacks its description"
            if not set(wish.tags.items()) <= set(version.tags.items()):
                yield f"v{version.version} of {model} lacks tags"
