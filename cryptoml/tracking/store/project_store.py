"""Opening the project's tracking store: the one place for all commands, and the access mode of each.

The other store of `sync --from` is opened by `tracking.moving.read_only`.
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

# A server on this machine that starts, or computes beside a training, needs longer than the network does.
LOOPBACK_TIMEOUT_S = 8.0
LOOPBACK_RETRY_S = 8.0
FIRST_PAUSE_S = 1.0


@dataclass(frozen=True)
class AccessMode:
    """What opening the store may do to it.

    creates: make a missing SQLite file; else that is a UsageError. migrates: upgrade the database of an older MLflow;
    else that is a ConfigError. relocates: rewrite the artifact locations of a project that was moved; else they are
    resolved in memory. checks_rights: refuse credentials that may only read from a server.
    """

    creates: bool
    migrates: bool
    relocates: bool
    checks_rights: bool


# compare, predict, monitor and promote --history read what must be there.
READ = AccessMode(creates=False, migrates=False, relocates=False, checks_rights=False)
# doctor, setup-remotes --read-only and sync --from --dry-run test the connection, to an empty store as well.
INSPECT = AccessMode(creates=True, migrates=False, relocates=False, checks_rights=False)
# ui: MLflow's own pages take the artifact locations from the database.
BROWSE = AccessMode(creates=True, migrates=False, relocates=True, checks_rights=False)
# register and promote change what must be there, and compute for a while before the first write.
CHANGE = AccessMode(creates=False, migrates=True, relocates=True, checks_rights=True)
# sync delivers runs, to a new store as well.
DELIVER = AccessMode(creates=True, migrates=True, relocates=True, checks_rights=True)
# train and setup-remotes test the right to write themselves, by the preflight check and by a round trip.
TRAIN = AccessMode(creates=True, migrates=True, relocates=True, checks_rights=False)


def open_project_store(
    settings: Settings,
    mode: AccessMode = TRAIN,
    *,
    retry_s: float | None = None,
    lock_wait_s: float | None = None,
    on_event: events.OnEvent = events.ignore,
) -> Store:
    """Open the store in use for a command; raises CryptomlError within seconds.

    An unavailable store is tried again until `retry_s` have passed; by default only after a refused connection to
    this machine, where the server may be starting. A locked SQLite database is waited for up to `lock_wait_s`.
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
    # Imported before the clock starts.
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
    """Raise UsageError when the store is a SQLite file that is not there."""
    from cryptoml.tracking.store.sqlite_file import database_path

    if uri.startswith("sqlite:") and not (path := database_path(uri)).exists():
        raise UsageError(
            f"{path}: there is no store of runs yet.",
            hint="change to your project's folder; or, in a new project: cryptoml train",
        )


def _check_store_folder(settings: Settings) -> None:
    """Raise ConfigError where the folder of the store is gone and the project has a store: the project was moved."""
    from cryptoml.tracking.store.sqlite_file import database_path

    uri, own = settings.mlflow_uri(), settings.project_dir / "mlflow.db"
    if uri.startswith("sqlite:") and own.is_file() and not (path := database_path(uri)).parent.exists():
        raise ConfigError(
            f"{path}: the folder of the store is not there, and it is not created, as this project has {own}.",
            hint=f"if the project was moved: MLFLOW_TRACKING_URI=sqlite:///mlflow.db; else: mkdir -p '{path.parent}'",
        )


def has_outdated_database(settings: Settings) -> bool:
    """Whether the store in use is a SQLite file of an older MLflow."""
    from cryptoml.tracking.store.sqlite_file import database_path
    from cryptoml.tracking.store.sqlite_store import is_outdated

    uri = settings.mlflow_uri()
    return uri.startswith("sqlite:") and is_outdated(database_path(uri))


def check_project_store(settings: Settings, *, on_event: events.OnEvent = events.ignore) -> ArtifactLocation | None:
    """Raise when runs of this training could not be written: experiment deleted, no right to write, no answer.

    Returns the place of the artifacts, for `check_project_location`; None for a database, which is opened, and whose
    driver, schema and place are checked here.
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


def check_project_location(settings: Settings, place: ArtifactLocation) -> None:
    """Raise when artifacts could not be written to `place` from this machine: no proxying, driver or credentials."""
    from cryptoml.tracking.store.preflight import check_artifact_location

    check_artifact_location(
        settings.mlflow_uri(),
        place,
        timeout_s=settings.store_timeout_s,
        credentials=settings.mlflow_credentials(),
    )


def is_database(settings: Settings) -> bool:
    """Whether the store in use is a database other than a file."""
    return not settings.mlflow_uri().startswith(("sqlite:", "http://", "https://"))


def _artifacts_root(settings: Settings) -> str | None:
    from cryptoml.tracking.store.artifacts.access import root_uri

    return root_uri(settings.artifact_root, base=settings.project_dir) if settings.artifact_root else None


def _check_write_access(settings: Settings) -> None:
    """Raise AccessError when the credentials may only read from the server in use."""
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
    """How long one answer of the store in use is waited for."""
    loopback = _is_loopback(settings.mlflow_uri())
    return max(settings.store_timeout_s, LOOPBACK_TIMEOUT_S) if loopback else settings.store_timeout_s


def _is_loopback(uri: str) -> bool:
    from cryptoml.tracking.store.server_probe import is_loopback

    try:
        parts = urlsplit(uri)
    except ValueError:
        # Opening the store reports the address.
        return False
    return parts.scheme in ("http", "https") and is_loopback(parts.hostname or "")
