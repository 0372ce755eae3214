"""Finished trainings whose runs could not be delivered: the next try of the same job delivers them and ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml import events
from cryptoml.config.load import LoadedConfig
from cryptoml.result import Failure
from cryptoml.settings import Settings
from cryptoml.system.files import translate_os_errors, write_atomically

if TYPE_CHECKING:
    from cryptoml.tracking.journal.entries import JournalEntry
    from cryptoml.workflows.training.results import TrainResult


@dataclass(frozen=True)
class Resumed:
    """The result of an earlier try, as in `TrainResult.to_dict`, with the runs and the version of its delivery."""

    document: dict[str, Any]
    failure: Failure | None


def keep_undelivered(settings: Settings, config: LoadedConfig, key: str, result: TrainResult) -> None:
    """Keep the result of a training whose runs wait in the journal; forget it once they are delivered."""
    path = _path(settings, key)
    if result.trouble is None:
        path.unlink(missing_ok=True)
        return
    failure = result.failure_once_delivered()
    kept = {
        "key": key,
        "config_hash": config.hash(),
        "result": result.to_dict(),
        "failure": None if failure is None else vars(failure),
    }
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(kept) + "\n")


def resume(
    settings: Settings, config: LoadedConfig, data: Path, key: str, *, on_event: events.OnEvent = events.ignore
) -> Resumed | None:
    """Deliver the finished training of a key and return its result; None if there is none to deliver.

    A training of other data or with another config is not the same job, and returns None. Raise UnavailableError if
    the store is still unavailable.
    """
    from cryptoml.remotes.dvc.dataset_version import is_version
    from cryptoml.tracking.tracker import project_journal
    from cryptoml.workflows.sync import sync

    path = _path(settings, key)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        document = kept["result"]
        is_same = kept["config_hash"] == config.hash() and is_version(data, document["dataset_version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not is_same:
        return None
    training = document["training_id"]
    on_event(events.Info(f"training {training} of {key} is finished; only its delivery is left"))
    synced = sync(settings, on_event=on_event)
    entries = {one.key: one for one in project_journal(settings).entries()}
    runs = {
        str(record.tags.get("model_type")): entry
        for entry in entries.values()
        if (record := entry.read()[0]) is not None and record.training_id == training
    }
    if any(not entry.is_delivered() for entry in runs.values()):
        if synced.error is not None:
            raise synced.error
        return None
    path.unlink(missing_ok=True)
    failure = Failure(**kept["failure"]) if kept["failure"] else None
    return Resumed(_with_delivery(document, runs), failure)


def _with_delivery(document: dict[str, Any], runs: Mapping[str, JournalEntry]) -> dict[str, Any]:
    """Return the result with the IDs of the delivered runs, and the registered version."""
    ids = {model: mark for model, entry in runs.items() if (mark := entry.delivery()) is not None}
    models = [
        {**row, "run_id": ids[row["model_type"]].run_id, "run_name": ids[row["model_type"]].run_name or row["run_name"]}
        if row["model_type"] in ids
        else row
        for row in document["models"]
    ]
    done = {**document, "models": models, "undelivered": None}
    best = document["best"]
    if best is not None and best["model_type"] in ids:
        mark = ids[best["model_type"]]
        done["best"] = {**best, "run_id": mark.run_id}
        if mark.versions:
            name, version = mark.versions[-1]
            done |= {"registered": True, "model_name": name, "version": version, "stage": "none"}
    return done


def _path(settings: Settings, key: str) -> Path:
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return settings.project_dir / ".cryptoml" / "trainings" / f"{name}.json"
