"""Migrating a SQLite database of an older MLflow: on a copy, after a backup, never half done."""

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

# The backup, the copy that is migrated, and the log of writing it back are each as large as the database.
COPIES = 3
SPARE_BYTES = 16 * 1024 * 1024
LOCK_WAIT_S = 60.0


def migrate_database(path: Path, *, from_revision: str, on_event: events.OnEvent) -> None:
    """Bring the database at `path` to the newest schema; the caller holds the file lock.

    The migration runs on a copy. Its result is written back in one SQLite transaction, so that a failure at any
    point leaves the original as it was. The backup is named in an event and never replaces an earlier one.
    """
    _check_room(path)
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
                    f"{path}: another program wrote to the database while it was migrated; it is unchanged.",
                    hint="end that program, then try again",
                )
        _copy(copy, path)
    finally:
        _remove(copy)


def _check_room(path: Path) -> None:
    with translate_os_errors(path):
        size = sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}-wal")) if one.exists())
        free = shutil.disk_usage(path.parent).free
    needed = COPIES * size + SPARE_BYTES
    if free < needed:
        raise UnavailableError(
            f"{path}: migrating this database needs {needed / 1e6:,.0f} MB of free space for a backup and a copy; "
            f"{free / 1e6:,.0f} MB are free.",
            hint="free some space, then try again",
        )


def _backup(path: Path, revision: str) -> Path:
    """A copy of the database beside it, under a name that was free."""
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
    """Replace the content of `target` by that of `source`, in one transaction."""
    try:
        with closing(_connect(source)) as one, closing(_connect(target)) as other:
            copy_content(one, other, lock_wait_s=LOCK_WAIT_S)
    except sqlite3.Error as error:
        raise sqlite_error(error, target, LOCK_WAIT_S) from error


def copy_content(source: sqlite3.Connection, target: sqlite3.Connection, *, lock_wait_s: float) -> None:
    """SQLite's backup; raises sqlite3.OperationalError when either database is locked for longer than that."""
    deadline = time.monotonic() + lock_wait_s

    def give_up(status: int, remaining: int, total: int) -> None:
        # Python's backup tries a locked database again without end.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=give_up)


def _upgrade(copy: Path) -> None:
    import_mlflow()
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    with translate_store_errors(database_uri(copy), "bring the database to the newest schema"):
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
    for one in path.parent.glob(f"{path.name}*"):
        with suppress(OSError):
            one.unlink()
