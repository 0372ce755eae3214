"""The pyfunc flavour for MLflow: maps raw candles to forecasts. Does not import MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.models.forecaster import Forecaster

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


class ServedForecaster:
    """A forecaster with the `predict` method that pyfunc calls."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.forecaster = forecaster

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one row per candle, in time order: timestamp (ISO, UTC) and what `Forecaster.forecast` returns.

        The columns of a further horizon have its number as a suffix, such as forecast_price_h6.

        `model_input` has the columns timestamp, open, high, low, close and volume. The forecast is NaN for a candle
        that is not preceded by as many candles, without a gap, as the features need. Raises DataError for invalid
        input or if no candle has a forecast.
        """
        import pandas as pd

        from cryptoml.data.grid import to_grid
        from cryptoml.data.interval import parse_interval
        from cryptoml.system.plurals import counted

        frame = parse_candles(model_input)
        interval = parse_interval(self.forecaster.pipeline.interval)
        grid = to_grid(frame, interval, max_no_trade_candles=self.forecaster.max_no_trade_candles)
        forecasts = self.forecaster.forecast(grid)
        for horizon, one in list(self.forecaster.by_horizon.items())[1:]:
            forecasts = forecasts.join(one.forecast(grid).add_suffix(f"_h{horizon}"))
        if len(forecasts) != len(frame):
            forecasts = forecasts.loc[frame.index]
        if forecasts["forecast_return"].isna().all():
            raise DataError(
                f"{counted(len(frame), 'candle')} without a forecast: the features need more candles.",
                hint=f"send at least {self.forecaster.pipeline.warmup_candles} candles of {interval.label} "
                "without a gap",
            )
        times = pd.Series(pd.DatetimeIndex(forecasts.index).strftime("%Y-%m-%dT%H:%M:%SZ"), name="timestamp")
        return pd.concat([times, forecasts.reset_index(drop=True)], axis=1)


def parse_candles(table: pd.DataFrame) -> pd.DataFrame:
    """Convert a table sent by a caller to OHLCV by ascending UTC open time; raises DataError."""
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
        raise DataError(f"The candles cannot be read: {error}.", hint="send ISO times and numeric columns") from error
    frame = frame.sort_index()
    if len(frame) == 0:
        raise DataError("The input contains no candles.", hint="send at least one candle")
    if frame.index.has_duplicates:
        duplicate = frame.index[frame.index.duplicated()][0]
        raise DataError(f"Duplicate candle at {duplicate:%Y-%m-%d %H:%M} UTC.", hint="send each candle once")
    return frame


def _refuse_wrong_types(table: pd.DataFrame) -> None:
    """Raise DataError for strings as prices or volumes, and for numeric timestamps, whose unit is unknown."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(table["timestamp"]):
        # Current times have 10 digits in seconds, 13 in milliseconds, 16 in microseconds, 19 in nanoseconds.
        digits = len(f"{table['timestamp'].max():.0f}")
        unit = "s" if digits <= 11 else "ms" if digits <= 14 else "us" if digits <= 17 else "ns"
        convert = f"pandas.to_datetime(x, unit={unit!r}, utc=True)"
        raise DataError(
            f"The timestamps are numbers ({table['timestamp'].dtype}) with an unknown unit.",
            hint=f"send ISO strings in UTC, such as 2024-11-27T00:00:00Z, or datetimes: {convert}",
        )
    for name in COLUMNS[1:]:
        column = table[name]
        wrong = [value for value in column if isinstance(value, (str, bytes, bool))] if column.dtype == object else []
        if is_bool_dtype(column.dtype) or (not is_numeric_dtype(column.dtype) and column.dtype != object) or wrong:
            example = wrong[0] if wrong else column.iloc[0] if len(column) else column.dtype
            raise DataError(
                f"The column {name} is not numeric: {example!r} ({column.dtype}).",
                hint=f"convert it first: candles['{name}'] = candles['{name}'].astype(float)",
            )


def _load_pyfunc(path: str) -> ServedForecaster:
    """Load the model; the entry point that MLmodel refers to."""
    from cryptoml.models.forecaster import load_forecaster

    return ServedForecaster(load_forecaster(Path(path)))
