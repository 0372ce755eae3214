"""The SQLite store for real: made once by whoever comes first, and every fault told in words within seconds."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.tracking.store import sqlite_store
from cryptoml.tracking.store.store import open_store

EXPERIMENT = "crypto-price-prediction"
PROCESSES = 16
FULL = bool(os.environ.get("CRYPTOML_FULL"))
DELIVER_ONE_RUN = """
import sys
from pathlib import Path
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.store.store import open_store

def work(folder):
    journal = Journal(folder / ".cryptoml" / "journal")
    name = journal.reserve_run_name("rf")
    run = journal.open_run(training_id="t", experiment="crypto-price-prediction", run_name=name)
    run.log_params({"seed": 1})
    run.log_metrics({"rmse": 1.0})
    file = folder / f"{run.key}.txt"
    file.write_text("x")
    run.add_artifact(file, "data")
    run.end("FINISHED")
    with open_store(f"sqlite:///{folder}/mlflow.db") as store:
        print(deliver(run.entry, store).run_id, flush=True)
"""
# One process pays for importing mlflow; its children, let go by one signal, then race in earnest.
HERD = f"""{DELIVER_ONE_RUN}
import os
from cryptoml.tracking.store.quiet import import_mlflow
import_mlflow()
import mlflow.store.tracking.sqlalchemy_store
gate, opener = os.pipe()
for _ in range({PROCESSES}):
    if os.fork() == 0:
        os.close(opener)
        os.read(gate, 1)
        work(Path(sys.argv[1]))
        os._exit(0)
os.close(opener)
statuses = [os.wait()[1] for _ in range({PROCESSES})]
sys.exit(any(statuses))
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh database, made once; tests copy it."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    with open_store(f"sqlite:///{path}"):
        pass
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A database of this test's own."""
    return Path(shutil.copyfile(template, tmp_path / "mlflow.db"))


