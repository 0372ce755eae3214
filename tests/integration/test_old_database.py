"""A database of an older MLflow: refused to readers, backed up and migrated for writers, intact when that fails."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest

from cryptoml import events
from cryptoml.errors import ConfigError, UnavailableError
from cryptoml.tracking.store import sqlite_migration
from cryptoml.tracking.store.schema_revisions import latest_revision
from cryptoml.tracking.store.store import open_store
from tests.conftest import Project, make_project
from tests.old_database import OLD_REVISION, make_old_database, revision_of


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_old_database(tmp_path_factory.mktemp("old") / "mlflow.db")


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """An old database of this test's own."""
    return Path(shutil.copyfile(template, tmp_path / "mlflow.db"))


def names(path: Path) -> list[str]:
    """The files beside the database that belong to it, without the file lock."""
    return sorted(one.name for one in path.parent.glob("*mlflow.db*") if not one.name.endswith(".lock"))


def test_a_command_that_reads_names_the_command_that_migrates_and_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=f"an older MLflow wrote this database .*{OLD_REVISION}") as caught:
        open_store(f"sqlite:///{path}", migrate=False)
    assert caught.value.hint.startswith("cryptoml sync")
    assert path.read_bytes() == before
    assert names(path) == ["mlflow.db"]


def test_migration_keeps_every_backup_and_the_content(path: Path) -> None:
    old, seen = path.read_bytes(), []
    for backup in ("mlflow.db.bak", "mlflow.db.bak2"):
        path.write_bytes(old)
        seen.clear()
        with open_store(f"sqlite:///{path}", on_event=seen.append) as store:
            found = store.client.search_runs(["7"])
            assert [(run.info.run_name, run.data.params) for run in found] == [("older", {"seed": "1"})]
        assert any(isinstance(one, events.Info) and one.text.endswith(backup) for one in seen)
        assert revision_of(path) == latest_revision()
    assert names(path) == ["mlflow.db", "mlflow.db.bak", "mlflow.db.bak2"]
    assert {revision_of(path.with_name(name)) for name in ("mlflow.db.bak", "mlflow.db.bak2")} == {OLD_REVISION}


def test_a_migration_that_fails_leaves_the_original_as_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        # A later revision makes a table of this name.
        database.execute("CREATE TABLE trace_info (mine TEXT)")
    before = path.read_bytes()
    with pytest.raises(UnavailableError, match="trace_info"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert names(path) == ["mlflow.db", "mlflow.db.bak"]


def test_a_database_written_to_meanwhile_is_not_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = sqlite_migration._upgrade

    def upgrade_while_another_program_writes(copy: Path) -> None:
        upgrade(copy)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (8, 'x', 'active')")

    monkeypatch.setattr(sqlite_migration, "_upgrade", upgrade_while_another_program_writes)
    with pytest.raises(UnavailableError, match="another program wrote"):
        open_store(f"sqlite:///{path}")
    assert revision_of(path) == OLD_REVISION
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM experiments WHERE experiment_id = 8").fetchone() == ("x",)


def test_too_little_room_for_a_backup_is_found_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    before = path.read_bytes()
    with pytest.raises(UnavailableError, match=r"needs .* MB of free space.* 1 MB are free"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert names(path) == ["mlflow.db"]


@pytest.fixture
def old_project(template: Path, tmp_path: Path) -> Project:
    project = make_project(tmp_path / "project")
    shutil.copyfile(template, project.folder / "mlflow.db")
    return project


def test_compare_asks_for_sync_which_migrates_with_an_empty_journal(old_project: Project) -> None:
    refused = old_project.run("compare")
    assert refused.code == 3, refused.err
    assert "Hint: cryptoml sync" in refused.err
    assert revision_of(old_project.folder / "mlflow.db") == OLD_REVISION
    diagnosis = old_project.run("doctor", "mlflow", "--json")
    assert diagnosis.code == 6
    assert "cryptoml sync" in diagnosis.out
    synced = old_project.run("sync")
    assert synced.code == 0, synced.err
    assert f"backup: {old_project.folder / 'mlflow.db.bak'}" in synced.err
    assert revision_of(old_project.folder / "mlflow.db") == latest_revision()
    assert "backup" not in old_project.run("sync").err
