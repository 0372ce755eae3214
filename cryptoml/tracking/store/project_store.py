"""Open the project's tracking store, for all commands, each with its access mode.

`tracking.moving.read_only` opens the source store of `sync --from`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptoml import events
from cryptoml.errors import ConfigError, UnavailableError, UsageError
from cryptoml.settings import Settings

if TYPE_CHECKING:
    from cryptoml.tracking.store.preflight import ArtifactLocation
    from cryptoml.tracking.store.store import Store

# A local server that is starting, or shares the CPU with a training, needs longer than the network does.
LOOPBACK_TIMEOUT_S = 8.0
LOOPBACK_RETRY_S = 8.0
FIRST_PAUSE_S = 1.0


@dataclass(frozen=True)
class AccessMode:
    """What opening the store may change.

    creates: create a missing SQLite file, else raise UsageError. migrates: migrate a database of an older MLflow, else
    raise ConfigError. relocates: rewrite the artifact locations of a moved project, else resolve them in memory.
    checks_rights: raise AccessError for read-only credentials of a server.
    """

    creates: bool
    migrates: bool
    relocates: bool
    checks_rights: bool


# compare, predict, monitor and promote --history read an existing store.
READ = AccessMode(creates=False, migrates=False, relocates=False, checks_rights=False)
# doctor, setup-remotes --read-only and sync --from --dry-run test the connection, also to an empty store.
INSPECT = AccessMode(creates=True, migrates=False, relocates=False, checks_rights=False)
# ui: the MLflow UI reads the artifact locations from the database.
BROWSE = AccessMode(creates=True, migrates=False, relocates=True, checks_rights=False)
# register and promote change an existing store, and compute for a while before the first write.
CHANGE = AccessMode(creates=False, migrates=True, relocates=True, checks_rights=True)
# sync delivers runs, also to a new store.
DELIVER = AccessMode(creates=True, migrates=True, relocates=True, checks_rights=True)
# train and setup-remotes check write permission themselves, with the preflight check and a round trip.
TRAIN = AccessMode(creates=True, migrates=True, relocates=True, checks_rights=False)


def open_project_store(
    settings: Settings,
    mode: AccessMode = TRAIN,
    *,
    retry_s: float | None = None,
    lock_wait_s: float | None = None,
    on_event: events.OnEvent = events.ignore,
) -> Store:
    """Open the current store; raise CryptomlError within seconds.

    An unavailable store is retried for `retry_s`; by default, only a refused connection to this machine is retried,
    because the server may be starting. A locked SQLite database is waited for up to `lock_wait_s`.
    """
    settings.check_connected()
    _check_store_folder(settings)
    if not mode.creates:
        _check_exists(settings.mlflow_uri())
    store = _open_with_retries(settings, mode, retry_s, lock_wait_s, on_event)
    if mode.checks_rights:
        try:
            _check_write_access(settings)
        except BaseException:
            store.close()
            raise
    return store


def _open_with_retries(
    settings: Settings,
    mode: AccessMode,
    retry_s: float | None,
    lock_wait_s: float | None,
    on_event: events.OnEvent,
) -> Store:
    from tenacity import Retrying, retry_if_exception, stop_before_delay, wait_exponential

    from cryptoml.tracking.store.sqlite_store import LOCK_WAIT_S
    from cryptoml.tracking.store.store import open_store

    def report(sentence: str) -> None:
        on_event(events.Info(sentence))

    user, password = settings.mlflow_credentials() or (None, None)
    uri = settings.mlflow_uri()
    # Import before any timeout starts.
    import requests  # noqa: F401

    def is_temporary(error: BaseException) -> bool:
        if not isinstance(error, UnavailableError) or uri.startswith("sqlite:"):
            return False
        return retry_s is not None or (_is_loopback(uri) and "refused" in error.fact)

    retrying = Retrying(
        retry=retry_if_exception(is_temporary),
        wait=wait_exponential(multiplier=FIRST_PAUSE_S),
        stop=stop_before_delay(LOOPBACK_RETRY_S if retry_s is None else retry_s),
        reraise=True,
    )
    return retrying(
        open_store,
        uri,
        timeout_s=request_timeout_s(settings),
        username=user,
        password=password,
        artifacts_root=_artifacts_root(settings),
        on_relocation=report if mode.relocates else None,
        migrate=mode.migrates,
        lock_wait_s=LOCK_WAIT_S if lock_wait_s is None else lock_wait_s,
        on_event=on_event,
    )


def _check_exists(uri: str) -> None:
    """Raise UsageError if the store is a SQLite file that does not exist."""
    from cryptoml.tracking.store.sqlite_file import database_path

    if uri.startswith("sqlite:") and not (path := database_path(uri)).exists():
        raise UsageError(
            f"{path}: the tracking store does not exist yet.",
            hint="run the command in your project folder; in a new project: cryptoml train",
        )


def _check_store_folder(settings: Settings) -> None:
    """Raise ConfigError if the store's folder is missing but the project has a store: the project was moved."""
    from cryptoml.tracking.store.sqlite_file import database_path

    uri, local = settings.mlflow_uri(), settings.project_dir / "mlflow.db"
    if uri.startswith("sqlite:") and local.is_file() and not (path := database_path(uri)).parent.exists():
        raise ConfigError(
            f"{path}: the store's folder does not exist; it is not created because this project already has {local}.",
            hint=f"if the project was moved: MLFLOW_TRACKING_URI=sqlite:///mlflow.db; else: mkdir -p '{path.parent}'",
        )


