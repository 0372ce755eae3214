"""Resolve a version or run, download its model once and load it as a forecaster."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import AccessError, CheckFailedError
from cryptoml.registry.model_digest import MODEL_SHA256, model_digest
from cryptoml.registry.version_refs import find_version, parse_version_ref
from cryptoml.registry.versions import MODEL_PATH, Version
from cryptoml.settings import Settings
from cryptoml.tracking.runs import RunView, find_run, get_run
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    from cryptoml.models.forecaster import Forecaster

OTHER_VERSION = "find out who changed it, and use another version: cryptoml promote --rollback"


@dataclass(frozen=True)
class ModelRef:
    """A reference to a model: its run, its version if any, and the SHA-256 digest of its files.

    An empty digest means the one in the run's tags; runs of earlier releases have none.
    """

    run_id: str
    label: str
    version: str | None = None
    model_sha256: str = ""


def resolve_model(store: Store, model_name: str, experiment: str, name: str) -> ModelRef:
    """Resolve a version, as in `version_refs`, a run ID or a run name; raise UsageError if none matches."""
    ref = parse_version_ref(name)
    if ref is None:
        return ref_of_run(find_run(store, experiment, name.strip()))
    return ref_of_version(find_version(store, ref.model_name or model_name, ref))


def ref_of_version(version: Version) -> ModelRef:
    """Return the model of a version, with the digest in the version's tags."""
    return ModelRef(version.run_id, f"v{version.version}", version.version, version.tags.get(MODEL_SHA256, ""))


def ref_of_run(run: RunView) -> ModelRef:
    """Return the model of a run, with the digest in the run's tags."""
    return ModelRef(run.run_id, run.name, model_sha256=run.tags.get(MODEL_SHA256, ""))


def load(store: Store, settings: Settings, model: ModelRef) -> Forecaster:
    """Load the forecaster of a run; it is downloaded once to .cryptoml/, and its digest is verified each time.

    Raises CheckFailedError if the run has no model, AccessError if the files do not match the digest or would run
    foreign code.
    """
    from cryptoml.models.forecaster import load_forecaster

    return load_forecaster(_verified_folder(store, settings, model) / "data" / "forecaster")


def fetched_digest(store: Store, settings: Settings, model: ModelRef) -> str:
    """Return the digest of the run's model, verified against the expected one if any; raise as `load` does."""
    return model_digest(_verified_folder(store, settings, model))


def _verified_folder(store: Store, settings: Settings, model: ModelRef) -> Path:
    """Return the local folder of the model after verifying its digest; download a damaged copy again."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", model.run_id):
        raise AccessError(f"{model.label}: its run id {model.run_id[:50]!r} is invalid.", hint=OTHER_VERSION)
    expected = model.model_sha256 or get_run(store, model.run_id).tags.get(MODEL_SHA256, "")
    folder = settings.project_dir / ".cryptoml" / "models" / model.run_id
    if folder.is_symlink() or not (folder / "MLmodel").is_file() or not _is_intact(folder, expected):
        _fetch(store, model, folder, expected)
    return folder


def _is_intact(folder: Path, expected: str) -> bool:
    """Return whether the local copy has the expected digest; without one, whether it has only regular files."""
    try:
        return model_digest(folder) == expected or not expected
    except (AccessError, OSError):
        return False


def _fetch(store: Store, model: ModelRef, folder: Path, expected: str) -> None:
    import tempfile

    from mlflow.exceptions import MlflowException

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as temporary:
        with translate_store_errors(store.uri, f"fetch the model of {model.label}"):
            try:
                downloaded = store.download(model.run_id, MODEL_PATH, Path(temporary))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR"):
                    raise
                raise _no_model_error(model) from error
        if not (downloaded / "MLmodel").is_file():
            raise _no_model_error(model)
        digest = model_digest(downloaded)
        if expected and digest != expected:
            raise AccessError(
                f"{model.label}: its model files were changed after training: their SHA-256 is "
                f"{digest[:12]}..., but {_digest_prefix(expected)} was recorded.",
                hint=OTHER_VERSION,
            )
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        downloaded.rename(folder)


def _digest_prefix(digest: str) -> str:
    return f"{digest[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", digest) else "an invalid digest"


def _no_model_error(model: ModelRef) -> CheckFailedError:
    return CheckFailedError(
        f"{model.label}: its run has no loadable model.", hint="choose another run: cryptoml compare"
    )
