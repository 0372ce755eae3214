"""Count the runs of the project's SQLite store that were not copied to the current store, without importing mlflow."""

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
    """Return the number of runs in the project's mlflow.db that were not copied to the current store.

    None if that file is the current store, does not exist or cannot be read. Only runs of the project's experiment
    count. Copied runs are known from the notes of `cryptoml sync --from` in this project, not from the store itself.
    """
    from cryptoml.tracking.moving.run_mover import notes_path
    from cryptoml.tracking.moving.target_runs import arrived_runs

    path = settings.project_dir / "mlflow.db"
    uri = settings.mlflow_uri()
    if not path.is_file() or uri == f"sqlite:///{path}":
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1.0)) as database:
            run_ids = {str(run_id) for (run_id,) in database.execute(_RUNS, (settings.experiment_name,))}
    except sqlite3.Error:
        return None
    return len(run_ids - arrived_runs(notes_path(settings), masked(uri)))


def local_runs_note(settings: Settings) -> str | None:
    """Return a sentence about runs that are only in the project's local store; None if there are none."""
    count = local_store_with_runs(settings)
    if not count:
        return None
    runs = "1 run is" if count == 1 else f"{count:,} runs are"
    return (
        f"{runs} in the local store mlflow.db and not in {masked(settings.mlflow_uri())}; copy them: "
        "cryptoml sync --from sqlite:///mlflow.db"
    )
