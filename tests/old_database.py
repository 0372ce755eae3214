"""A database as an older MLflow left it: built at an older schema revision, with an experiment and a run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

OLD_REVISION = "cc1f77228345"


def make_old_database(path: Path) -> Path:
    """Create the database at `path`; experiment 7 is "old" and has one run."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    config = _get_alembic_config(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD_REVISION)
    engine.dispose()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'old', 'active')")
        database.execute(
            "INSERT INTO runs (run_uuid, name, user_id, source_type, status, start_time, end_time, lifecycle_stage,"
            " artifact_uri, experiment_id)"
            " VALUES ('r1', 'older', 'ada', 'LOCAL', 'FINISHED', 1, 2, 'active', '/tmp/a', 7)"
        )
        database.execute("INSERT INTO params (key, value, run_uuid) VALUES ('seed', '1', 'r1')")
        database.execute("INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.runName', 'older', 'r1')")
    return path


def revision_of(path: Path) -> str:
    """The schema revision of the database at `path`."""
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])
