"""What the artifacts of a run hold: its forecasts, its folds, its importance."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.evaluation.comparison import RunDetails
from cryptoml.tracking.store.errors import is_missing, store_in_words
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


def fetch_details(store: Store, run_id: str, name: str) -> RunDetails:
    """Fetch the artifacts of the run, called `name` in errors; what it lacks stays empty."""
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        store_in_words(store.uri, f"fetch the artifacts of {name}"),
    ):
        target = Path(folder)
        predictions = _fetch(store, run_id, "data/predictions.csv.gz", target)
        metadata = _fetch(store, run_id, "metadata/training_metadata.json", target)
        importance = _fetch(store, run_id, "metadata/feature_importance.json", target)
        return RunDetails(
            _predictions(predictions) if predictions else None,
            tuple(json.loads(metadata.read_text(encoding="utf-8"))["folds"]) if metadata else (),
            json.loads(importance.read_text(encoding="utf-8")) if importance else {},
        )


def _fetch(store: Store, run_id: str, path: str, target: Path) -> Path | None:
    from mlflow.exceptions import MlflowException

    try:
        return store.download(run_id, path, target)
    except FileNotFoundError:
        return None
    except MlflowException as error:
        # A folder that is there and a file that is not: each repository says it its own way.
        if is_missing(error) or "No such" in str(error) or "does not exist" in str(error):
            return None
        raise


def _predictions(path: Path) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_csv(path)
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True)
    return table.set_index("timestamp").sort_index(kind="stable")
