"""The SQLite store: found fit before mlflow touches it, made and migrated by one process at a time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from cryptoml.environment import is_writable
from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.tracking.files import in_words, locked
from cryptoml.tracking.quiet import import_mlflow
from cryptoml.tracking.translate import store_in_words

PREFIX = "sqlite:///"


def database_path(uri: str) -> Path:
    """The file behind `sqlite:///...`, absolute; raises ConfigError for one that cannot serve several processes."""
    text = uri.removeprefix(PREFIX)
    if text == uri or not text or ":memory:" in text or text.startswith("file:"):
        raise ConfigError(f"{uri}: the store must be a file.", mend="use sqlite:////folder/mlflow.db")
    path = Path(text)
    plain = Path(unquote(text))
    # An address copied from elsewhere has %20 and the like; a folder of that very name goes first.
    if not path.parent.is_dir() and plain.parent.is_dir():
        path = plain
    return path if path.is_absolute() else Path.cwd() / path


def database_uri(path: Path) -> str:
    """The address of `path`; raises ConfigError for the few names that mlflow and its libraries read differently."""
    from sqlalchemy.engine import make_url

    uri = f"{PREFIX}{path}"
    try:
        same = make_url(uri).database == str(path)
    except ValueError:
        same = False
    if not same or "%" in str(path):
        raise ConfigError(
            f"{path}: the store cannot lie in a folder with % or ? in its name.",
            mend="name another place: MLFLOW_TRACKING_URI=sqlite:////folder/mlflow.db",
        )
    return uri


def prepare(path: Path, *, artifacts_root: Path, timeout_s: float) -> None:
    """Have a writable database of this mlflow's schema at `path`, in WAL mode.

    A new one is made beside `path` and moved into place whole, under a file lock: processes that start at once
    in an empty folder share it, and a crash leaves no half-made one. An older schema is copied to `.bak` and migrated.
    """
    database_uri(path)
    with in_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise ConfigError(f"{path}: a folder stands where the database should be.", mend="move it away")
    if _is_current(path, timeout_s):
        return
    if not is_writable(path.parent):
        raise AccessError(f"{path.parent}: cannot be written.", mend="make the folder writable for this user")
    with in_words(path), locked(path.with_name(f".{path.name}.lock")):
        if _is_current(path, timeout_s):
            return
        if path.exists() and path.stat().st_size:
            _migrate(path)
        else:
            _create(path, artifacts_root)


def known_revisions() -> tuple[str, frozenset[str]]:
    """The newest schema revision of the installed mlflow, and all that it knows."""
    from alembic.script import ScriptDirectory

    mlflow = import_mlflow()
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    head = scripts.get_current_head()
    return str(head), frozenset(script.revision for script in scripts.walk_revisions())


def _is_current(path: Path, timeout_s: float) -> bool:
    """Whether the database is there and of the newest schema; raises when it can be neither used nor migrated."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    if not is_writable(path):
        raise AccessError(f"{path}: cannot be written.", mend="make the file writable for this user")
    revision = _read_revision(path, timeout_s)
    head, known = known_revisions()
    if revision not in known:
        raise ConfigError(
            f"{path}: a newer MLflow wrote this database (schema {revision}).",
            mend="update mlflow, or name another store in MLFLOW_TRACKING_URI",
        )
    return revision == head


def _read_revision(path: Path, timeout_s: float) -> str:
    try:
        with closing(sqlite3.connect(path, timeout=timeout_s, isolation_level=None)) as database:
            # Asks for the right to write and gives it back: a lock or a missing right shows here, in time.
            database.execute("BEGIN IMMEDIATE")
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            row = (
                database.execute("SELECT version_num FROM alembic_version").fetchone()
                if {"alembic_version", "experiments"} <= tables
                else None
            )
            database.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        raise _in_words(error, path, timeout_s) from error
    if row is None:
        raise ConfigError(
            f"{path}: this database is not MLflow's.", mend="move it away, or name another in MLFLOW_TRACKING_URI"
        )
    return str(row[0])


def _in_words(error: sqlite3.Error, path: Path, timeout_s: float) -> CryptomlError:
    text = str(error)
    if "locked" in text:
        return UnavailableError(
            f"{path}: another program has kept the database locked for {timeout_s:g} s.",
            mend="end that program or wait for it, then try again",
        )
    if "readonly" in text or "unable to open" in text:
        return AccessError(f"{path}: cannot be opened for writing.", mend="make file and folder writable")
    if "not a database" in text or "malformed" in text:
        return ConfigError(f"{path}: this is not a database, or a damaged one.", mend="move the file away")
    return UnavailableError(f"{path}: the database cannot be used: {text}.")


def _create(path: Path, artifacts_root: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    for leftover in path.parent.glob(f"{part.name}*"):
        leftover.unlink()
    _let_mlflow_open(part, artifacts_root)
    with closing(sqlite3.connect(part)) as database:
        # WAL lets readers go on while one process writes; where the file system cannot do it, nothing changes.
        database.execute("PRAGMA journal_mode=WAL")
    part.replace(path)


def _migrate(path: Path) -> None:
    import_mlflow()
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    backup = path.with_name(f"{path.name}.bak")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    with store_in_words(database_uri(path), "bring the database to the newest schema"):
        engine = create_sqlalchemy_engine(database_uri(path))
        _upgrade_db(engine)
        engine.dispose()


def _let_mlflow_open(path: Path, artifacts_root: Path) -> None:
    import_mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    uri = database_uri(path)
    with store_in_words(uri, "make the database"):
        # Opening makes all tables, and the default experiment with its artifacts under our root.
        SqlAlchemyStore(uri, str(artifacts_root)).engine.dispose()
