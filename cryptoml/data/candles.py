"""Reading files into validated candles, and writing candles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.data.cleaning import close_times, repair
from cryptoml.data.cleaning.quality import Break, Finding, QualityReport
from cryptoml.data.cleaning.repair import NANOSECONDS, OnBadRows
from cryptoml.data.interval import Interval, interval_from_seconds, max_no_trade, parse_interval
from cryptoml.data.reading.column_names import PRICES
from cryptoml.data.symbols import normalize_symbol, symbol_from_file_name
from cryptoml.data.table_files import write_csv
from cryptoml.errors import DataError
from cryptoml.system.files import replacing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cryptoml.data.reading.table import Table

__all__ = ["Break", "Candles", "Finding", "QualityReport", "read_candles", "write_candles"]


@dataclass(frozen=True)
class Candles:
    """Validated candles of one market.

    frame: index `timestamp` (open time, UTC, ascending, unique, on one phase of the grid), columns open, high,
    low, close, volume, float64, no NaN. Gaps are not filled.
    """

    frame: pd.DataFrame
    symbol: str
    interval: Interval
    report: QualityReport


class SeveralSymbolsError(DataError):
    """A file contains several markets; `symbols` has all of them."""

    def __init__(self, path: Path, column: str, symbols: tuple[str, ...]) -> None:
        shown = ", ".join(symbols[:5]) + (", ..." if len(symbols) > 5 else "")
        super().__init__(
            f"{path}: column {column} contains {len(symbols)} symbols ({shown}).",
            hint=f"choose one with --symbol {symbols[0]}",
        )
        self.path, self.column, self.symbols = path, column, symbols

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.path, self.column, self.symbols))


def read_candles(
    path: Path,
    *,
    symbol: str | None = None,
    interval: str | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    on_bad_rows: OnBadRows = "drop",
    max_no_trade_candles: int | None = None,
    timezone: str | None = None,
    sheet: str | None = None,
    now: pd.Timestamp | None = None,
) -> Candles:
    """Read candles from a file of any format in `reading.formats`, packed or not, and validate them.

    symbol: the market; selects one if the file contains several. columns: the file's columns in order, or a mapping
    from role to the file's column. timezone: zone (IANA name) of dates without one, by default UTC. sheet: of a
    workbook. now: time at which the last candle must be complete, by default the current time. Raises DataError with
    file, line and hint; SeveralSymbolsError for several markets if `symbol` is not given.
    """
    import pandas as pd

    from cryptoml.data.reading.tables import read_table

    path = Path(path)
    table = read_table(path, columns, sheet=sheet)
    market, others = _market(table, path, symbol)
    rows = _rows(table, str(path), timezone=timezone, on_bad_rows=on_bad_rows)
    read = len(rows.frame)
    if others is not None:
        rows.drop("row of another symbol", others)
    step = _clean(rows, interval, has_volume="volume" in table.frame, is_close_time=table.is_close_time, now=now)
    kept = rows.frame
    index = pd.DatetimeIndex(kept["time"].to_numpy().view("datetime64[ns]"), tz="UTC", name="timestamp")
    clean = pd.DataFrame({name: kept[name].to_numpy() for name in (*PRICES, "volume")}, index=index, copy=False)
    report = _report(str(path), market, step, read, clean, tuple(rows.findings), max_no_trade_candles)
    return Candles(clean, market, step, report)


def _rows(table: Table, source: str, *, timezone: str | None, on_bad_rows: OnBadRows) -> repair.Rows:
    """Convert a table to rows with times and numbers, with a finding for each repair."""
    import numpy as np
    import pandas as pd

    from cryptoml.data.reading.timestamps import open_times

    opened = open_times(source, table, timezone=timezone)
    has_volume = "volume" in table.frame
    values = _numbers(source, table, [*PRICES, "volume"] if has_volume else PRICES)
    values.setdefault("volume", np.zeros(len(opened.times)))
    frame = pd.DataFrame({"time": opened.times, "row": np.arange(len(opened.times)), **values}, copy=False)
    rows = repair.Rows(source, frame, table.where, on_bad_rows)
    for kind, mask in opened.repaired.items():
        rows.note(kind, "repaired", mask)
    for note in (*table.notes, *opened.notes):
        rows.findings.append(Finding(note, "noted", len(frame)))
    if not has_volume:
        rows.findings.append(Finding("no volume column, 0 used", "noted", len(frame)))
    return rows


def _clean(
    rows: repair.Rows, interval: str | None, *, has_volume: bool, is_close_time: bool, now: pd.Timestamp | None
) -> Interval:
    """Drop invalid rows step by step, and return the candle interval."""
    import pandas as pd

    from cryptoml.data.cleaning.duplicates import merge_duplicates
    from cryptoml.data.cleaning.spikes import drop_spikes
    from cryptoml.data.reading.timestamps import NOT_A_TIME

    rows.drop_or_fail("row without a time", rows.frame["time"].to_numpy() == NOT_A_TIME)
    repair.drop_invalid_prices(rows, has_volume=has_volume)
    rows.require(1)
    merge_duplicates(rows)
    rows.require(2)
    step = _interval(rows, interval)
    close_times.shift(rows, step.seconds, is_close_time=is_close_time)
    repair.require_one_interval(rows, step.seconds)
    repair.drop_off_grid(rows, step.seconds)
    if has_volume:
        repair.drop_flat_candles(rows, step.seconds)
    drop_spikes(rows)
    repair.drop_incomplete_last(rows, step.seconds, now=pd.Timestamp.now(tz="UTC") if now is None else now)
    rows.require(2)
    repair.require_dense_times(rows, step.seconds)
    return step


def write_candles(frame: pd.DataFrame, path: Path) -> None:
    """Write candles as CSV, CSV.gz or Parquet by the ending of `path`; atomically.

    CSV has ISO times (UTC), columns in the frame's order after `timestamp`; the same frame gives the same bytes.
    Raises DataError where the ending is another or the folder cannot be written.
    """
    path = Path(path)
    parquet = path.suffix in (".parquet", ".pq")
    if not parquet and not path.name.endswith((".csv", ".csv.gz")):
        raise DataError(
            f"{path}: unsupported file format for candles.", hint="end the name in .csv, .csv.gz or .parquet"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            if parquet:
                frame.to_parquet(part)
            else:
                write_csv(frame, part, gzipped=path.suffix == ".gz", index=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}.", hint="choose a writable folder") from error


def _numbers(source: str, table: Table, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Convert columns to numbers; the four prices share one notation, which helps to read the volume."""
    import numpy as np

    from cryptoml.data.reading.numbers import AmbiguousNumbersError, DamagedNumbersError, to_numbers
    from cryptoml.data.reading.table import NULLS

    texts = {name: table.frame[name] for name in names if table.frame[name].dtype.kind not in "fiu"}
    texts = {name: column.mask(column.isin(NULLS)) for name, column in texts.items()}
    try:
        prices = {name: column for name, column in texts.items() if name in PRICES}
        found = to_numbers(prices, {name: column for name, column in texts.items() if name not in PRICES})
    except AmbiguousNumbersError as error:
        raise DataError(
            f"{source}: {error} in column {_column_of(str(error), texts, table)} can be a number with decimals or "
            "one with a comma between thousands.",
            hint="write the numbers with a decimal point and without commas",
        ) from error
    except DamagedNumbersError as error:
        raise DataError(
            f"{source}: a spreadsheet destroyed the prices, such as {error}: the decimal point is lost.",
            hint="download the file again, and do not save it from a spreadsheet",
        ) from error
    for name, column in texts.items():
        is_text = np.isnan(found[name]) & column.notna().to_numpy(dtype=bool)
        if is_text.any():
            raise _not_numbers(source, table, name, np.flatnonzero(is_text))
    return {name: found[name] if name in found else table.frame[name].to_numpy(dtype=np.float64) for name in names}


