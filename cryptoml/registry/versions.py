"""Register a run's model once, and read versions and aliases from the model registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptoml.errors import CheckFailedError, UnavailableError, UsageError
from cryptoml.registry.version_search import (
    aliases_of,
    model_or_none,
    quoted,
    remove_duplicate_versions,
    search_versions,
    versions_of_run,
)
from cryptoml.tracking.runs import LIST_RUNS
from cryptoml.tracking.store.errors import exists_already, is_missing, masked, translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from cryptoml.tracking.store.store import Store

MODEL_PATH = "models/model"
PRODUCTION = "production"
READY_WITHIN_S = 60.0
_POLL_S = 0.5


@dataclass(frozen=True)
class Version:
    """A version in the registry. `aliases` are authoritative; `stage` is the deprecated stage field.

    is_new: whether this call created the version. created_ms: Unix time in milliseconds.
    """

    model_name: str
    version: str
    run_id: str
    source: str
    stage: str
    aliases: tuple[str, ...]
    description: str
    tags: Mapping[str, str]
    created_ms: int
    is_new: bool = False


def register_version(
    store: Store,
    *,
    run_id: str,
    model_name: str,
    artifact_path: str = MODEL_PATH,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    is_model_there: bool = False,
    ready_within_s: float = READY_WITHIN_S,
) -> Version:
    """Register the run's model as a version of `model_name`, created if needed; no-op if it is already registered.
    Raises CheckFailedError if the run did not finish or has no model, UsageError if the run does not exist.
    """
    source = f"runs:/{run_id}/{artifact_path}"
    with translate_store_errors(store.uri, f"register run {run_id}"):
        if not is_model_there:
            ensure_model(store, model_name)
        earlier = remove_duplicate_versions(
            store, model_name, versions_of_run(store, model_name, run_id, artifact_path)
        )
        if earlier:
            return _reload(store, earlier)
        _check_run(store, run_id, artifact_path)
        created = send_once(
            store,
            lambda: store.client.create_model_version(
                model_name,
                source,
                run_id,
                tags=dict(tags or {}),
                description=description or None,
                await_creation_for=0,
            ),
            lambda: remove_duplicate_versions(
                store, model_name, versions_of_run(store, model_name, run_id, artifact_path)
            ),
            valid=lambda version: bool(version.version),
        )
        _wait_until_ready(store, created, ready_within_s)
        # Another process may have registered the same run concurrently.
        kept = (
            remove_duplicate_versions(store, model_name, versions_of_run(store, model_name, run_id, artifact_path))
            or created
        )
        return replace(_reload(store, kept), is_new=str(kept.version) == str(created.version))


def get_version(store: Store, model_name: str, version: str) -> Version:
    """Return a version; raise UsageError if it does not exist."""
    from mlflow.exceptions import MlflowException

    with translate_store_errors(store.uri, f"read version {version} of {model_name}"):
        try:
            return _view(store.client.get_model_version(model_name, version))
        except MlflowException as error:
            if is_missing(error):
                latest = ", ".join(f"v{item.version}" for item in list_versions(store, model_name)[:5])
                raise UsageError(
                    f"{masked(store.uri)}: {model_name} has no version {version}.",
                    hint=f"the latest versions are {latest}"
                    if latest
                    else "create one with cryptoml train or cryptoml register",
                ) from None
            raise


def version_of_run(store: Store, model_name: str, run_id: str) -> Version | None:
    """Return the version of the run's model; None if it is not registered."""
    with translate_store_errors(store.uri, f"look up the versions of run {run_id}"):
        versions = versions_of_run(store, model_name, run_id, MODEL_PATH)
        return _view(versions[0]) if versions else None


def versions_without_aliases(store: Store, model_name: str) -> tuple[Version, ...]:
    """Return all versions of a model, newest first, without their aliases, which are a request of their own."""
    with translate_store_errors(store.uri, f"list the versions of {model_name}"):
        versions = [_view(entity) for entity in search_versions(store, f"name = '{quoted(model_name)}'")]
    return tuple(sorted(versions, key=lambda version: int(version.version), reverse=True))


