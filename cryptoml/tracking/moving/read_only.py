"""Open a store for reading only: a copy of a SQLite file, or a server with separate credentials."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from cryptoml.errors import AccessError, ConfigError, UnavailableError, UsageError
from cryptoml.settings import MLFLOW_CREDENTIALS_FILE
from cryptoml.system.hosts import normalize_address
from cryptoml.tracking.moving.source import Source
from cryptoml.tracking.store import sqlite_store
from cryptoml.tracking.store.artifacts.access import ARTIFACTS_FOLDER
from cryptoml.tracking.store.credentials import CREDENTIALS, User, as_user, set_variables
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.server_probe import check_address
from cryptoml.tracking.store.sqlite_file import PREFIX, database_path
from cryptoml.tracking.store.sqlite_migration import copy_content
from cryptoml.tracking.store.store import Store, open_store

ADDRESS_HINT = "use sqlite:///mlflow.db, sqlite:////folder/mlflow.db, or the http(s) address of an MLflow server"

CREDENTIALS_HINT = "set its user and token in CRYPTOML_SOURCE_USERNAME and CRYPTOML_SOURCE_PASSWORD"


def full_address(address: str, *, project_dir: Path) -> str:
    """Return `address` with an absolute SQLite path, resolved from the project; raise UsageError for other kinds."""
    try:
        address = normalize_address(address)
        if address.startswith(("http://", "https://")):
            check_address(address, with_credentials=False)
    except (ValueError, ConfigError) as error:
        fact = error.fact if isinstance(error, ConfigError) else f"{masked(address)}: {error}."
        raise UsageError(fact, hint=f"{ADDRESS_HINT}; {CREDENTIALS_HINT}") from None
    if address.startswith(("http://", "https://")):
        return address.rstrip("/")
    if not address.startswith(PREFIX):
        raise UsageError(
            f"{masked(address)}: copying runs from this kind of store is not supported.", hint=ADDRESS_HINT
        )
    file = address.removeprefix(PREFIX)
    path = database_path(f"{PREFIX}{project_dir / file}" if file else address)
    return f"{PREFIX}{path.resolve()}"


def check_file(path: Path) -> None:
    """Raise UsageError if the database file does not exist or is empty."""
    if not path.is_file() or path.stat().st_size == 0:
        fact = "the file is empty" if path.is_file() else "the file does not exist"
        raise UsageError(f"{path}: {fact}; there are no runs to copy.", hint=ADDRESS_HINT)


@contextmanager
def open_source(address: str, *, work_dir: Path, timeout_s: float, user: User | None = None) -> Iterator[Source]:
    """Open the store at a full address; `work_dir` is an existing folder for temporary files.

    Without `user`, requests to a server use the credentials in the environment at that time. A SQLite store is copied
    to `work_dir`; if its schema is older, only the copy is migrated. Raises UsageError if the file does not exist,
    ConfigError if it is not an MLflow database, AccessError if MLflow's client would complete `user` from its own
    credentials file.
    """
    if address.startswith(PREFIX):
        path = database_path(address)
        with open_copy(path, work_dir / "source.db", timeout_s) as store:
            yield Source(address, store, database=path, user=None)
        return
    if user is not None and not (user.name and user.password) and MLFLOW_CREDENTIALS_FILE.expanduser().is_file():
        raise AccessError(
            f"{address}: MLflow would send the user and password in {MLFLOW_CREDENTIALS_FILE} to this server. "
            "Nothing was sent.",
            hint=f"{CREDENTIALS_HINT}; for a server without a login, any value works",
        )
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    with as_user(user):
        name, password = (os.environ.get(variable) for variable in CREDENTIALS[:2])
        store = open_store(address, timeout_s=timeout_s, username=name, password=password)
    try:
        yield Source(address, store, database=None, user=user)
    finally:
        store.close()
        set_variables(before)


def open_copy(path: Path, copy: Path, timeout_s: float) -> Store:
    """Copy the database to `copy`, migrate the copy if needed and open it; raise the errors of `open_source`."""
    check_file(path)
    _copy_database(path, copy, timeout_s)
    try:
        sqlite_store.prepare(copy, artifacts_root=path.parent / ARTIFACTS_FOLDER, lock_wait_s=timeout_s)
        return open_store(f"{PREFIX}{copy}", timeout_s=timeout_s)
    except ConfigError as error:
        raise ConfigError(error.fact.replace(str(copy), str(path)), hint="pass another store with --from") from None


def _copy_database(path: Path, copy: Path, timeout_s: float) -> None:
    """Make a consistent copy, including journal and write-ahead log; the database is opened read-only."""
    failure: sqlite3.Error | None = None
    # In a folder that is not writable, a database in WAL mode can only be opened as immutable.
    for options in ("mode=ro", "mode=ro&immutable=1"):
        uri = f"file:{quote(str(path))}?{options}"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=timeout_s)) as source:
                with closing(sqlite3.connect(copy)) as target:
                    copy_content(source, target, lock_wait_s=timeout_s)
                return
        except sqlite3.Error as error:
            failure = failure or error
            copy.unlink(missing_ok=True)
            if "unable to open" not in str(error) and "readonly" not in str(error):
                break
    reason = str(failure)
    if "locked" in reason:
        raise UnavailableError(
            f"{path}: the database is locked by another program.", hint="stop that program, then try again"
        )
    raise ConfigError(f"{path}: is not a database, or is damaged: {reason}.", hint="pass another store with --from")