def has_outdated_database(settings: Settings) -> bool:
    """Return whether the current store is a SQLite file of an older MLflow."""
    from cryptoml.tracking.store.sqlite_file import database_path
    from cryptoml.tracking.store.sqlite_store import is_outdated

    uri = settings.mlflow_uri()
    return uri.startswith("sqlite:") and is_outdated(database_path(uri))


def check_project_store(settings: Settings, *, on_event: events.OnEvent = events.ignore) -> ArtifactLocation | None:
    """Raise if runs cannot be written: experiment deleted, no write permission, no response.

    Return the artifact location, for `check_project_location`; None for a database, whose driver, schema and artifact
    location are checked here by opening it.
    """
    from cryptoml.tracking.store.preflight import check_training_store

    settings.check_connected()
    _check_store_folder(settings)
    if is_database(settings):
        with open_project_store(settings, TRAIN, retry_s=0, on_event=on_event) as store:
            store.experiment_id(settings.experiment_name)
        return None
    return check_training_store(
        settings.mlflow_uri(),
        settings.experiment_name,
        timeout_s=settings.store_timeout_s,
        credentials=settings.mlflow_credentials(),
        artifacts_root=_artifacts_root(settings),
    )


def check_project_location(settings: Settings, location: ArtifactLocation) -> None:
    """Raise if this machine cannot write artifacts to `location`: no proxying, driver or credentials."""
    from cryptoml.tracking.store.preflight import check_artifact_location

    check_artifact_location(
        settings.mlflow_uri(),
        location,
        timeout_s=settings.store_timeout_s,
        credentials=settings.mlflow_credentials(),
    )


def is_database(settings: Settings) -> bool:
    """Return whether the current store is a database server."""
    return not settings.mlflow_uri().startswith(("sqlite:", "http://", "https://"))


def _artifacts_root(settings: Settings) -> str | None:
    from cryptoml.tracking.store.artifacts.access import root_uri

    return root_uri(settings.artifact_root, base=settings.project_dir) if settings.artifact_root else None


def _check_write_access(settings: Settings) -> None:
    """Raise AccessError if the credentials for the current server are read-only."""
    from cryptoml.tracking.store import preflight

    uri = settings.mlflow_uri()
    if uri.startswith(("http://", "https://")):
        preflight.check_write_access(
            uri,
            settings.experiment_name,
            timeout_s=request_timeout_s(settings),
            credentials=settings.mlflow_credentials(),
        )


def request_timeout_s(settings: Settings) -> float:
    """Return the timeout in seconds for a response of the current store."""
    loopback = _is_loopback(settings.mlflow_uri())
    return max(settings.store_timeout_s, LOOPBACK_TIMEOUT_S) if loopback else settings.store_timeout_s


def _is_loopback(uri: str) -> bool:
    from cryptoml.tracking.store.server_probe import is_loopback

    try:
        parts = urlsplit(uri)
    except ValueError:
        # Opening the store reports the invalid address.
        return False
    return parts.scheme in ("http", "https") and is_loopback(parts.hostname or "")