def check_herd(folder: Path, out: str) -> None:
    """Every process has its run, whole, and together they made one store with one experiment."""
    ids = out.split()
    with open_store(f"sqlite:///{folder}/mlflow.db") as store:
        runs = store.client.search_runs([store.experiment_id(EXPERIMENT)])
        assert sorted(run.info.run_id for run in runs) == sorted(ids)
        assert len(ids) == PROCESSES
        numbers = sorted(run.info.run_name.rpartition("_")[2] for run in runs)
        assert numbers == [f"{number:03d}" for number in range(1, PROCESSES + 1)]
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert {tuple(run.data.metrics.items()) for run in runs} == {(("rmse", 1.0),)}
        assert len(store.client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")) == 1
        for run in runs:
            assert len(store.client.list_artifacts(run.info.run_id, "data")) == 1
    assert [one.name for one in folder.glob(".mlflow.db.part*")] == []


@pytest.mark.slow
def test_sixteen_processes_at_once_in_an_empty_folder_give_sixteen_runs(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    command = [sys.executable, "-c", HERD, str(folder)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    check_herd(folder, done.stdout)


@pytest.mark.skipif(not FULL, reason="minutes long: make faults")
@pytest.mark.timeout(900)
def test_sixteen_processes_started_one_by_one_give_sixteen_runs(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    command = [sys.executable, "-c", DELIVER_ONE_RUN + "work(Path(sys.argv[1]))", str(folder)]
    children = [
        subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    answers = [child.communicate(timeout=800) for child in children]
    assert [child.returncode for child in children] == [0] * PROCESSES, answers
    assert {errors for _, errors in answers} == {""}
    check_herd(folder, "".join(out for out, _ in answers))


def test_a_fresh_store_lies_where_it_was_named_whatever_the_current_folder(tmp_path: Path, template: Path) -> None:
    with closing(sqlite3.connect(template)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT artifact_location FROM experiments").fetchall() == [
            (str(template.parent / "mlartifacts" / "0"),)
        ]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    with open_store(f"sqlite:///{template}") as store:
        location = store.client.get_experiment(store.experiment_id("a b/c")).artifact_location
    assert location == (template.parent / "mlartifacts" / "a-b-c").as_uri()
    assert list(elsewhere.iterdir()) == []


def test_what_an_interrupted_creation_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    (tmp_path / ".mlflow.db.part").write_bytes(b"half a database")
    (tmp_path / ".mlflow.db.part-wal").write_bytes(b"half a log")
    with open_store(f"sqlite:///{tmp_path}/mlflow.db") as store:
        assert store.experiment_id("x")
    assert sorted(one.name for one in tmp_path.glob(".mlflow.db.part*")) == []


@contextmanager
def told(error: type[CryptomlError], words: str, *, seconds: float = 4) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(error, match=words):
        yield
    assert time.monotonic() - began < seconds


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    before = path.read_bytes()
    with told(ConfigError, "newer MLflow"):
        open_store(f"sqlite:///{path}")
    with told(ConfigError, "newer MLflow"):
        sqlite_store.check_existing(path, lock_wait_s=1)
    assert path.read_bytes() == before


def test_a_lock_that_lasts_is_an_error(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with told(UnavailableError, "locked by another program for 0.5 s"):
            open_store(f"sqlite:///{path}", lock_wait_s=0.5)
        # A command that only reads is not kept out by a writer.
        open_store(f"sqlite:///{path}", lock_wait_s=0.5, migrate=False).close()
        other.execute("ROLLBACK")
    open_store(f"sqlite:///{path}", lock_wait_s=0.5).close()


def test_a_lock_is_waited_for_and_reported(path: Path) -> None:
    seen: list[events.Event] = []
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(sqlite_store.LOCK_QUIET_S + 1, other.execute, ["ROLLBACK"]).start()
        open_store(f"sqlite:///{path}", on_event=seen.append).close()
    assert [type(one) for one in seen] == [events.Info]
    assert "waiting up to 60 s" in str(seen[0])


def test_mlflow_waits_as_long_for_a_lock_as_we_do(path: Path) -> None:
    from sqlalchemy import text

    with open_store(f"sqlite:///{path}") as store:
        with store.client._tracking_client.store.ManagedSessionMaker() as session:
            assert session.execute(text("PRAGMA busy_timeout")).scalar() == 60_000
        with store.client._get_registry_client().store.ManagedSessionMaker() as session:
            assert session.execute(text("PRAGMA busy_timeout")).scalar() == 60_000


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"these are no tables " * 400)
    with told(ConfigError, "not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == b"these are no tables " * 400


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE songs (title)")
    with told(ConfigError, "not an MLflow database"):
        open_store(f"sqlite:///{path}")


def test_a_folder_at_the_database_path_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with told(ConfigError, "is a folder, but"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_file_at_the_path_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with told(UnavailableError, "cannot be used"):
        open_store(f"sqlite:///{tmp_path}/file/mlflow.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("there", [True, False])
def test_a_read_only_store_is_reported(path: Path, there: bool) -> None:
    if not there:
        path.unlink()
    else:
        path.chmod(0o644)
    path.parent.chmod(0o755)
    for parent in path.parents:
        parent.chmod(parent.stat().st_mode | 0o111)
    # access() asks for the real user, opening for the effective one.
    os.setresuid(65534, 65534, 0)
    try:
        with told(AccessError, "is not writable"):
            open_store(f"sqlite:///{path}")
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:///tmp/mlruns", "not supported"),
        ("mlruns", "not supported"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite://", "must be a file"),
        ("sqlite:////tmp/100%/mlflow.db", "% or"),
        ("sqlite:////tmp/what?/mlflow.db", "% or"),
    ],
)
def test_addresses_that_cannot_be_a_store_are_refused(uri: str, words: str) -> None:
    with told(ConfigError, words):
        open_store(uri)


def test_a_deleted_experiment_is_explained(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as store:
        identifier = store.experiment_id("gone")
        store.client.delete_experiment(identifier)
        with pytest.raises(ConfigError, match="the experiment gone was deleted") as caught:
            store.experiment_id("gone")
        assert caught.value.hint.startswith(f"MLFLOW_TRACKING_URI=sqlite:///{path} MLFLOW_EXPERIMENT_NAME=gone ")
        assert store.find_experiment_id("gone") is None
        assert store.find_experiment_id("never there") is None


def test_an_experiment_made_by_somebody_else_at_the_same_moment_is_taken(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as store:
        identifier = store.experiment_id("raced")
        assert store._make_experiment("raced")[:2] == (identifier, "active")


def test_damage_found_later_is_reported(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as store:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DROP TABLE experiments")
        with told(UnavailableError, "no such table"):
            store.experiment_id("x")
