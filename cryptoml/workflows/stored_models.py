"""Models out of the registry: which version or run is meant, fetched once, loaded as a forecaster."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import AnswerIsNoError, UsageError
from cryptoml.registry.versions import MODEL_PATH, Version, get_version, list_versions, version_at
from cryptoml.settings import Settings
from cryptoml.tracking.runs import find_run
from cryptoml.tracking.store import Store
from cryptoml.tracking.translate import store_in_words

if TYPE_CHECKING:
    from cryptoml.models.forecaster import Forecaster


@dataclass(frozen=True)
class Chosen:
    """A model that is meant: the run it belongs to, and its version where it has one."""

    run_id: str
    label: str
    version: str | None = None


def choose(store: Store, model_name: str, experiment: str, text: str) -> Chosen:
    """What `production`, `staging`, `v3`, `3`, a run's id or its name means; raises UsageError for anything else."""
    plain = text.strip()
    if plain.lower() in ("production", "staging"):
        found = version_at(store, model_name, plain.lower())
        if found is None:
            known = ", ".join(f"v{one.version}" for one in list_versions(store, model_name)[:5])
            raise UsageError(
                f"{model_name} has no version in {plain.lower()}.",
                mend=f"cryptoml promote v1 {plain.lower()}, or --model with one of {known}"
                if known
                else "train and register one first: cryptoml train",
            )
        return _chosen(found)
    number = plain.lower().removeprefix("v")
    if number.isdecimal() and len(number) < 10:
        return _chosen(get_version(store, model_name, number))
    run = find_run(store, experiment, plain)
    return Chosen(run.run_id, run.name)


def load(store: Store, settings: Settings, chosen: Chosen) -> Forecaster:
    """The forecaster of a run; from a remote store it is fetched once and kept below .cryptoml/.

    Raises AnswerIsNoError where the run has no model, AccessError for a model that asks for foreign code.
    """
    from cryptoml.models.forecaster import load_forecaster

    folder = settings.project_dir / ".cryptoml" / "models" / chosen.run_id
    if not (folder / "MLmodel").is_file():
        _fetch(store, chosen, folder)
    return load_forecaster(folder / "data" / "forecaster")


def _fetch(store: Store, chosen: Chosen, folder: Path) -> None:
    import tempfile

    from mlflow.exceptions import MlflowException

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as text:
        with store_in_words(store.uri, f"fetch the model of {chosen.label}"):
            try:
                got = store.download(chosen.run_id, MODEL_PATH, Path(text))
            except (MlflowException, OSError) as error:
                if isinstance(error, MlflowException) and error.error_code not in (
                    "RESOURCE_DOES_NOT_EXIST",
                    "INTERNAL_ERROR",
                ):
                    raise
                raise _no_model(chosen) from error
        if not (got / "MLmodel").is_file():
            raise _no_model(chosen)
        shutil.rmtree(folder, ignore_errors=True)
        got.rename(folder)


def _no_model(chosen: Chosen) -> AnswerIsNoError:
    return AnswerIsNoError(
        f"{chosen.label}: its run has no model that can be loaded.", mend="choose another: cryptoml compare shows runs"
    )


def _chosen(version: Version) -> Chosen:
    return Chosen(version.run_id, f"v{version.version}", version.version)
