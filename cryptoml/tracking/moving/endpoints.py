"""Source and target of `sync --from`: check that they differ, choose the source's credentials, open the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptoml import events
from cryptoml.errors import UsageError
from cryptoml.settings import MLFLOW_CREDENTIALS_FILE, SIGNERS, Settings
from cryptoml.system.hosts import ENVIRONMENT, check_host

if TYPE_CHECKING:
    from cryptoml.tracking.store.credentials import User
    from cryptoml.tracking.store.store import Store


def check_addresses(address: str, target: str) -> None:
    """Raise UsageError if the full address `address` is the current store or a file that does not exist."""
    from cryptoml.tracking.moving.read_only import check_file, full_address
    from cryptoml.tracking.store.errors import masked
    from cryptoml.tracking.store.sqlite_file import PREFIX

    current = full_address(target, project_dir=Path()) if target.startswith(PREFIX) else target
    if _normalized(address) == _normalized(current):
        raise UsageError(
            f"{masked(address)}: is the current store; there is nothing to copy.",
            hint="set MLFLOW_TRACKING_URI to the new store, or pass the old one with --from",
        )
    if address.startswith(PREFIX):
        check_file(Path(address.removeprefix(PREFIX)))


def _normalized(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        # Opening the current store reports the invalid address.
        return address
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def source_user(settings: Settings, address: str) -> User | None:
    """Return the source's user; None means the user of the current store, if both are on the same host.

    Another server never gets the credentials of the current store: it gets those configured for it, or the DagsHub
    token if it is DagsHub. Raises AccessError if MLflow's client would add other credentials to the requests.
    """
    from cryptoml.tracking.store.credentials import User

    if urlsplit(address).netloc.lower() == urlsplit(settings.mlflow_uri()).netloc.lower():
        return None
    if not settings.source_password and address.startswith(f"{settings.dagshub_host.rstrip('/')}/"):
        token = settings.dagshub_secret()
        if token is not None:
            return User(settings.dagshub_username or token, token)
    secret = settings.source_password
    if address.startswith(("http://", "https://")):
        _check_own_credentials(settings, address)
    return User(settings.source_username, secret.get_secret_value() if secret else None)


def _check_own_credentials(settings: Settings, address: str) -> None:
    """Raise AccessError if MLflow's client would send credentials meant for the current store to the source."""
    hints = {
        name: f"env -u {name} cryptoml sync --from {address}" for name in SIGNERS if name in settings.origins.places
    }
    if settings.source_password is None and MLFLOW_CREDENTIALS_FILE.expanduser().is_file():
        hints[str(MLFLOW_CREDENTIALS_FILE)] = (
            "set CRYPTOML_SOURCE_USERNAME and CRYPTOML_SOURCE_PASSWORD for that server"
        )
    for secret, hint in hints.items():
        check_host(address, secret=secret, places={ENVIRONMENT}, named_by="--from", origins=settings.origins, hint=hint)


def open_target(settings: Settings, work_dir: Path, *, dry_run: bool, on_event: events.OnEvent) -> Store:
    """Open the current store. A dry run gets a copy of a SQLite store, or an empty store, in `work_dir`."""
    from cryptoml.tracking.moving.read_only import open_copy
    from cryptoml.tracking.store.project_store import DELIVER, INSPECT, open_project_store
    from cryptoml.tracking.store.sqlite_file import PREFIX, database_path
    from cryptoml.tracking.store.store import open_store

    uri = settings.mlflow_uri()
    if not dry_run:
        return open_project_store(settings, DELIVER, on_event=on_event)
    if not uri.startswith(PREFIX):
        # Checking write permission would write to the server.
        return open_project_store(settings, INSPECT, on_event=on_event)
    # Opening the database itself would create or migrate it.
    path = database_path(uri)
    if path.is_file() and path.stat().st_size:
        return open_copy(path, work_dir / "target.db", settings.store_timeout_s)
    return open_store(f"{PREFIX}{work_dir / 'target.db'}", timeout_s=settings.store_timeout_s)
