"""Runs that the target already has, and this project's notes about earlier moves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.system.files import translate_os_errors, write_atomically
from cryptoml.tracking.journal.duplicate_runs import RUN_KEY_TAG, keep_priority
from cryptoml.tracking.moving.export import MOVED_FROM_TAG, WITHOUT_ARTIFACTS_TAG
from cryptoml.tracking.moving.source import all_runs
from cryptoml.tracking.store.errors import translate_store_errors

if TYPE_CHECKING:
    from cryptoml.tracking.store.store import Store


@dataclass(frozen=True)
class TargetRun:
    """A run in the target. origin: the store and run id it was copied from; empty if it was not copied."""

    run_id: str
    name: str
    key: str
    origin: str
    ended: bool
    deleted: bool
    without_artifacts: bool
    has_inputs: bool


def target_runs(store: Store, experiment: str) -> tuple[TargetRun, ...]:
    """Return the runs of an experiment in the target, deleted ones included; empty if the experiment does not exist.

    Among runs with the same key, the run that `deliver` keeps comes first.
    """
    identifier = store.find_experiment_id(experiment)
    if identifier is None:
        return ()
    with translate_store_errors(store.uri, "search runs"):
        return tuple(
            TargetRun(
                run_id=run.info.run_id,
                name=run.info.run_name or "",
                key=run.data.tags.get(RUN_KEY_TAG, ""),
                origin=run.data.tags.get(MOVED_FROM_TAG, ""),
                ended=run.info.status not in ("RUNNING", "SCHEDULED"),
                deleted=run.info.lifecycle_stage == "deleted",
                without_artifacts=WITHOUT_ARTIFACTS_TAG in run.data.tags,
                has_inputs=bool(run.inputs and run.inputs.dataset_inputs),
            )
            for run in sorted(all_runs(store, identifier, deleted=True), key=keep_priority)
        )


class MoveNotes:
    """Notes of a project about moves to one target, in a JSON file: runs in progress and copied runs.

    They allow a move to resume after an interruption in the last step of a run, and runs not yet copied to be counted.
    If the file is lost, runs are checked again; none is lost.
    """

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self.target = target
        self._all = _read(path)
        notes = self._all.get(target, {})
        self.in_progress = {run_id for run_id in notes.get("in_progress", []) if isinstance(run_id, str)}
        self.arrived = {run_id for run_id in notes.get("arrived", []) if isinstance(run_id, str)}

    def begin(self, run_id: str) -> None:
        """Record that the delivery of a run has started; `run_id` is its id in the source."""
        self.in_progress.add(run_id)
        self.save()

    def finish(self, run_id: str) -> None:
        """Record that the run is in the target; written to disk by the next `save`."""
        self.in_progress.discard(run_id)
        self.arrived.add(run_id)

    def save(self) -> None:
        """Write the notes to disk."""
        entry = {"in_progress": sorted(self.in_progress), "arrived": sorted(self.arrived)}
        with translate_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps({**self._all, self.target: entry}) + "\n")


def arrived_runs(path: Path, target: str) -> frozenset[str]:
    """Return the source run ids of the runs known to be in the target."""
    return frozenset(map(str, _read(path).get(target, {}).get("arrived", ())))


def _read(path: Path) -> dict[str, Mapping[str, Iterable[object]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {target: notes for target, notes in document.items() if isinstance(notes, dict)}
