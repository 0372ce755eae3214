"""What MLflow's pyfunc flavour loads: raw candles in, forecasts out. Imports no tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.models.forecaster import Forecaster

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
OUTPUT_COLUMNS = ("timestamp", "forecast_return", "forecast_price", "lower_price", "upper_price")


class ServedForecaster:
    """A forecaster with the `predict` that pyfunc calls."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.forecaster = forecaster

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row a given candle, in time order: timestamp (ISO, UTC) and the forecast made at its close.

        `model_input` has timestamp, open, high, low, close, volume; the newest candle needs as many before it as
        the features look back, without a break, or its forecast is missing. Raises DataError.
        """
        import pandas as pd

        from cryptoml.data.grid import to_grid
        from cryptoml.data.interval import parse_interval

        frame = candles_of(model_input)
        interval = parse_interval(self.forecaster.pipeline.interval)
        grid = to_grid(frame, interval, max_no_trade_candles=self.forecaster.max_no_trade_candles)
        found = self.forecaster.forecast(grid)
        if len(found) != len(frame):
            found = found.loc[frame.index]
        if found["forecast_return"].isna().all():
            raise DataError(
                f"{len(frame)} candles give no forecast.",
                hint=f"give at least {self.forecaster.pipeline.warmup_candles} candles of {interval.label} "
                "without a break",
            )
        times = pd.Series(pd.DatetimeIndex(found.index).strftime("%Y-%m-%dT%H:%M:%SZ"), name="timestamp")
        return pd.concat([times, found.reset_index(drop=True)], axis=1)[list(OUTPUT_COLUMNS)]


def candles_of(table: pd.DataFrame) -> pd.DataFrame:
    """OHLCV by UTC open time, ascending, of a table as callers send it; raises DataError."""
    import pandas as pd

    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(
            f"The candles lack {', '.join(missing)}; they have {', '.join(map(str, table.columns))}.",
            hint=f"send the columns {', '.join(COLUMNS)}",
        )
    _refuse_wrong_types(table)
    try:
        index = pd.DatetimeIndex(pd.to_datetime(table["timestamp"], utc=True, format="ISO8601"), name="timestamp")
        frame = table[list(COLUMNS[1:])].astype("float64").set_index(index)
    except (ValueError, TypeError) as error:
        raise DataError(f"The candles cannot be read: {error}.", hint="send ISO times and numbers") from error
    frame = frame.sort_index()
    if len(frame) == 0:
        raise DataError("There are no candles.", hint="send at least one")
    if frame.index.has_duplicates:
        double = frame.index[frame.index.duplicated()][0]
        raise DataError(f"There are two candles for {double:%Y-%m-%d %H:%M} UTC.", hint="send each once")
    return frame


def _refuse_wrong_types(table: pd.DataFrame) -> None:
    """Raise DataError for text among prices and volumes, and for numbers as timestamps, whose unit nobody states."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(table["timestamp"]):
        # Seconds of today have 10 digits, milliseconds 13, microseconds 16, nanoseconds 19.
        digits = len(f"{table['timestamp'].max():.0f}")
        unit = "s" if digits <= 11 else "ms" if digits <= 14 else "us" if digits <= 17 else "ns"
        convert = f"pandas.to_datetime(x, unit={unit!r}, utc=True)"
        raise DataError(
            f"The timestamps are numbers ({table['timestamp'].dtype}), and their unit is unknown.",
            hint=f"send ISO text in UTC, 2024-11-27T00:00:00Z, or datetimes: {convert}",
        )
    for name in COLUMNS[1:]:
        column = table[name]
        wrong = [value for value in column if isinstance(value, (str, bytes, bool))] if column.dtype == object else []
        if is_bool_dtype(column.dtype) or (not is_numeric_dtype(column.dtype) and column.dtype != object) or wrong:
            example = wrong[0] if wrong else column.iloc[0] if len(column) else column.dtype
            raise DataError(
                f"The candles' {name} is not numbers: {example!r} ({column.dtype}).",
                hint=f"convert it first: candles['{name}'] = candles['{name}'].astype(float)",
            )


def _load_pyfunc(path: str) -> ServedForecaster:
    """The entry point that MLmodel names."""
    from cryptoml.models.forecaster import load_forecaster

    return ServedForecaster(load_forecaster(Path(path)))
