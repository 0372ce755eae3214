"""The schema revisions of the installed MLflow are read from its files, and MLflow checks databases against them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.schema_revisions import (
    known_revisions,
    latest_revision,
    read_revisions,
    use_for_schema_check,
)
from cryptoml.tracking.store.store import open_store
from tests.old_database import make_old_database

import_mlflow()

from alembic.script import ScriptDirectory  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.store.db import utils  # noqa: E402
from mlflow.store.db_migrations import __file__ as migrations  # noqa: E402


def write_chain(folder: Path, **parents: str) -> Path:
    """One migration file for each revision, with `down_revision` as given."""
    for revision, parent in parents.items():
        (folder / f"{revision}_change.py").write_text(f'"""Change."""\nrevision = "{revision}"\n{parent}\n')
    return folder


def test_the_files_give_the_revisions_that_alembic_finds() -> None:
    scripts = ScriptDirectory(str(Path(migrations).parent))
    expected = frozenset(script.revision for script in scripts.walk_revisions())
    assert read_revisions(Path(migrations).parent / "versions") == (scripts.get_current_head(), expected)
    assert known_revisions() == (scripts.get_current_head(), expected)


def test_the_latest_revision_is_nobodys_parent(tmp_path: Path) -> None:
    parents = {"b": "down_revision: str | None = 'c'", "a": "down_revision = 'b'", "c": "down_revision = None"}
    folder = write_chain(tmp_path, **parents)
    (folder / "__init__.py").touch()
    assert read_revisions(folder) == ("a", frozenset("abc"))


@pytest.mark.parametrize(
    "parents",
    [
        {},
        {"a": "down_revision = None", "b": "down_revision = None"},
        {"a": "down_revision = None", "b": "down_revision = 'a'", "c": "down_revision = ('a', 'b')"},
        {"a": "down_revision = 'missing'"},
        {"a": "down_revision = first()"},
        {"a": ""},
    ],
    ids=["no files", "two heads", "a merge", "a missing parent", "computed", "no parent"],
)
def test_anything_but_a_simple_chain_is_left_to_alembic(tmp_path: Path, parents: dict[str, str]) -> None:
    assert read_revisions(write_chain(tmp_path, **parents)) is None


def test_mlflow_accepts_the_schema_by_our_revision(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/mlflow.db"):
        assert utils._get_latest_schema_revision is latest_revision
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(latest_revision(),)]


def test_mlflow_still_refuses_an_outdated_schema(tmp_path: Path) -> None:
    use_for_schema_check()
    path = tmp_path / "mlflow.db"
    make_old_database(path)
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    try:
        with pytest.raises(MlflowException, match=f"expected {latest_revision()}"):
            utils._verify_schema(engine)
    finally:
        engine.dispose()
