"""Opening a store that is only read: a SQLite file by way of a copy, a server with credentials of its own."""

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

CREDENTIALS_HINT = "its user and token go into CRYPTOML_SOURCE_USERNAME and CRYPTOML_SOURCE_PASSWORD"


def full_address(address: str, *, project_dir: Path) -> str:
    """`address` with a SQLite path made absolute, relative to the project; raises UsageError for other kinds."""
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
        raise UsageError(f"{masked(address)}: runs cannot be copied from this kind of store.", hint=ADDRESS_HINT)
    text = address.removeprefix(PREFIX)
    path = database_path(f"{PREFIX}{project_dir / text}" if text else address)
    return f"{PREFIX}{path.resolve()}"


def check_file(path: Path) -> None:
    """Raise UsageError when there is no database file at `path`, or an empty one."""
    if not path.is_file() or path.stat().st_size == 0:
        fact = "this file is empty" if path.is_file() else "there is no such file"
        raise UsageError(f"{path}: {fact}; there are no runs to copy.", hint=ADDRESS_HINT)


@contextmanager
def open_source(address: str, *, work_dir: Path, timeout_s: float, user: User | None = None) -> Iterator[Source]:
    """Open the store at a full address; `work_dir` is an existing folder of the caller for temporary files.

    Without `user`, requests to a server carry the credentials that the environment has at that time. A SQLite store
    is copied to `work_dir` and, if its schema is older, only the copy is migrated. Raises UsageError when the file does
    not exist (it is not made), ConfigError when it is not an MLflow database, AccessError before MLflow's client would
    complete `user` from its own credentials file.
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
            hint=f"{CREDENTIALS_HINT}; for a server without a login, any text will do",
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
    """Copy a database to `copy` and open that, migrated if need be. Raises as `open_source`."""
    check_file(path)
    _copy_database(path, copy, timeout_s)
    try:
        sqlite_store.prepare(copy, artifacts_root=path.parent / ARTIFACTS_FOLDER, lock_wait_s=timeout_s)
        return open_store(f"{PREFIX}{copy}", timeout_s=timeout_s)
    except ConfigError as error:
        raise ConfigError(error.fact.replace(str(copy), str(path)), hint="name another store with --from") from None


def _copy_database(path: Path, copy: Path, timeout_s: float) -> None:
    """A consistent copy, journal and write-ahead log included; the database itself is opened for reading only."""
    failure: sqlite3.Error | None = None
    # A database in WAL mode in a folder that cannot be written can only be read as immutable.
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
    text = str(failure)
    if "locked" in text:
        raise UnavailableError(f"{path}: another program keeps the database locked.", hint="end it, then try again")
    raise ConfigError(f"{path}: this is not a database, or it is damaged: {text}.", hint="name another with --from")
