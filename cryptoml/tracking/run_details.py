"""What the artifacts of a run hold: its forecasts, its folds, its importance."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.tracking.runs import RunView
from cryptoml.tracking.store.errors import is_missing, store_in_words
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunDetails:
    """predictions: as `ModelResult.predictions`, or None where the run has none.

    folds: as training_metadata.json has them, in order of time. importance: feature -> share, empty where none.
    """

    predictions: pd.DataFrame | None
    folds: tuple[Mapping[str, Any], ...]
    importance: Mapping[str, float]

    def holdout(self) -> pd.DataFrame:
        """The forecasts of the hold-out."""
        assert self.predictions is not None
        return self.predictions[self.predictions["part"] == "holdout"]

    def holdout_losses(self) -> pd.Series[float]:
        """Squared errors of the log return on the hold-out, by time."""
        rows = self.holdout()
        losses: pd.Series[float] = (rows["actual_return"] - rows["forecast_return"]) ** 2
        return losses


def fetch_details(store: Store, run: RunView) -> RunDetails:
    """Fetch them; what a run lacks stays empty."""
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        store_in_words(store.uri, f"fetch the artifacts of {run.name}"),
    ):
        target = Path(folder)
        predictions = _fetch(store, run, "data/predictions.csv.gz", target)
        metadata = _fetch(store, run, "metadata/training_metadata.json", target)
        importance = _fetch(store, run, "metadata/feature_importance.json", target)
        return RunDetails(
            _predictions(predictions) if predictions else None,
            tuple(json.loads(metadata.read_text(encoding="utf-8"))["folds"]) if metadata else (),
            json.loads(importance.read_text(encoding="utf-8")) if importance else {},
        )


def _fetch(store: Store, run: RunView, path: str, target: Path) -> Path | None:
    from mlflow.exceptions import MlflowException

    try:
        return store.download(run.run_id, path, target)
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
