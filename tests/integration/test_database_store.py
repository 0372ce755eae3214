"""PostgreSQL and MariaDB as the store, artifacts in a bucket: real servers, and what they refuse in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, CryptomlError
from cryptoml.registry.registrar import registrar
from cryptoml.settings import load_settings
from cryptoml.tracking.journal.deliver import deliver
from cryptoml.tracking.journal.journal import Journal
from cryptoml.tracking.store.errors import masked
from cryptoml.tracking.store.store import open_store
from cryptoml.tracking.tracker import Tracker
from tests.conftest import Project
from tests.services import ESCAPED, PASSWORD, mariadb, postgresql, s3_server

PROCESSES = 4
# One process imports mlflow; its children, let go at once, all find an empty database.
HERD = f"""
import os, sys
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.store import open_store
import_mlflow()
import mlflow.store.tracking.sqlalchemy_store
gate, opener = os.pipe()
for number in range({PROCESSES}):
    if os.fork() == 0:
        os.close(opener)
        os.read(gate, 1)
        with open_store(sys.argv[1], timeout_s=30, artifacts_root=sys.argv[2]) as store:
            store.client.create_run(store.experiment_id("coins"), run_name=str(number))
        os._exit(0)
os.close(opener)
sys.exit(any([os.wait()[1] for _ in range({PROCESSES})]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with postgresql() as port:
        yield port


def sql(port: int, statement: str, database: str = "postgres") -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(address(port, database), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def address(port: int, database: str, user: str = "owner", password: str = ESCAPED) -> str:
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"


def herd(uri: str, root: Path) -> None:
    command = [sys.executable, "-c", HERD, uri, root.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def check_herd(uri: str, root: Path) -> None:
    with open_store(uri, timeout_s=30, artifacts_root=root.as_uri()) as store:
        assert len(store.client.search_runs([store.experiment_id("coins")])) == PROCESSES


@pytest.fixture(scope="module")
def database(server: int, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with MLflow's tables, made by several processes at once."""
    sql(server, "CREATE DATABASE mlflow")
    uri = address(server, "mlflow")
    herd(uri, tmp_path_factory.mktemp("root"))
    # Copied before this process opens connections of its own.
    for name, revision in (("older", "cc1f77228345"), ("newer", "ffffffffffff")):
        sql(server, f"CREATE DATABASE {name} TEMPLATE mlflow")
        sql(server, f"UPDATE alembic_version SET version_num = '{revision}'", name)
    return uri


def test_processes_that_start_at_once_on_an_empty_database_share_it(database: str) -> None:
    with open_store(database, timeout_s=30) as store:
        assert len(store.client.search_runs([store.experiment_id("coins")])) == PROCESSES
        with pytest.raises(ConfigError, match="where artifacts of new experiments go") as caught:
            store.experiment_id("another")
        assert "CRYPTOML_ARTIFACT_ROOT" in caught.value.hint
        assert PASSWORD not in repr(store)
        assert ESCAPED not in repr(store) + store.address


def test_a_training_on_it_with_a_bucket_leaves_no_password_anywhere(
    database: str, project: Project, tmp_path: Path
) -> None:
    made = project.run("sample-data", "--years", 0.3, "--seed", 7, "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    with s3_server(tmp_path / "s3") as bucket:
        # Some services hand out the short scheme; the password comes from another variable.
        short = database.replace("postgresql:", "postgres:").replace(ESCAPED, "${PGPASSWORD_ESCAPED}")
        environ = {
            **bucket,
            "PGPASSWORD_ESCAPED": ESCAPED,
            "MLFLOW_TRACKING_URI": short,
            "CRYPTOML_ARTIFACT_ROOT": "s3://models/$TEAM/",
            "TEAM": "quants",
            "MLFLOW_EXPERIMENT_NAME": "with a bucket",
            "CRYPTOML_STORE_TIMEOUT_S": "30",
        }
        done = project.run(
            "train", "--models", "ridge", "--set", "tracking.profile_report=false", "--json", environ=environ
        )
        assert done.code == 0, done.err
        best = done.json()["best"]
        assert isinstance(best, dict)
        checked = project.run("doctor", "settings", "mlflow-address", environ=environ)
        assert checked.code == 0, checked.out
        predicted = project.run("predict", "--model", best["run_id"], "--stale-ok", environ=environ)
        assert predicted.code == 0, predicted.err
    assert list((tmp_path / "s3" / "objects" / "models" / "quants" / "with-a-bucket").rglob("MLmodel"))
    kept = [path.read_bytes() for path in project.folder.rglob("*") if path.is_file()]
    kept += [path.read_bytes() for path in (tmp_path / "s3" / "objects").rglob("*") if path.is_file()]
    said = "".join((done.out, done.err, checked.out, checked.err, predicted.out, predicted.err))
    for secret in (PASSWORD, ESCAPED, bucket["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in said
        assert not [data for data in kept if secret.encode() in data]


@pytest.mark.parametrize(
    ("change", "user", "password", "name", "error", "words"),
    [
        ("", "owner", "wrong", "mlflow", AccessError, "rejected this user"),
        ("", "nobody", "wrong", "mlflow", AccessError, "rejected this user"),
        ("", "owner", ESCAPED, "missing", ConfigError, "this database does not exist"),
        (
            "CREATE DATABASE empty",
            "guest",
            "guest",
            "empty",
            AccessError,
            "no permission to create or use MLflow's tables",
        ),
        ("CREATE DATABASE songs", "owner", ESCAPED, "songs", ConfigError, "another application"),
        ("", "owner", ESCAPED, "older", ConfigError, "older schema"),
        ("", "owner", ESCAPED, "newer", ConfigError, "a newer MLflow"),
    ],
)
def test_a_refusal_by_the_database_is_reported(
    server: int, database: str, change: str, user: str, password: str, name: str, error: type[CryptomlError], words: str
) -> None:
    if change:
        sql(server, change)
    if user == "guest":
        sql(server, "CREATE USER guest PASSWORD 'guest'")
    if name == "songs":
        sql(server, "CREATE TABLE songs (title text)", "songs")
    with pytest.raises(error, match=words) as caught:
        open_store(address(server, name, user, password), timeout_s=10, artifacts_root="s3://models/x")
    assert caught.value.hint
    assert ESCAPED not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("name", ["older", "melodies"])
def test_a_training_finds_a_foreign_schema_before_its_first_fit(
    server: int, database: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database
    if name != "older":
        sql(server, "CREATE DATABASE melodies")
        sql(server, "CREATE TABLE songs (title text)", "melodies")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address(server, name))
    monkeypatch.setenv("CRYPTOML_ARTIFACT_ROOT", "/tmp")
    with (
        Tracker(load_settings(), registrar=registrar, on_event=events.ignore) as work,
        pytest.raises(ConfigError, match=r"older schema|another application"),
    ):
        work.check()


def test_a_journal_that_names_the_store_with_its_password_is_continued(database: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    run = journal.open_run(training_id="t", experiment="coins", run_name=journal.reserve_run_name("ridge"))
    run.log_metrics({"rmse": 1.0}, step=1)
    with open_store(database, timeout_s=30) as store:
        first = deliver(run.entry, store)
        mark = run.entry.delivery()
        assert mark is not None
        assert mark.store == store.address
        run.entry.mark(replace(mark, store=store.uri))
        run.end("FINISHED")
        again = deliver(run.entry, store)
        assert (again.run_id, again.created) == (first.run_id, False)
        assert len(store.client.get_metric_history(first.run_id, "rmse")) == 1
    assert ESCAPED not in "".join(path.read_text() for path in journal.root.rglob("*") if path.is_file())


def test_mariadb_by_the_short_address(tmp_path: Path) -> None:
    with mariadb() as port:
        uri = f"mysql://owner:{ESCAPED}@127.0.0.1:{port}/mlflow"
        herd(uri, tmp_path / "root")
        check_herd(uri, tmp_path / "root")
        with pytest.raises(AccessError, match="rejected this user"):
            open_store(f"mysql://owner:wrong@127.0.0.1:{port}/mlflow", timeout_s=10)
        with pytest.raises(AccessError, match="no permission to create or use MLflow's tables"):
            open_store(f"mysql://owner:{ESCAPED}@127.0.0.1:{port}/missing", timeout_s=10)


@pytest.mark.parametrize(
    ("uri", "package"),
    [("mssql+pymssql://u:s3cret@127.0.0.1/x", "pymssql"), ("postgresql+nodriver://u:s3cret@127.0.0.1/x", "postgres")],
)
def test_a_missing_driver_is_reported_first(uri: str, package: str) -> None:
    with pytest.raises(ConfigError, match="is not installed") as caught:
        open_store(uri)
    assert package in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_passwords_are_masked_in_every_form() -> None:
    for uri in (
        "postgresql://u:p/a@s#s?w@h:5432/d",
        "mysql+pymysql://u:p@h/d?ssl_key_password=p/a@s",
        "postgresql://h/d?user=u&password=p/a@s",
        "https://u:p@h/x.mlflow",
    ):
        shown = masked(uri)
        assert "p/a" not in shown, shown
        assert ":p@" not in shown, shown
    assert masked("https://h/a@b.mlflow") == "https://h/a@b.mlflow"
