"""A small SQLite store with a bit of everything, as the source of a move, and what a store holds in comparable form."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptoml.registry.transitions import Move, open_registry
from cryptoml.registry.versions import register_version
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.store.store import Store, open_store

DAY_MS = 24 * 3600 * 1000
# Tags that belong to the store a run is in, not to the run.
OWN_TAGS = ("cryptoml.run_key", "cryptoml.moved_from", "mlflow.parentRunId", "mlflow.source.name", "mlflow.source.type")


@dataclass(frozen=True)
class OldStore:
    """The folder of the old project and the names in its store."""

    folder: Path
    experiment: str
    model: str

    @property
    def address(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def mirror(self) -> Path:
        return self.folder / ".cryptoml" / "registry" / f"{self.model}.jsonl"


def make_old_store(folder: Path, name: str) -> OldStore:
    """Four runs of cryptoml, of which three are versions (v2 was deleted, v3 is in production), and foreign runs."""
    folder.mkdir(parents=True, exist_ok=True)
    old = OldStore(folder, name, f"model-{name}")
    with open_store(old.address) as store:
        ids = [_our_run(store, old, number) for number in range(1, 5)]
        for run_id in (ids[0], ids[2], ids[1]):
            register_version(
                store, run_id=run_id, model_name=old.model, description=f"of {run_id}", tags={"verdict": "ties"}
            )
        with open_registry(store, old.model, old.mirror) as registry:
            for version, stage in (("1", "staging"), ("1", "production"), ("2", "staging"), ("3", "staging")):
                registry.move(Move(version, stage, f"v{version} to {stage}", "Ada"))  # type: ignore[arg-type]
            registry.move(Move("3", "production", "better", "Ada", metrics={"skill": 0.01}))
        store.client.delete_model_version(old.model, "2")
        store.client.set_registered_model_alias(old.model, "shadow", "1")
        store.client.update_registered_model(old.model, description="a model")
        store.client.set_registered_model_tag(old.model, "team", "quants")
        _foreign_runs(store, old)
    return old


def _our_run(store: Store, old: OldStore, number: int) -> str:
    journal = Journal(old.folder / ".cryptoml" / "journal")
    run = journal.open_run(
        training_id="t1", experiment=old.experiment, run_name=f"ridge_2024-11-27_{number:03d}",
        tags={"author": "Ada", "model_type": "ridge", "status": "finished", "git_commit": "abc"},
        start_time_ms=1_700_000_000_000 + number,
    )  # fmt: skip
    run.log_params({f"p{place}": place * number for place in range(120)})
    run.log_metrics({"rmse": 1.5 * number, "dm_p_value": float("nan")}, timestamp_ms=1_700_000_001_000)
    for step in range(5):
        run.log_metrics({"cv_rmse": number + step / 3}, step=step, timestamp_ms=1_700_000_001_000 + step)
    files = old.folder / "files" / str(number)
    (files / "model").mkdir(parents=True)
    (files / "model" / "MLmodel").write_text(f"flavors: {{}}\nrun: {number}\n")
    (files / "model" / "empty").touch()
    (files / "a name with spaces & umlauts ä.bin").write_bytes(bytes(range(256)) * 40 * number)
    run.add_artifact_folder(files, "models")
    run.end("FINISHED", end_time_ms=1_700_000_009_000)
    return deliver(run.entry, store).run_id


def _foreign_runs(store: Store, old: OldStore) -> None:
    """Runs that MLflow's own client wrote: no key, nested, killed, with a note, inputs, or no end."""
    from mlflow.entities import Dataset, DatasetInput

    client = store.client
    experiment = store.experiment_id(old.experiment)
    client.set_experiment_tag(experiment, "mlflow.note.content", "about this experiment")
    parent = client.create_run(experiment, run_name="sweep", start_time=2_000, tags={"mlflow.note.content": "a note"})
    child = client.create_run(
        experiment, run_name="child", start_time=1_000, tags={"mlflow.parentRunId": parent.info.run_id}
    )
    client.log_inputs(child.info.run_id, [DatasetInput(Dataset("btc", "0123abcd", "local", "{}", "{}", "{}"), [])])
    client.set_terminated(child.info.run_id, "KILLED", 5_000)
    client.set_terminated(parent.info.run_id, "FAILED", 6_000)
    now_ms = time.time_ns() // 1_000_000
    long_silent = client.create_run(experiment, run_name="long silent", start_time=now_ms - 3 * DAY_MS)
    client.log_metric(long_silent.info.run_id, "loss", 1.0, timestamp=now_ms - 2 * DAY_MS, step=7)
    client.create_run(experiment, run_name="still running", start_time=now_ms - 1000)


def files_of(store: Store, run_id: str, folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every artifact of a run, fetched from the store."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    target = folder / run_id
    target.mkdir(parents=True)
    # The client's own list_artifacts asks for logged models, which an older server does not know.
    repository = get_artifact_repository(store.client.get_run(run_id).info.artifact_uri, tracking_uri=store.uri)
    waiting: list[str | None] = [None]
    listed: list[str] = []
    while waiting:
        for one in repository.list_artifacts(waiting.pop()):
            if one.is_dir:
                waiting.append(one.path)
            else:
                listed.append(one.path)
    return {
        path: hashlib.sha256(store.download(run_id, path, target).read_bytes()).hexdigest() for path in sorted(listed)
    }


def contents(store: Store, experiment: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Everything about each run of an experiment, by run name; a name that is there twice fails."""
    found: dict[str, dict[str, Any]] = {}
    for run in store.client.search_runs([store.experiment_id(experiment)]):
        assert run.info.run_name not in found
        names = {one.info.run_id: one.info.run_name for one in store.client.search_runs([run.info.experiment_id])}
        found[run.info.run_name] = {
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "params": dict(run.data.params),
            "metrics": {
                key: [
                    (repr(one.value), one.step, one.timestamp)
                    for one in store.client.get_metric_history(run.info.run_id, key)
                ]
                for key in run.data.metrics
            },
            "tags": {key: text for key, text in run.data.tags.items() if key not in OWN_TAGS},
            "parent": names.get(run.data.tags.get("mlflow.parentRunId", "")),
            "inputs": [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs],
            "files": files_of(store, run.info.run_id, folder),
        }
    return found


def registered(store: Store, model: str) -> dict[str, Any]:
    """A registered model: aliases, ledger and other tags, and each version by number with its run's name."""
    found = store.client.get_registered_model(model)
    versions = store.client.search_model_versions(f"name = '{model}'")
    return {
        "description": found.description,
        "aliases": {alias: str(number) for alias, number in dict(found.aliases).items()},
        "tags": {key: text for key, text in found.tags.items() if key != "cryptoml.moved_from"},
        "versions": {
            str(one.version): {
                "run": store.client.get_run(one.run_id).info.run_name,
                "description": one.description,
                "stage": one.current_stage,
                "tags": {
                    key: text
                    for key, text in one.tags.items()
                    if key not in ("cryptoml.moved_from", "cryptoml.created")
                },
            }
            for one in versions
        },
    }
