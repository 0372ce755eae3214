"""A project that is moved or copied: its files stay readable, and nothing is written to the old folder."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cryptoml.doctor.checks_stores import moved_project
from cryptoml.errors import ConfigError
from cryptoml.registry.registrar import registrar
from cryptoml.registry.versions import list_versions
from cryptoml.settings import load_settings
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.round_trip import check_round_trip
from cryptoml.tracking.store.artifacts.roots import RECORD_TABLE, ArtifactRoots, read_roots
from cryptoml.tracking.store.project_store import check_project_store, open_project_store
from cryptoml.tracking.store.store import Store, open_store

EXPERIMENT = "coins"


def opened(folder: Path, told: list[str] | None = None) -> Store:
    """The project's store, as a command that writes runs opens it, or, without `told`, as one that reads."""
    return open_store(f"sqlite:///{folder}/mlflow.db", on_relocation=None if told is None else told.append)


def run_in(folder: Path, store: Store, text: str) -> str:
    journal = Journal(folder / ".cryptoml" / "journal")
    run = journal.open_run(training_id="t", experiment=EXPERIMENT, run_name=journal.reserve_run_name("ridge"))
    model = folder / "new" / "model"
    model.mkdir(parents=True)
    (model / "MLmodel").write_text(text)
    run.add_artifact_folder(model, "models/model")
    run.request_registration(EXPERIMENT)
    run.end("FINISHED")
    shutil.rmtree(folder / "new")
    return deliver(run.entry, store, register=registrar(store)).run_id


