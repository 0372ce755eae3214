"""The file of a SQLite store: its path, its address, and translation of SQLite's errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import unquote

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError

PREFIX = "sqlite:///"


def database_path(uri: str) -> Path:
    """Return the absolute path of `sqlite:///...`; raise ConfigError if it is no file that processes can share."""
    location = uri.removeprefix(PREFIX)
    if location == uri or not location or ":memory:" in location or location.startswith("file:"):
        raise ConfigError(
            f"{uri}: the store must be a file.",
            hint="use three slashes for a file in the project folder: sqlite:///mlflow.db; four for an absolute path: "
            "sqlite:////folder/mlflow.db",
        )
    path = Path(location)
    decoded = Path(unquote(location))
    # A copied address may be percent-encoded; a folder with the literal name takes precedence.
    if not path.parent.is_dir() and decoded.parent.is_dir():
        path = decoded
    return path if path.is_absolute() else Path.cwd() / path


def database_uri(path: Path) -> str:
    """Return the address of `path`; raise ConfigError for names that mlflow or its libraries would change."""
    from sqlalchemy.engine import make_url

    uri = f"{PREFIX}{path}"
    try:
        is_same = make_url(uri).database == str(path)
    except ValueError:
        is_same = False
    if not is_same or "%" in str(path):
        raise ConfigError(
            f"{path}: the store's path must not contain % or ?.",
            hint="choose another path: MLFLOW_TRACKING_URI=sqlite:////folder/mlflow.db",
        )
    return uri


def sqlite_error(error: sqlite3.Error, path: Path, lock_wait_s: float) -> CryptomlError:
    """Return `error` of the database at `path` as an error with a hint."""
    text = str(error)
    if "locked" in text:
        return UnavailableError(
            f"{path}: the database has been locked by another program for {lock_wait_s:g} s.",
            hint="stop that program or wait for it, then try again",
        )
    if "readonly" in text or "unable to open" in text:
        return AccessError(f"{path}: cannot be opened for writing.", hint="make file and folder writable")
    if "not a database" in text or "malformed" in text:
        return ConfigError(f"{path}: is not a database, or is damaged.", hint="move the file away")
    return UnavailableError(f"{path}: the database cannot be used: {text}.")
