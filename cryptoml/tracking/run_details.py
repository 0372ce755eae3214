"""Read the artifacts of a run: forecasts, folds, feature importance, data quality report.

Runs of earlier releases have the importance and the quality report in separate files.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.evaluation.comparison import RunDetails
from cryptoml.reports.forecast_files import PREDICTIONS
from cryptoml.tracking.store.errors import is_missing, translate_store_errors
from cryptoml.tracking.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

METADATA = "metadata/training_metadata.json"


def fetch_details(store: Store, run_id: str, name: str, *, file: str = PREDICTIONS) -> RunDetails:
    """Download the artifacts of a run, called `name` in errors; missing ones are None or empty.

    file: the forecasts, below `data`; folds and importance belong to those of the main horizon and are empty otherwise.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        translate_store_errors(store.uri, f"fetch the artifacts of {name}"),
    ):
        target = Path(folder)
        predictions = _fetch(store, run_id, f"data/{file}", target)
        if file != PREDICTIONS:
            return RunDetails(_predictions(predictions) if predictions else None, (), {})
        metadata = _document(store, run_id, METADATA, target) or {}
        importance = metadata.get("feature_importance")
        if importance is None:
            importance = _document(store, run_id, "metadata/feature_importance.json", target) or {}
        return RunDetails(
            _predictions(predictions) if predictions else None, tuple(metadata.get("folds", ())), importance
        )


def fetch_metadata(store: Store, run_id: str, name: str) -> Mapping[str, Any]:
    """Return the metadata of a run, called `name` in errors; empty if there are none."""
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        translate_store_errors(store.uri, f"fetch the metadata of {name}"),
    ):
        return _document(store, run_id, METADATA, Path(folder)) or {}


def fetch_predictions(store: Store, run_id: str, name: str, file: str) -> pd.DataFrame | None:
    """Return the forecasts of a run, called `name` in errors, from a file below `data`; None if it is missing."""
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        translate_store_errors(store.uri, f"fetch the forecasts of {name}"),
    ):
        predictions = _fetch(store, run_id, f"data/{file}", Path(folder))
        return _predictions(predictions) if predictions else None


def fetch_plots(store: Store, run_id: str, name: str) -> dict[str, bytes]:
    """Return the plots of a run, called `name` in errors, by name without the time, as PNG."""
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        translate_store_errors(store.uri, f"fetch the plots of {name}"),
    ):
        for path in store.list_files(run_id, "plots"):
            file = _fetch(store, run_id, path, Path(folder)) if path.endswith(".png") else None
            if file is not None:
                found[re.sub(r"_\d{8}-\d{6}$", "", file.stem)] = file.read_bytes()
    return found


def fetch_quality_reports(store: Store, run_id: str, name: str) -> list[Mapping[str, Any]]:
    """Return the quality report of each file of candles of the run, or none. Raises ValueError for a damaged file."""
    with (
        tempfile.TemporaryDirectory(prefix="cryptoml-") as folder,
        translate_store_errors(store.uri, f"fetch the quality report of {name}"),
    ):
        metadata = _document(store, run_id, METADATA, Path(folder)) or {}
        of_pool: list[Mapping[str, Any]] = metadata.get("quality_reports", [])
        if of_pool:
            return of_pool
        report = metadata.get("quality_report") or _document(store, run_id, "data/quality_report.json", Path(folder))
        return [report] if report else []


def _document(store: Store, run_id: str, path: str, target: Path) -> dict[str, Any] | None:
    file = _fetch(store, run_id, path, target)
    if file is None:
        return None
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def _fetch(store: Store, run_id: str, path: str, target: Path) -> Path | None:
    from mlflow.exceptions import MlflowException

    try:
        return store.download(run_id, path, target)
    except FileNotFoundError:
        return None
    except MlflowException as error:
        # Each artifact repository reports a missing file in an existing folder in its own way.
        if is_missing(error) or "No such" in str(error) or "does not exist" in str(error):
            return None
        raise


def _predictions(path: Path) -> pd.DataFrame:
    import pandas as pd

    # By default, the last digit of a number may differ from the one in the file.
    table = pd.read_csv(path, float_precision="round_trip")
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True)
    return table.set_index("timestamp").sort_index(kind="stable")