def text_of(store: Store, run_id: str, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return store.download(run_id, "models/model/MLmodel", folder).read_text()


def rows(folder: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return database.execute(query).fetchall()


def locations(folder: Path) -> list[str]:
    found = rows(folder, "SELECT artifact_location FROM experiments") + rows(folder, "SELECT artifact_uri FROM runs")
    return sorted(text for (text,) in found)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("made") / "first project"
    folder.mkdir()
    with opened(folder, []) as store:
        run_id = run_in(folder, store, "first")
    return folder, run_id


@pytest.fixture(params=["recorded", "by an earlier version"])
def project(request: pytest.FixtureRequest, template: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """The project in a folder of the test, adapted to it, with one run; a blank in its path."""
    folder = tmp_path / "old place"
    shutil.copytree(template[0], folder)
    opened(folder, []).close()
    if request.param != "recorded":
        with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
            database.execute(f"DROP TABLE {RECORD_TABLE}")
    return folder, template[1]


def test_after_a_move_old_versions_load_and_new_runs_stay_with_the_project(
    project: tuple[Path, str], tmp_path: Path
) -> None:
    old, first = project
    new = old.rename(tmp_path / "new place")
    told: list[str] = []
    with opened(new, told) as store:
        assert text_of(store, first, tmp_path / "a") == "first"
        second = run_in(new, store, "second")
        assert text_of(store, second, tmp_path / "b") == "second"
        assert [version.version for version in list_versions(store, EXPERIMENT)] == ["2", "1"]
        # MLflow's own client, as its pages and other scripts use it, finds them as well.
        assert store.client.download_artifacts(first, "models/model", str(tmp_path / "a"))
        check_round_trip(store)
    assert len(told) == 1
    assert str(old) in told[0]
    assert str(new) in told[0]
    assert not old.exists()
    assert not [text for text in locations(new) if "old%20place" in text or "old place" in text]
    told.clear()
    opened(new, told).close()
    assert told == []


def test_a_store_address_with_the_old_folder_is_refused_and_the_folder_is_not_created_again(
    project: tuple[Path, str], tmp_path: Path
) -> None:
    old, _ = project
    new = old.rename(tmp_path / "new place")
    (new / ".env").write_text(f"MLFLOW_TRACKING_URI=sqlite:///{old}/mlflow.db\n")
    for command in (open_project_store, check_project_store):
        with pytest.raises(ConfigError, match="the store's folder does not exist") as caught:
            command(load_settings(cwd=new))
        assert "MLFLOW_TRACKING_URI=sqlite:///mlflow.db" in caught.value.hint
    assert not old.exists()
    (new / ".env").write_text("MLFLOW_TRACKING_URI=sqlite:///mlflow.db\n")
    open_project_store(load_settings(cwd=new)).close()
    assert not old.exists()


def test_a_copy_is_written_to_and_the_original_is_not(project: tuple[Path, str], tmp_path: Path) -> None:
    old, first = project
    copy = Path(shutil.copytree(old, tmp_path / "copy"))
    before, files = locations(old), sorted(old.glob("mlartifacts/**/*"))
    with opened(copy, []) as store:
        run_in(copy, store, "second")
    assert (locations(old), sorted(old.glob("mlartifacts/**/*"))) == (before, files)
    assert len(list(copy.glob("mlartifacts/*/*/artifacts"))) == 2
    shutil.rmtree(old)
    with opened(copy) as store:
        assert text_of(store, first, tmp_path / "a") == "first"


def test_readers_find_the_files_and_write_nothing(project: tuple[Path, str], tmp_path: Path) -> None:
    old, first = project
    new = old.rename(tmp_path / "new place")
    before = locations(new)
    with opened(new) as store:
        assert text_of(store, first, tmp_path / "a") == "first"
        (finding,) = moved_project(store)
        assert (finding.status, str(old) in finding.text) == ("warning", True)
        assert locations(new) == before
        # Even a command that has not adapted the database writes to today's folder.
        run_in(new, store, "second")
        assert finding.fix is not None
        finding.fix()
    with opened(new) as store:
        assert list(moved_project(store)) == []
    assert not old.exists()
    assert len(list(new.glob("mlartifacts/*/*/artifacts"))) == 2


def test_files_that_were_not_copied_along_are_read_where_they_are(project: tuple[Path, str], tmp_path: Path) -> None:
    old, first = project
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copyfile(old / "mlflow.db", copy / "mlflow.db")
    told: list[str] = []
    with opened(copy, told) as store:
        assert text_of(store, first, tmp_path / "a") == "first"
        run_in(copy, store, "second")
    assert "1 others keep pointing there" in told[0]
    assert len(list(old.glob("mlartifacts/*/*/artifacts"))) == 1
    shutil.copytree(old / "mlartifacts", copy / "mlartifacts", dirs_exist_ok=True)
    with opened(copy, told):
        pass
    shutil.rmtree(old)
    with opened(copy) as store:
        assert text_of(store, first, tmp_path / "a") == "first"
        assert store.roots == ArtifactRoots(copy)


def test_another_name_of_the_same_folder_is_no_move(project: tuple[Path, str], tmp_path: Path) -> None:
    old, _ = project
    link = tmp_path / "link"
    link.symlink_to(old)
    before, told = locations(old), list[str]()
    with opened(link, told) as store:
        assert store.roots is not None
        assert store.roots.former == ()
    assert (told, locations(old)) == ([], before)


def test_a_root_that_somebody_chose_elsewhere_stays(project: tuple[Path, str], tmp_path: Path) -> None:
    old, _ = project
    shared = tmp_path / "shared" / "mlruns"
    (shared / "0").mkdir(parents=True)
    with closing(sqlite3.connect(old / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", (f"{shared}/0",))
    new = old.rename(tmp_path / "new place")
    opened(new, []).close()
    assert f"{shared}/0" in locations(new)
    assert read_roots(new / "mlflow.db").former == ()


@pytest.mark.parametrize(
    ("folder", "former", "location", "now"),
    [
        ("/p/in", "/p", "file:///p/mlartifacts/1", "file:///p/in/mlartifacts/1"),
        ("/p/in", "/p", "/p/in/mlartifacts/1", "/p/in/mlartifacts/1"),
        ("/p", "/p/in", "/p/in/mlruns/1", "/p/mlruns/1"),
        ("/b", "/a", "s3://bucket/a", "s3://bucket/a"),
        ("/b", "/a", "/ab/mlruns", "/ab/mlruns"),
        ("/b", "/a", "mlflow-artifacts:/1", "mlflow-artifacts:/1"),
        ("/b c", "/a", "file:///a/x%20y", "file:///b%20c/x%20y"),
    ],
)
def test_where_a_location_is_now(folder: str, former: str, location: str, now: str) -> None:
    assert ArtifactRoots(Path(folder), (Path(former),)).current(location) == now
