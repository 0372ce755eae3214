"""How many runs of the project's own SQLite store are not in the store in use yet; quick, without mlflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from cryptoml.settings import Settings
from cryptoml.tracking.store.errors import masked

_RUNS = """
SELECT runs.run_uuid FROM runs JOIN experiments ON runs.experiment_id = experiments.experiment_id
WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'
"""


def local_store_with_runs(settings: Settings) -> int | None:
    """The number of runs in mlflow.db of the project folder that were not moved to the store in use yet.

    None when that file is the store in use, does not exist or cannot be read. Only the project's experiment counts.
    What was moved is known from the notes of `cryptoml sync --from` in this project, not from the store itself.
    """
    from cryptoml.tracking.moving.run_mover import notes_path
    from cryptoml.tracking.moving.target_runs import arrived_runs

    path = settings.project_dir / "mlflow.db"
    uri = settings.mlflow_uri()
    if not path.is_file() or uri == f"sqlite:///{path}":
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1.0)) as database:
            found = {str(run_id) for (run_id,) in database.execute(_RUNS, (settings.experiment_name,))}
    except sqlite3.Error:
        return None
    return len(found - arrived_runs(notes_path(settings), masked(uri)))


def local_runs_note(settings: Settings) -> str | None:
    """A sentence about runs that are still only in the project's own store; None when there are none."""
    count = local_store_with_runs(settings)
    if not count:
        return None
    runs = "1 run is" if count == 1 else f"{count:,} runs are"
    return (
        f"{runs} in the local store mlflow.db and not in {masked(settings.mlflow_uri())}; copy them: "
        "cryptoml sync --from sqlite:///mlflow.db"
    )
