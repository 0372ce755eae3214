"""Versions in the model registry: registering a run's model once, and reading versions, aliases and stages."""

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
from cryptoml.tracking.journal.records import Registration
from cryptoml.tracking.store.errors import exists_already, is_missing, masked, translate_store_errors
from cryptoml.tracking.store.lost_responses import send_once

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from cryptoml.tracking.journal.deliver import Register
    from cryptoml.tracking.store.store import Store

MODEL_PATH = "models/model"
PRODUCTION = "production"
READY_WITHIN_S = 60.0
_POLL_S = 0.5


@dataclass(frozen=True)
class Version:
    """A version in the registry. `aliases` are the truth about its place, `stage` is what older pages show.

    `is_new` is False when it was found and not made.
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


def registrar(store: Store) -> Register:
    """What `deliver` calls for each registration that a journal asks for."""

    def register(run_id: str, wish: Registration) -> str:
        return register_version(
            store,
            run_id=run_id,
            model_name=wish.model_name,
            artifact_path=wish.model_path,
            description=wish.description,
            tags=wish.tags,
        ).version

    return register


def register_version(
    store: Store,
    *,
    run_id: str,
    model_name: str,
    artifact_path: str = MODEL_PATH,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    ready_within_s: float = READY_WITHIN_S,
) -> Version:
    """Make the run's model a version of `model_name`, or return the version that it is already.

    Raises CheckFailedError when the run did not finish or has no model, UsageError when there is no such run.
    """
    source = f"runs:/{run_id}/{artifact_path}"
    with translate_store_errors(store.uri, f"register run {run_id}"):
        ensure_model(store, model_name)
        earlier = remove_duplicate_versions(
            store, model_name, versions_of_run(store, model_name, run_id, artifact_path)
        )
        if earlier:
            return _reload(store, earlier)
        _check_run(store, run_id, artifact_path)
        made = send_once(
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
        _wait_until_ready(store, made, ready_within_s)
        # Another process may have registered the same run at the same moment.
        kept = (
            remove_duplicate_versions(store, model_name, versions_of_run(store, model_name, run_id, artifact_path))
            or made
        )
        return replace(_reload(store, kept), is_new=str(kept.version) == str(made.version))


def get_version(store: Store, model_name: str, version: str) -> Version:
    """One version; raises UsageError when there is none of that number."""
    from mlflow.exceptions import MlflowException

    with translate_store_errors(store.uri, f"read version {version} of {model_name}"):
        try:
            return _view(store.client.get_model_version(model_name, version))
        except MlflowException as error:
            if is_missing(error):
                known = ", ".join(f"v{one.version}" for one in list_versions(store, model_name)[:5])
                raise UsageError(
                    f"{masked(store.uri)}: {model_name} has no version {version}.",
                    hint=f"the newest are {known}" if known else "cryptoml train registers one, or cryptoml register",
                ) from None
            raise


def version_of_run(store: Store, model_name: str, run_id: str) -> Version | None:
    """The version that the run's model is, or None."""
    with translate_store_errors(store.uri, f"look up the versions of run {run_id}"):
        found = versions_of_run(store, model_name, run_id, MODEL_PATH)
        return _view(found[0]) if found else None


def list_versions(store: Store, model_name: str) -> tuple[Version, ...]:
    """All versions of a model with their aliases, newest first; none when there is no such model."""
    found: list[Version] = []
    with translate_store_errors(store.uri, f"list the versions of {model_name}"):
        aliases = aliases_of(store, model_name)
        if aliases is None:
            return ()
        for entity in search_versions(store, f"name = '{quoted(model_name)}'"):
            names = {name for name, number in aliases.items() if str(number) == str(entity.version)}
            found.append(replace(_view(entity), aliases=tuple(sorted(names))))
    return tuple(sorted(found, key=lambda one: int(one.version), reverse=True))


def version_at(store: Store, model_name: str, alias: str) -> Version | None:
    """The version that the alias points to, or None."""
    with translate_store_errors(store.uri, f"read the alias {alias} of {model_name}"):
        number = (aliases_of(store, model_name) or {}).get(alias)
        return None if number is None else _view(store.client.get_model_version(model_name, str(number)))


def production_version(store: Store, model_name: str) -> Version | None:
    """The version in production, or None."""
    return version_at(store, model_name, PRODUCTION)


def ensure_model(store: Store, model_name: str, *, description: str = "") -> None:
    """Create the registered model unless it exists. Must be called inside `translate_store_errors`."""
    from mlflow.exceptions import MlflowException

    if model_or_none(store, model_name) is not None:
        return
    try:
        send_once(
            store,
            lambda: store.client.create_registered_model(model_name, description=description or None),
            lambda: model_or_none(store, model_name),
            valid=lambda made: bool(made.name),
        )
    except MlflowException as error:
        if not exists_already(error):
            raise


def _check_run(store: Store, run_id: str, artifact_path: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
            raise UsageError(f"{masked(store.uri)}: there is no run {run_id}.") from None
        raise
    if run.info.status != "FINISHED":
        raise CheckFailedError(
            f"run {run.info.run_name or run_id} is {run.info.status}; only a FINISHED run is registered."
        )
    if f"{artifact_path}/MLmodel" not in store.list_files(run_id, artifact_path):
        raise CheckFailedError(f"run {run.info.run_name or run_id} has no model at {artifact_path}.")


def _wait_until_ready(store: Store, version: ModelVersion, within_s: float) -> None:
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    if version.status == "PENDING_REGISTRATION":
        retrying = Retrying(
            retry=retry_if_result(lambda seen: seen.status == "PENDING_REGISTRATION"),
            wait=wait_fixed(_POLL_S),
            stop=stop_after_delay(within_s),
        )
        try:
            version = retrying(store.client.get_model_version, version.name, version.version)
        except RetryError:
            raise UnavailableError(
                f"version {version.version} of {version.name} is not ready after {within_s:.0f} s.",
                hint="look at it in the MLflow UI",
            ) from None
    if version.status != "READY":
        raise UnavailableError(
            f"version {version.version} of {version.name} could not be made: {version.status_message}."
        )


def _reload(store: Store, entity: ModelVersion) -> Version:
    # A search leaves the aliases out on some servers.
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
