"""Search a model's versions in the registry, and delete duplicates created after a lost response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptoml.tracking.store.errors import is_missing
from cryptoml.tracking.store.response_limits import all_pages

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

    from cryptoml.tracking.store.store import Store

STAGE_TAG = "cryptoml.stage"


def model_or_none(store: Store, model_name: str) -> RegisteredModel | None:
    """Return the registered model; None if it does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_registered_model(model_name)
    except MlflowException as error:
        if is_missing(error):
            return None
        raise


def aliases_of(store: Store, model_name: str) -> Mapping[str, Any] | None:
    """Return alias -> version number; None if the model does not exist."""
    model = model_or_none(store, model_name)
    return None if model is None else dict(model.aliases)


def versions_of_run(store: Store, model_name: str, run_id: str, artifact_path: str) -> list[ModelVersion]:
    """Return the versions of a model created from that folder of the run, lowest first."""

    def same_model(source: str) -> bool:
        # Other clients may have registered the folder by its storage path.
        return not source or source.rstrip("/").endswith(f"/{artifact_path}")

    versions = [
        version
        for version in search_versions(store, f"run_id = '{run_id}'")
        if version.name == model_name and same_model(version.source or "")
    ]
    return sorted(versions, key=lambda version: int(version.version))


def remove_duplicate_versions(store: Store, model_name: str, versions: list[ModelVersion]) -> ModelVersion | None:
    """Return the lowest version with an alias, else the lowest; delete duplicates created after a lost response.

    Versions with an alias, with a stage, or registered by other clients are not deleted.
    """
    from mlflow.exceptions import MlflowException

    if len(versions) < 2:
        return versions[0] if versions else None
    aliased = {str(number) for number in (aliases_of(store, model_name) or {}).values()}
    kept = next((version for version in versions if str(version.version) in aliased), versions[0])
    for version in versions:
        if version is not kept and str(version.version) not in aliased and _is_untouched(version):
            try:
                store.client.delete_model_version(model_name, version.version)
            except MlflowException as error:
                if not is_missing(error):
                    raise
    return kept


def _is_untouched(version: ModelVersion) -> bool:
    was_moved = (version.current_stage or "None") != "None" or STAGE_TAG in version.tags
    # Other clients set the storage path.
    return not was_moved and (version.source or "").startswith("runs:/")


def search_versions(store: Store, query: str) -> list[ModelVersion]:
    """Return all versions that match MLflow's search `query`."""
    versions: list[ModelVersion] = []
    search = store.client.search_model_versions
    for page in all_pages(lambda token: search(query, max_results=200, page_token=token), store.uri):
        versions += page
    return versions


def quoted(text: str) -> str:
    """Return `text` escaped for use between single quotes in a search query."""
    return text.replace("'", "''")
