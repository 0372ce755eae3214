"""Migrate a SQLite database of an older MLflow, on a copy and after a backup."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from cryptoml import events
from cryptoml.errors import UnavailableError
from cryptoml.system.files import translate_os_errors
from cryptoml.tracking.store.errors import translate_store_errors
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.sqlite_file import database_uri, sqlite_error

# Backup, migrated copy and write-ahead log are each as large as the database.
COPIES = 3
SPARE_BYTES = 16 * 1024 * 1024
LOCK_WAIT_S = 60.0


def migrate_database(path: Path, *, from_revision: str, on_event: events.OnEvent) -> None:
    """Migrate the database at `path` to the latest schema; the caller must hold the file lock.

    The migration runs on a copy and is written back in one SQLite transaction, so that a failure leaves the original
    unchanged. An event reports the backup file, which never replaces an earlier one.
    """
    _check_disk_space(path)
    backup = _backup(path, from_revision)
    on_event(events.Info(f"{path}: migrating the database of an older MLflow; backup: {backup}"))
    copy = path.with_name(f".{path.name}.migrating")
    _remove(copy)
    try:
        with closing(_connect(path)) as original:
            version = _data_version(original)
            _copy(path, copy)
            _upgrade(copy)
            if _data_version(original) != version:
                raise UnavailableError(
                    f"{path}: another program wrote to the database during the migration; the database is unchanged.",
                    hint="stop that program, then try again",
                )
        _copy(copy, path)
    finally:
        _remove(copy)


def _check_disk_space(path: Path) -> None:
    with translate_os_errors(path):
        size = sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())
        free = shutil.disk_usage(path.parent).free
    needed = COPIES * size + SPARE_BYTES
    if free < needed:
        raise UnavailableError(
            f"{path}: migrating this database needs {needed / 1e6:,.0f} MB of free space for a backup and a copy; "
            f"{free / 1e6:,.0f} MB are free.",
            hint="free some space, then try again",
        )


def _backup(path: Path, revision: str) -> Path:
    """Copy the database to an unused name beside it and return the path."""
    number = 1
    while True:
        backup = path.with_name(f"{path.name}.bak" if number == 1 else f"{path.name}.bak{number}")
        with translate_os_errors(backup):
            try:
                backup.touch(exist_ok=False)
            except FileExistsError:
                number += 1
                continue
        break
    try:
        _copy(path, backup)
        with translate_os_errors(backup):
            shutil.copymode(path, backup)
    except BaseException:
        with suppress(OSError):
            backup.unlink()
        raise
    return backup


def _copy(source: Path, target: Path) -> None:
    """Replace the content of `target` with that of `source` in one transaction."""
    try:
        with closing(_connect(source)) as reader, closing(_connect(target)) as writer:
            copy_content(reader, writer, lock_wait_s=LOCK_WAIT_S)
    except sqlite3.Error as error:
        raise sqlite_error(error, target, LOCK_WAIT_S) from error


def copy_content(source: sqlite3.Connection, target: sqlite3.Connection, *, lock_wait_s: float) -> None:
    """Copy a database with SQLite's backup; raise OperationalError if either is locked longer than `lock_wait_s`."""
    deadline = time.monotonic() + lock_wait_s

    def give_up(status: int, remaining: int, total: int) -> None:
        # Python's backup retries a locked database forever.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=give_up)


def _upgrade(copy: Path) -> None:
    import_mlflow()
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    with translate_store_errors(database_uri(copy), "migrate the database to the latest schema"):
        engine = create_sqlalchemy_engine(database_uri(copy))
        try:
            _upgrade_db(engine)
        finally:
            engine.dispose()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_WAIT_S)


def _data_version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA data_version").fetchone()[0])


def _remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        with suppress(OSError):
            file.unlink()