def list_versions(store: Store, model_name: str) -> tuple[Version, ...]:
    """Return all versions of a model with their aliases, newest first; empty if the model does not exist."""
    versions: list[Version] = []
    with translate_store_errors(store.uri, f"list the versions of {model_name}"):
        aliases = aliases_of(store, model_name)
        if aliases is None:
            return ()
        for entity in search_versions(store, f"name = '{quoted(model_name)}'"):
            names = {name for name, number in aliases.items() if str(number) == str(entity.version)}
            versions.append(replace(_view(entity), aliases=tuple(sorted(names))))
    return tuple(sorted(versions, key=lambda version: int(version.version), reverse=True))


def version_at(store: Store, model_name: str, alias: str) -> Version | None:
    """Return the version that the alias points to; None if the alias is not set."""
    with translate_store_errors(store.uri, f"read the alias {alias} of {model_name}"):
        number = (aliases_of(store, model_name) or {}).get(alias)
        return None if number is None else _view(store.client.get_model_version(model_name, str(number)))


def production_version(store: Store, model_name: str) -> Version | None:
    """Return the version in production; None if there is none."""
    return version_at(store, model_name, PRODUCTION)


def ensure_model(
    store: Store,
    model_name: str,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    is_new: bool = False,
) -> Mapping[str, str]:
    """Create the registered model unless it exists, add the tags that it lacks, and return all its tags.

    is_new: whether it did not exist just now, so that it is created without looking.

    Must be called inside `translate_store_errors`.
    """
    from mlflow.exceptions import MlflowException

    model = None if is_new else model_or_none(store, model_name)
    if model is None:
        try:
            model = send_once(
                store,
                lambda: store.client.create_registered_model(
                    model_name, tags=dict(tags or {}), description=description or None
                ),
                lambda: model_or_none(store, model_name),
                valid=lambda model: bool(model.name),
            )
        except MlflowException as error:
            if not exists_already(error):
                raise
            model = model_or_none(store, model_name)
    found = dict(model.tags or {}) if model is not None else {}
    for name, value in (tags or {}).items():
        if name not in found:
            store.client.set_registered_model_tag(model_name, name, value)
    return {**(tags or {}), **found}


def _check_run(store: Store, run_id: str, artifact_path: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
            raise UsageError(f"{masked(store.uri)}: run {run_id} does not exist.", hint=LIST_RUNS) from None
        raise
    if run.info.status != "FINISHED":
        raise CheckFailedError(
            f"run {run.info.run_name or run_id} is {run.info.status}; only FINISHED runs can be registered.",
            hint=LIST_RUNS,
        )
    if f"{artifact_path}/MLmodel" not in store.list_files(run_id, artifact_path):
        raise CheckFailedError(f"run {run.info.run_name or run_id} has no model at {artifact_path}.", hint=LIST_RUNS)


def _wait_until_ready(store: Store, version: ModelVersion, within_s: float) -> None:
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    if version.status == "PENDING_REGISTRATION":
        retrying = Retrying(
            retry=retry_if_result(lambda current: current.status == "PENDING_REGISTRATION"),
            wait=wait_fixed(_POLL_S),
            stop=stop_after_delay(within_s),
        )
        try:
            version = retrying(store.client.get_model_version, version.name, version.version)
        except RetryError:
            raise UnavailableError(
                f"version {version.version} of {version.name} is not ready after {within_s:.0f} s.",
                hint="check its status in the MLflow UI",
            ) from None
    if version.status != "READY":
        raise UnavailableError(
            f"version {version.version} of {version.name} could not be created: {version.status_message}."
        )


def _reload(store: Store, entity: ModelVersion) -> Version:
    # On some servers, search results have no aliases.
    return _view(store.client.get_model_version(entity.name, entity.version))


def _view(entity: ModelVersion) -> Version:
    return Version(
        model_name=entity.name,
        version=str(entity.version),
        run_id=entity.run_id or "",
        source=entity.source or "",
        stage=(entity.current_stage or "None").lower(),
        aliases=tuple(sorted(entity.aliases or ())),
        description=entity.description or "",
        tags=dict(entity.tags or {}),
        created_ms=entity.creation_timestamp or 0,
    )
