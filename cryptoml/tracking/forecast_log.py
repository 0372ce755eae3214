"""Log of forecasts, kept until the actual prices are known: one SQLite file per registered model."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptoml.errors import UnavailableError
from cryptoml.settings import Settings
from cryptoml.system.files import translate_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cryptoml.models.prediction import Prediction

TIMEOUT_S = 30.0
COLUMNS = ("price_now", "forecast_return", "forecast_price", "lower_price", "upper_price")
# The first forecast of a candle is kept: a later one may have been made with knowledge of the outcome.
_SCHEMA = """
create table if not exists forecasts (
    run_id text not null, candle text not null, target text not null, version text, symbol text not null,
    interval text not null, horizon integer not null, interval_level real not null, logged_at text not null,
    price_now real not null, forecast_return real not null, forecast_price real not null,
    lower_price real not null, upper_price real not null,
    primary key (run_id, candle)
) without rowid
"""


class ForecastLog:
    """Forecast log of one registered model. Create it with `open_forecast_log`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    def append(self, prediction: Prediction) -> int:
        """Insert forecasts whose run and candle are not in the log yet; return the number of inserted rows."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        rows = [
            (
                prediction.run_id, _iso(row["timestamp"]), _iso(row["target_time"]), prediction.version,
                prediction.symbol, prediction.interval, prediction.horizon, prediction.interval_level, now,
                *(float(row[name]) for name in COLUMNS),
            )
            for row in prediction.table.reset_index().to_dict("records")
        ]  # fmt: skip
        placeholders = ",".join("?" * (9 + len(COLUMNS)))
        with self._connection:
            before = self._connection.total_changes
            self._connection.executemany(f"insert or ignore into forecasts values ({placeholders})", rows)
            return self._connection.total_changes - before

    def read(self, run_id: str | None = None) -> pd.DataFrame:
        """Return the forecasts of a run, or of all runs, in ascending order.

        Index `candle` (open time); columns target and logged_at, all times UTC; run_id, version, interval_level and
        COLUMNS.
        """
        import pandas as pd

        names = ("candle", "target", "logged_at", "run_id", "version", "interval_level", *COLUMNS)
        chosen = "" if run_id is None else "where run_id = ? "
        query = f"select {', '.join(names)} from forecasts {chosen}order by candle, run_id"
        rows = self._connection.execute(query, () if run_id is None else (run_id,)).fetchall()
        table = pd.DataFrame(rows, columns=list(names))
        for name in ("candle", "target", "logged_at"):
            table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
        return table.set_index("candle")


def log_name(model_name: str, *, market: str | None, horizon: int | None = None) -> str:
    """Return the name of a log; a pooled model has one per market, and each further horizon one of its own."""
    name = model_name if market is None else f"{model_name}.{market}"
    return name if horizon is None else f"{name}.h{horizon}"


@contextmanager
def open_forecast_log(settings: Settings, name: str) -> Iterator[ForecastLog]:
    """Open a forecast log by its name, from `log_name`, and create it if needed; several processes may write to it."""
    path = settings.project_dir / ".cryptoml" / "forecasts" / f"{name}.db"
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(path, timeout=TIMEOUT_S)) as connection:
            connection.execute(_SCHEMA)
            yield ForecastLog(connection, path)
    except sqlite3.Error as error:
        raise UnavailableError(
            f"{path}: the forecast log cannot be used: {error}.", hint="check the file's permissions, or move it away"
        ) from error


def _iso(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
