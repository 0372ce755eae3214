"""The file of a SQLite store: its path, its address, and what SQLite's errors about it mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import unquote

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError

PREFIX = "sqlite:///"


def database_path(uri: str) -> Path:
    """The file behind `sqlite:///...`, absolute; raises ConfigError for one that cannot serve several processes."""
    text = uri.removeprefix(PREFIX)
    if text == uri or not text or ":memory:" in text or text.startswith("file:"):
        raise ConfigError(
            f"{uri}: the store must be a file.",
            hint="with three slashes in the project folder: sqlite:///mlflow.db; with four anywhere: "
            "sqlite:////folder/mlflow.db",
        )
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
            hint="name another place: MLFLOW_TRACKING_URI=sqlite:////folder/mlflow.db",
        )
    return uri


def sqlite_error(error: sqlite3.Error, path: Path, lock_wait_s: float) -> CryptomlError:
    """`error` of the database at `path` as an error with a hint."""
    text = str(error)
    if "locked" in text:
        return UnavailableError(
            f"{path}: another program has kept the database locked for {lock_wait_s:g} s.",
            hint="end that program or wait for it, then try again",
        )
    if "readonly" in text or "unable to open" in text:
        return AccessError(f"{path}: cannot be opened for writing.", hint="make file and folder writable")
    if "not a database" in text or "malformed" in text:
        return ConfigError(f"{path}: this is not a database, or a damaged one.", hint="move the file away")
    return UnavailableError(f"{path}: the database cannot be used: {text}.")
