"""Models out of the registry: which version or run is meant, fetched once, loaded as a forecaster."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import AccessError, CheckFailedError, UsageError
from cryptoml.registry.model_digest import MODEL_SHA256, model_digest
from cryptoml.registry.versions import MODEL_PATH, Version, get_version, list_versions, version_at
from cryptoml.settings import Settings
from cryptoml.tracking.runs import RunView, find_run, get_run
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    from cryptoml.models.forecaster import Forecaster

OTHER_VERSION = "ask who may write to the store, and use another version: cryptoml promote --rollback"


@dataclass(frozen=True)
class ModelRef:
    """A model that is meant: the run it belongs to, its version where it has one, and the digest of its files.

    Without a digest, the one in the run's tags counts; runs of earlier releases have none.
    """

    run_id: str
    label: str
    version: str | None = None
    model_sha256: str = ""


def resolve_model(store: Store, model_name: str, experiment: str, text: str) -> ModelRef:
    """What `production`, `staging`, `v3`, `3`, a run's id or its name means; raises UsageError for anything else."""
    plain = text.strip()
    if plain.lower() in ("production", "staging"):
        found = version_at(store, model_name, plain.lower())
        if found is None:
            known = ", ".join(f"v{one.version}" for one in list_versions(store, model_name)[:5])
            raise UsageError(
                f"{model_name} has no version in {plain.lower()}.",
                hint=f"cryptoml promote v1 {plain.lower()}, or --model with one of {known}"
                if known
                else "train and register one first: cryptoml train",
            )
        return ref_of_version(found)
    number = plain.lower().removeprefix("v")
    if number.isdecimal() and len(number) < 10:
        return ref_of_version(get_version(store, model_name, number))
    return ref_of_run(find_run(store, experiment, plain))


def ref_of_version(version: Version) -> ModelRef:
    """The model of a version, with the digest that the version carries."""
    return ModelRef(version.run_id, f"v{version.version}", version.version, version.tags.get(MODEL_SHA256, ""))


def ref_of_run(run: RunView) -> ModelRef:
    """The model of a run, with the digest in the run's tags."""
    return ModelRef(run.run_id, run.name, model_sha256=run.tags.get(MODEL_SHA256, ""))


def load(store: Store, settings: Settings, chosen: ModelRef) -> Forecaster:
    """The forecaster of a run; it is fetched once and kept below .cryptoml/, and its digest is compared each time.

    Raises CheckFailedError where the run has no model, AccessError for files that are not those of the version or
    that ask for foreign code.
    """
    from cryptoml.models.forecaster import load_forecaster

    return load_forecaster(_verified_folder(store, settings, chosen) / "data" / "forecaster")


def fetched_digest(store: Store, settings: Settings, chosen: ModelRef) -> str:
    """The digest of the run's model as the store has it now, or as the run's tag says; raises as `load` does."""
    return model_digest(_verified_folder(store, settings, chosen))


def _verified_folder(store: Store, settings: Settings, chosen: ModelRef) -> Path:
    """The folder with the model's files, which have the expected digest. A damaged copy is fetched again."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", chosen.run_id):
        raise AccessError(f"{chosen.label}: its run has the impossible id {chosen.run_id[:50]!r}.", hint=OTHER_VERSION)
    expected = chosen.model_sha256 or get_run(store, chosen.run_id).tags.get(MODEL_SHA256, "")
    folder = settings.project_dir / ".cryptoml" / "models" / chosen.run_id
    if folder.is_symlink() or not (folder / "MLmodel").is_file() or not _is_intact(folder, expected):
        _fetch(store, chosen, folder, expected)
    return folder


def _is_intact(folder: Path, expected: str) -> bool:
    """Whether a kept copy is as it was fetched; without an expected digest, whether it holds plain files alone."""
    try:
        return model_digest(folder) == expected or not expected
    except (AccessError, OSError):
        return False


def _fetch(store: Store, chosen: ModelRef, folder: Path, expected: str) -> None:
    import tempfile

    from mlflow.exceptions import MlflowException

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as text:
        with translate_store_errors(store.uri, f"fetch the model of {chosen.label}"):
            try:
                got = store.download(chosen.run_id, MODEL_PATH, Path(text))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR"):
                    raise
                raise _no_model_error(chosen) from error
        if not (got / "MLmodel").is_file():
            raise _no_model_error(chosen)
        found = model_digest(got)
        if expected and found != expected:
            raise AccessError(
                f"{chosen.label}: the files of its model were changed after training: their SHA-256 is "
                f"{found[:12]}..., recorded is {_digest_prefix(expected)}.",
                hint=OTHER_VERSION,
            )
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        got.rename(folder)


def _digest_prefix(digest: str) -> str:
    return f"{digest[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", digest) else "no digest at all"


def _no_model_error(chosen: ModelRef) -> CheckFailedError:
    return CheckFailedError(
        f"{chosen.label}: its run has no model that can be loaded.", hint="choose another: cryptoml compare shows runs"
    )
