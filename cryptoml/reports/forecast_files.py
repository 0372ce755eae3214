"""Writes the forecasts and the plots of a trained model; runs in worker processes, so it imports little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.training.results import FoldScore


PREDICTIONS = "predictions.csv.gz"


def further_predictions(horizon: int) -> str:
    """Return the name of the file with the forecasts of a further horizon."""
    return f"predictions_h{horizon}.csv.gz"


@dataclass(frozen=True)
class ForecastReport:
    """The forecasts of a model and the texts of its plots; see `ModelResult` for predictions and importance.

    market: the market of a pool that the plots show, else empty. further: predictions by further horizon.
    """

    predictions: pd.DataFrame
    importance: pd.Series[float] | None
    folds: tuple[FoldScore, ...]
    market: str
    title: str
    subtitle: str
    timestamp: str
    interval_level: float | None
    further: Mapping[int, pd.DataFrame] = field(default_factory=dict)


def write_forecasts(folder: Path, report: ForecastReport) -> None:
    """Write the forecasts and the plots of a model to `data` and `plots` in a folder."""
    from cryptoml.reports.plots import draw_all

    (folder / "data").mkdir()
    _write_predictions(folder / "data" / PREDICTIONS, report.predictions)
    for horizon, predictions in report.further.items():
        _write_predictions(folder / "data" / further_predictions(horizon), predictions)
    (folder / "plots").mkdir()
    draw_all(
        folder / "plots",
        predictions=one_market(report.predictions, report.market),
        importance=report.importance,
        fold_rows=report.folds,
        title=report.title,
        subtitle=report.subtitle,
        timestamp=report.timestamp,
        interval_level=report.interval_level,
    )


def _write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.csv

    table = pa.Table.from_pandas(predictions.reset_index(), preserve_index=False)
    # mtime=0: the same forecasts give the same bytes.
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 3, file, mtime=0) as packed,
    ):
        pyarrow.csv.write_csv(table, packed)


def one_market(predictions: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Return the forecasts of one market of a pool; all of them if `symbol` is empty."""
    return predictions[predictions["symbol"] == symbol] if symbol else predictions