def _column_of(number: str, texts: Mapping[str, pd.Series[Any]], table: Table) -> str:
    """Return the name in the file of the first column that contains a number, as written there."""
    role = next((name for name, column in texts.items() if column.astype(str).str.contains(number, regex=False).any()))
    return table.names.get(role, role)


def _not_numbers(source: str, table: Table, name: str, positions: NDArray[np.intp]) -> DataError:
    column = table.frame[name]
    examples = "; ".join(f"{table.where(int(row))}: {str(column.iloc[int(row)])[:40]!r}" for row in positions[:5])
    fact = f"{source}, column {name}: {len(positions):,} x not a number: {examples}."
    return DataError(fact, hint="correct them in the file")


def _interval(rows: repair.Rows, requested: str | None) -> Interval:
    """Derive the interval: the most common step on whose grid the candles are, or `asked` if the steps allow it."""
    import numpy as np

    steps = np.diff(rows.frame["time"].to_numpy()) // NANOSECONDS
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    if len(values) == 0:
        raise DataError(f"{rows.source}: the candle interval cannot be derived.", hint="--interval 1h")
    # In an illiquid market two steps may be more common than one; then most candles are off the grid of two.
    times = rows.frame["time"].to_numpy(dtype=np.int64)
    candidates = [int(values[at]) for at in np.argsort(-counts, kind="stable")[:5]]
    fitting = (step for step in candidates if repair.off_grid(times, step).mean() <= repair.MAX_OFF_GRID_SHARE)
    common = interval_from_seconds(next(fitting, candidates[0]))
    if requested is None:
        return common
    interval = parse_interval(requested)
    if interval.seconds > common.seconds or interval.seconds not in values:
        raise DataError(
            f"{rows.source}: its candles are {common.label} apart, not {interval.label}.",
            hint=f"leave the interval out, or --interval {common.label}",
        )
    return interval


