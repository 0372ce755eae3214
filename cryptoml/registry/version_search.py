"""Finding a model's versions in the registry, and keeping one where a lost answer made several of a run."""

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
    """The registered model, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_registered_model(model_name)
    except MlflowException as error:
        if is_missing(error):
            return None
        raise


def aliases_of(store: Store, model_name: str) -> Mapping[str, Any] | None:
    """Alias to version number, or None when there is no such model."""
    model = model_or_none(store, model_name)
    return None if model is None else dict(model.aliases)


def versions_of_run(store: Store, model_name: str, run_id: str, artifact_path: str) -> list[ModelVersion]:
    """The versions of a model that were made of that folder of the run, lowest first."""

    def same_model(source: str) -> bool:
        # Registered by other means, the same folder may be named by where it lies.
        return not source or source.rstrip("/").endswith(f"/{artifact_path}")

    found = [
        one
        for one in search_versions(store, f"run_id = '{run_id}'")
        if one.name == model_name and same_model(one.source or "")
    ]
    return sorted(found, key=lambda one: int(one.version))


def remove_duplicate_versions(store: Store, model_name: str, versions: list[ModelVersion]) -> ModelVersion | None:
    """Of a run's versions, keep the lowest with an alias, or else the lowest; delete what a lost answer left beside it.

    Versions that have an alias, were ever moved to a stage, or were registered by other means are not deleted.
    """
    from mlflow.exceptions import MlflowException

    if len(versions) < 2:
        return versions[0] if versions else None
    aliased = {str(number) for number in (aliases_of(store, model_name) or {}).values()}
    kept = next((one for one in versions if str(one.version) in aliased), versions[0])
    for one in versions:
        if one is not kept and str(one.version) not in aliased and _is_untouched(one):
            try:
                store.client.delete_model_version(model_name, one.version)
            except MlflowException as error:
                if not is_missing(error):
                    raise
    return kept


def _is_untouched(version: ModelVersion) -> bool:
    moved = (version.current_stage or "None") != "None" or STAGE_TAG in version.tags
    # Other clients write where the files lie.
    return not moved and (version.source or "").startswith("runs:/")


def search_versions(store: Store, query: str) -> list[ModelVersion]:
    """All versions that MLflow's search `query` finds, over all pages."""
    found: list[ModelVersion] = []
    search = store.client.search_model_versions
    for page in all_pages(lambda token: search(query, max_results=200, page_token=token), store.uri):
        found += page
    return found


def quoted(text: str) -> str:
    """`text` for use between single quotes in a search query."""
    return text.replace("'", "''")
