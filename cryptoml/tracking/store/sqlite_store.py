"""The SQLite store: check it before mlflow opens it; one process at a time creates or migrates it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.system.environment import is_writable
from cryptoml.system.files import locked, replacing, translate_os_errors
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.schema_revisions import known_revisions
from cryptoml.tracking.store.sqlite_file import database_uri, sqlite_error
from cryptoml.tracking.store.sqlite_migration import migrate_database

# How long to wait for a database locked by another program, and how long before the wait is reported.
LOCK_WAIT_S = 60.0
LOCK_QUIET_S = 2.0
_lock_wait_ms = int(LOCK_WAIT_S * 1000)


def prepare(
    path: Path,
    *,
    artifacts_root: Path,
    lock_wait_s: float = LOCK_WAIT_S,
    migrate: bool = True,
    on_event: events.OnEvent = events.ignore,
) -> None:
    """Ensure a writable database with this MLflow's schema at `path`, in WAL mode.

    A new database is created beside `path` and renamed into place under a file lock: processes that start concurrently
    share it, and a crash leaves no partial file. A database with an older schema is backed up and migrated; without
    `migrate`, ConfigError is raised. The lock of another program is waited for up to `lock_wait_s`.
    """
    database_uri(path)
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder, but the store must be a file.", hint="move it away")
    set_lock_timeout(lock_wait_s)
    if _is_usable(path, lock_wait_s, migrate, on_event):
        return
    if not is_writable(path.parent):
        raise AccessError(f"{path.parent}: is not writable.", hint="make the folder writable for this user")
    with translate_os_errors(path), locked(path.with_name(f".{path.name}.lock")):
        if _is_usable(path, lock_wait_s, migrate, on_event):
            return
        if path.exists() and path.stat().st_size:
            migrate_database(path, from_revision=read_revision(path, lock_wait_s), on_event=on_event)
        else:
            _create(path, artifacts_root)


def is_outdated(path: Path, *, lock_wait_s: float = LOCK_WAIT_S) -> bool:
    """Return whether `path` is an MLflow database with an older schema, which a command that writes would migrate."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    head, known = known_revisions()
    return read_revision(path, lock_wait_s, for_writing=False) in known - {head}


def _is_usable(path: Path, lock_wait_s: float, migrate: bool, on_event: events.OnEvent) -> bool:
    """Return whether the database exists and has the latest schema; raise if it can be neither used nor migrated."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    _check_permission(path)
    revision = _read_revision_reporting_locks(path, lock_wait_s, migrate, on_event)
    head, known = known_revisions()
    if revision not in known:
        raise _newer_schema_error(path, revision)
    if revision != head and not migrate:
        raise ConfigError(
            f"{path}: an older MLflow wrote this database (schema {revision}, the installed MLflow needs {head}).",
            hint="cryptoml sync  # makes a backup and migrates the database",
        )
    return revision == head


def _check_permission(path: Path) -> None:
    if not is_writable(path):
        raise AccessError(f"{path}: is not writable.", hint="make the file writable for this user")


def _newer_schema_error(path: Path, revision: str) -> ConfigError:
    return ConfigError(
        f"{path}: a newer MLflow wrote this database (schema {revision}).",
        hint="update mlflow, or set another store in MLFLOW_TRACKING_URI",
    )


def _read_revision_reporting_locks(path: Path, lock_wait_s: float, for_writing: bool, on_event: events.OnEvent) -> str:
    """Read the revision; report a lock that lasts longer than LOCK_QUIET_S, and wait up to `lock_wait_s`."""
    quiet_s = min(LOCK_QUIET_S, lock_wait_s)
    try:
        return read_revision(path, quiet_s, for_writing=for_writing)
    except UnavailableError as error:
        if quiet_s == lock_wait_s or "locked" not in error.fact:
            raise
    on_event(events.Info(f"{path}: the database is locked by another program; waiting up to {lock_wait_s:g} s"))
    return read_revision(path, lock_wait_s, for_writing=for_writing)


def read_revision(path: Path, lock_wait_s: float, *, for_writing: bool = True) -> str:
    """Return the schema revision of the MLflow database at `path`; wait up to `lock_wait_s` while it is locked."""
    try:
        with closing(sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None)) as database:
            # Starting a write transaction detects a lock or a missing permission early.
            database.execute("BEGIN IMMEDIATE" if for_writing else "BEGIN")
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            row = (
                database.execute("SELECT version_num FROM alembic_version").fetchone()
                if {"alembic_version", "experiments"} <= tables
                else None
            )
            database.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        raise sqlite_error(error, path, lock_wait_s) from error
    if row is None:
        raise ConfigError(
            f"{path}: is not an MLflow database.", hint="move it away, or set another store in MLFLOW_TRACKING_URI"
        )
    return str(row[0])


def check_existing(path: Path, *, lock_wait_s: float) -> None:
    """Raise if an existing database cannot be used; does not import MLflow."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    _check_permission(path)
    revision = read_revision(path, lock_wait_s, for_writing=False)
    if revision not in known_revisions()[1]:
        raise _newer_schema_error(path, revision)


def read_experiment(path: Path, name: str, *, lock_wait_s: float) -> tuple[str, str, str] | None:
    """Return id, lifecycle stage and artifact location of an experiment; None if there is none. Without MLflow."""
    if not path.is_file() or path.stat().st_size == 0:
        return None
    try:
        with closing(sqlite3.connect(path, timeout=lock_wait_s)) as database:
            row = database.execute(
                "SELECT experiment_id, lifecycle_stage, artifact_location FROM experiments WHERE name = ?", (name,)
            ).fetchone()
    except sqlite3.DatabaseError as error:
        raise sqlite_error(error, path, lock_wait_s) from error
    return (str(row[0]), str(row[1]), str(row[2])) if row else None


def set_lock_timeout(seconds: float) -> None:
    """Make MLflow's SQLite sessions wait `seconds` for a lock; MLflow sets 20 s in each session."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    global _lock_wait_ms
    _lock_wait_ms = int(seconds * 1000)
    if not event.contains(Engine, "before_cursor_execute", _with_lock_timeout):
        event.listen(Engine, "before_cursor_execute", _with_lock_timeout, retval=True)


def _with_lock_timeout(
    connection: object, cursor: object, statement: str, parameters: Any, context: object, many: bool
) -> tuple[str, Any]:
    if statement.startswith("PRAGMA busy_timeout"):
        statement = f"PRAGMA busy_timeout = {_lock_wait_ms};"
    return statement, parameters


def _create(path: Path, artifacts_root: Path) -> None:
    partial = path.with_name(f".{path.name}.part")
    for leftover in path.parent.glob(f"{partial.name}*"):
        leftover.unlink()
    with replacing(path, part=partial):
        _initialize(partial, artifacts_root)
        with closing(sqlite3.connect(partial)) as database:
            # WAL allows reads during a write; on file systems without support, the mode stays unchanged.
            database.execute("PRAGMA journal_mode=WAL")


def _initialize(path: Path, artifacts_root: Path) -> None:
    import_mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    uri = database_uri(path)
    with translate_store_errors(uri, "create the database"):
        # Opening the store creates the tables and the default experiment, with its artifacts below our root.
        SqlAlchemyStore(uri, str(artifacts_root)).engine.dispose()