def _market(table: Table, path: Path, requested: str | None) -> tuple[str, NDArray[np.bool_] | None]:
    """Determine the symbol, and which rows belong to another one (None if there are none)."""
    symbol = normalize_symbol(requested) if requested else None
    plain = _symbols(table)
    names = sorted(set(plain.values()))
    if not names:
        return symbol or symbol_from_file_name(path.name), None
    column = table.names["symbol"]
    if symbol is None and len(names) > 1:
        raise SeveralSymbolsError(path, column, tuple(names))
    if symbol is not None and symbol not in names:
        raise DataError(
            f"{path}: column {column} contains {', '.join(names[:5])}, not {symbol}.",
            hint=f"use another file, or --symbol {names[0]}",
        )
    if len(names) == 1:
        return names[0], None
    return str(symbol), (table.frame["symbol"].map(plain) != symbol).to_numpy(dtype=bool)


def _symbols(table: Table) -> dict[object, str]:
    """Return the normalised symbol of each value in the symbol column; empty without one."""
    if "symbol" not in table.frame:
        return {}
    values = table.frame["symbol"].dropna().unique()
    found = {value: normalize_symbol(str(value).removesuffix(".0")) for value in values}
    return {value: symbol for value, symbol in found.items() if symbol}


def _report(
    source: str,
    symbol: str,
    interval: Interval,
    rows_read: int,
    frame: pd.DataFrame,
    findings: tuple[Finding, ...],
    max_no_trade_candles: int | None,
) -> QualityReport:
    import numpy as np

    longest = max_no_trade(interval, max_no_trade_candles)
    times = frame.index.as_unit("ns").asi8 // NANOSECONDS  # type: ignore[attr-defined]
    gaps = np.diff(times) // interval.seconds - 1
    long = np.flatnonzero(gaps > longest)
    return QualityReport(
        source=source,
        symbol=symbol,
        interval=interval.label,
        rows_read=rows_read,
        candles=len(frame),
        start=f"{frame.index[0]:%Y-%m-%d %H:%M}",
        end=f"{frame.index[-1]:%Y-%m-%d %H:%M}",
        missing_candles=int(gaps.sum()),
        no_trade_candles=int(gaps[(gaps > 0) & (gaps <= longest)].sum()),
        breaks=tuple(Break(f"{frame.index[int(at)]:%Y-%m-%d %H:%M}", int(gaps[at])) for at in long),
        findings=findings,
    )
