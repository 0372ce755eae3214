"""Artifact locations of a SQLite store that was moved or copied with its project.

MLflow writes absolute locations into its database. The folder that the database was in when they were written is
recorded in a table of the database; when it differs from today's folder, locations below the recorded one are resolved
to today's (by readers, which write nothing) or rewritten in one transaction (by commands that write runs).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptoml.errors import UnavailableError
from cryptoml.system.files import locked, translate_os_errors

LOCK_WAIT_S = 30.0
RECORD_TABLE = "cryptoml_store_folder"
# The names that MLflow and cryptoml give to the root of a local store.
ROOT_NAMES = ("mlartifacts", "mlruns")
# Where MLflow keeps locations: table, column, which rows, and whether new files are written there.
_LOCATIONS = (
    ("experiments", "artifact_location", "1", True),
    ("runs", "artifact_uri", "1", False),
    ("logged_models", "artifact_location", "1", False),
    ("model_versions", "source", "1", False),
    ("model_versions", "storage_location", "1", False),
    ("trace_tags", "value", "key = 'mlflow.artifactLocation'", False),
)


@dataclass(frozen=True)
class ArtifactRoots:
    """Today's folder of the store, and folders that it was in before and that locations may still name."""

    folder: Path
    former: tuple[Path, ...] = ()

    def current(self, location: str) -> str:
        """The location below today's folder, for writing; others as they are."""
        path = local_path(location)
        if path is None or not self.former:
            return location
        above = [folder for folder in (self.folder, *self.former) if path.is_relative_to(folder)]
        nearest = max(above, key=lambda folder: len(folder.parts), default=self.folder)
        # One folder may lie inside the other, as after: mkdir new; mv old new/.
        return location if nearest == self.folder else _like(location, self.folder / path.relative_to(nearest))

    def readable(self, location: str) -> str:
        """`current(location)`, or the location itself where its files were not moved along and are still there."""
        moved = self.current(location)
        return location if moved != location and _was_left_behind(location, moved) else moved


@dataclass(frozen=True)
class Relocation:
    """What rewriting changed: locations by number, and how many keep naming files that were not moved along."""

    former: tuple[Path, ...]
    folder: Path
    changed: int
    left_behind: int

    def __str__(self) -> str:
        places = ", ".join(map(str, self.former))
        sentence = f"the project was in {places}: {self.changed:,} artifact locations now point to {self.folder}."
        if self.left_behind:
            runs = (
                f"{self.left_behind:,} others keep pointing there, because their files were not moved or copied along"
            )
            sentence += f" {runs}; copy them into {self.folder}, and the next training adapts the rest."
        return sentence


def read_roots(database: Path, *, lock_wait_s: float = LOCK_WAIT_S) -> ArtifactRoots:
    """Compare the recorded folder with today's; reads only. A database without a record is judged by its locations."""
    folder = database.parent
    with _opened(database, lock_wait_s, "mode=ro") as connection:
        recorded = _recorded(connection)
        found = recorded if recorded is not None else _inferred(connection, folder, database.name)
    return ArtifactRoots(folder, tuple(old for old in found if not _is_same(old, folder)))


def follow(database: Path, *, tell: Callable[[str], None], lock_wait_s: float = LOCK_WAIT_S) -> ArtifactRoots:
    """Rewrite locations below former folders and record today's folder; `tell` gets a sentence if any changed.

    Runs under the store's file lock and in one transaction: processes that start at once do it once.
    """
    if _is_recorded(database, lock_wait_s):
        return read_roots(database, lock_wait_s=lock_wait_s)
    with translate_os_errors(database), locked(database.with_name(f".{database.name}.lock")):
        roots = read_roots(database, lock_wait_s=lock_wait_s)
        with _opened(database, lock_wait_s, "mode=rw") as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            done = _rewrite(connection, roots)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {RECORD_TABLE} (folder TEXT PRIMARY KEY)")
            connection.execute(f"DELETE FROM {RECORD_TABLE}")
            # A former folder stays on record as long as files of runs are only there.
            kept = (roots.folder, *(roots.former if done.left_behind else ()))
            connection.executemany(f"INSERT INTO {RECORD_TABLE} VALUES (?)", [(str(path),) for path in kept])
    if done.changed:
        tell(str(done))
    return read_roots(database, lock_wait_s=lock_wait_s)


def local_path(location: str) -> Path | None:
    """The absolute path that a plain path or a file: address names; None for everything else."""
    if location.startswith("/"):
        return Path(location)
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return Path(unquote(parts.path))
    return None


def _like(location: str, path: Path) -> str:
    """`path` in the form that `location` has."""
    return path.as_uri() if location.startswith("file:") else str(path)


def _was_left_behind(old: str, new: str) -> bool:
    before, after = local_path(old), local_path(new)
    return before is not None and after is not None and not after.exists() and before.exists()


def _is_recorded(database: Path, lock_wait_s: float) -> bool:
    """Whether today's folder is the only one on record, so that there is nothing to write."""
    with _opened(database, lock_wait_s, "mode=ro") as connection:
        recorded = _recorded(connection)
    return recorded is not None and all(_is_same(path, database.parent) for path in recorded)


def _recorded(connection: sqlite3.Connection) -> list[Path] | None:
    """The folders on record; None where no command of this version has written to the database yet."""
    if RECORD_TABLE not in _tables(connection):
        return None
    return [Path(text) for (text,) in connection.execute(f"SELECT folder FROM {RECORD_TABLE}")]


def _inferred(connection: sqlite3.Connection, folder: Path, name: str) -> list[Path]:
    """Return the database's former folder, inferred from the experiments' locations; empty if it did not move.

    A root in another folder may be intended. It counts as moved only if a root of that name is now beside the
    database, or the old root no longer exists, or a database of this name is beside the old root (this one is a copy).
    """
    if "experiments" not in _tables(connection):
        return []
    former: Counter[Path] = Counter()
    for (location,) in connection.execute("SELECT artifact_location FROM experiments WHERE artifact_location <> ''"):
        path = local_path(location)
        if path is None or path.parent.name not in ROOT_NAMES:
            continue
        root = path.parent
        is_moved = (folder / root.name).is_dir() or not root.exists() or (root.parent / name).is_file()
        if is_moved and not _is_same(root.parent, folder):
            former[root.parent] += 1
    return [path for path, _ in former.most_common(1)]


def _rewrite(connection: sqlite3.Connection, roots: ArtifactRoots) -> Relocation:
    changed = left_behind = 0
    tables = _tables(connection)
    for table, column, rows, is_for_writing in _LOCATIONS:
        if not roots.former or table not in tables:
            continue
        query = f"SELECT DISTINCT {column} FROM {table} WHERE {rows} AND {column} LIKE '%/%'"
        for (old,) in connection.execute(query).fetchall():
            new = roots.current(old)
            if new == old:
                continue
            if not is_for_writing and _was_left_behind(old, new):
                left_behind += 1
                continue
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {rows} AND {column} = ?", (new, old))
            changed += 1
    return Relocation(roots.former, roots.folder, changed, left_behind)


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _is_same(one: Path, other: Path) -> bool:
    """Whether both name one folder, by symbolic links as well."""
    if one == other:
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


@contextmanager
def _opened(database: Path, lock_wait_s: float, options: str) -> Iterator[sqlite3.Connection]:
    """A connection that waits for locks; what SQLite says about the database becomes an error made for people."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?{options}", uri=True, timeout=lock_wait_s)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise UnavailableError(
            f"{database}: the artifact locations could not be read or adapted: {error}.",
            hint="end programs that use the database, then try again",
        ) from error
