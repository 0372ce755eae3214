"""Show how a file of candles is read: its format, columns, times and repairs, and the rows that remain for training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.config.schema import Config
from cryptoml.errors import DataError

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles
    from cryptoml.data.cleaning.quality import QualityReport
    from cryptoml.data.reading.table import Table
    from cryptoml.training.row_costs import RowCosts

SHOWN = 2
# Epochs below these limits.
_UNITS = ((1e11, "seconds"), (1e14, "milliseconds"), (1e17, "microseconds"))


@dataclass(frozen=True)
class Inspection:
    """What was found in a file. columns: role -> column of the file. error: why it cannot be read, if so.

    symbols: all of a file that contains several. first and last: candles, as [time, open, high, low, close, volume].
    costs: None if the candles cannot be read, or are of an interval for which no feature is defined.
    """

    path: Path
    format: str = ""
    columns: dict[str, str] | None = None
    times: str = ""
    symbols: tuple[str, ...] = ()
    report: QualityReport | None = None
    first: tuple[tuple[object, ...], ...] = ()
    last: tuple[tuple[object, ...], ...] = ()
    costs: RowCosts | None = None
    error: DataError | None = None

    def to_dict(self) -> dict[str, Any]:
        """The `result` of --json."""
        report = self.report
        return {
            "path": str(self.path),
            "readable": self.error is None,
            "format": self.format or None,
            "columns": [{"role": role, "name": name} for role, name in (self.columns or {}).items()],
            "times": self.times or None,
            "symbols": list(self.symbols),
            "interval": report.interval if report else None,
            "rows_read": report.rows_read if report else None,
            "candles": report.candles if report else None,
            "start": report.start if report else None,
            "end": report.end if report else None,
            "missing_candles": report.missing_candles if report else None,
            "no_trade_candles": report.no_trade_candles if report else None,
            "gaps": [asdict(gap) for gap in report.breaks] if report else [],
            "findings": [{**asdict(one), "examples": list(one.examples)} for one in report.findings] if report else [],
            "training_rows": self.costs.rows if self.costs else None,
            "lost_rows": {
                "warmup": self.costs.warmup,
                "gaps": self.costs.gaps,
                "target": self.costs.target,
            }
            if self.costs
            else None,
        }


def inspect(path: Path, config: Config) -> Inspection:
    """Read a raw or processed file as `train` does, and describe it; what prevents that is part of the result.

    Raises DataError only if there is no such file.
    """
    from cryptoml.data.candles import SeveralSymbolsError
    from cryptoml.data.processed import is_processed
    from cryptoml.data.project_files import column_names, read_any
    from cryptoml.data.reading.tables import read_table, require_file

    require_file(path)
    found: dict[str, Any] = {"format": "processed data set"}
    try:
        if not is_processed(path):
            table = read_table(path, column_names(config.data.columns), sheet=config.data.sheet)
            times = _times(table, config.data.timezone)
            found = {"format": table.format, "columns": dict(table.names), "times": times}
        candles = read_any(path, config)
    except SeveralSymbolsError as error:
        return Inspection(path, **found, symbols=error.symbols, error=error)
    except DataError as error:
        return Inspection(path, **found, error=error)
    rows = tuple((f"{row[0]:%Y-%m-%d %H:%M}", *map(float, row[1:])) for row in _ends(candles))
    return Inspection(
        path,
        **found,
        symbols=(candles.symbol,),
        report=candles.report,
        first=rows[:SHOWN],
        last=rows[SHOWN:],
        costs=_costs(candles, config),
    )


def _ends(candles: Candles) -> list[tuple[Any, ...]]:
    frame = candles.frame
    return [*frame.head(SHOWN).itertuples(), *frame.tail(SHOWN).itertuples()]


def _times(table: Table, timezone: str | None) -> str:
    """Describe the columns that the times are read from."""
    import pandas as pd

    if "epoch" in table.frame:
        values = pd.to_numeric(table.frame["epoch"], errors="coerce")
        size = float(values.median())
        unit = next(
            (
                name
                for limit, name in ((1e11, "seconds"), (1e14, "milliseconds"), (1e17, "microseconds"))
                if size < limit
            ),
            "nanoseconds",
        )
        text = f"epochs in {unit} in column {table.names['epoch']}"
    else:
        names = " and ".join(table.names[role] for role in ("date", "clock") if role in table.names)
        text = (
            f"dates in column {names}, {f'local time of {timezone}' if timezone else 'UTC unless they have an offset'}"
        )
    return f"{text}; times at which candles end" if table.is_close_time else text


def _costs(candles: Candles, config: Config) -> RowCosts | None:
    from cryptoml.data.interval import max_no_trade
    from cryptoml.errors import ConfigError
    from cryptoml.features.pipeline import configured_pipeline
    from cryptoml.training.row_costs import row_costs

    try:
        pipeline = configured_pipeline(config.features, candles.interval.label)
    except ConfigError:
        return None
    return row_costs(
        candles,
        pipeline,
        horizon=config.target.prediction_horizon,
        max_no_trade=max_no_trade(candles.interval, config.data.max_no_trade_candles),
    )
