"""The candle contract: reading what people have into regular, checked candles, and writing them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.data.interval import Interval, default_max_no_trade, interval_of, parse_interval
from cryptoml.data.quality import Break, Finding, QualityReport
from cryptoml.data.repair import NANOSECONDS, PRICES, OnBadRows
from cryptoml.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from cryptoml.data.tables import Table

__all__ = ["Break", "Candles", "Finding", "QualityReport", "read_candles", "write_candles"]


@dataclass(frozen=True)
class Candles:
    """Checked candles of one market.

    frame: index `timestamp` (open time, UTC, ascending, unique, on one phase of the grid), columns open, high,
    low, close, volume, float64, no NaN. Only candles that were in the file; gaps are gaps.
    """

    frame: pd.DataFrame
    symbol: str
    interval: Interval
    report: QualityReport


def read_candles(
    path: Path,
    *,
    symbol: str | None = None,
    interval: str | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    on_bad_rows: OnBadRows = "drop",
    max_no_trade_candles: int | None = None,
    now: pd.Timestamp | None = None,
) -> Candles:
    """Read candles from CSV, CSV.gz, Parquet, Feather or JSON in the forms people really have.

    columns: the file's columns in order, or a mapping from our names to the file's. now: the time against which
    the last candle is unfinished (the clock's, when not given). Raises DataError with file, line and mend.
    """
    import numpy as np
    import pandas as pd

    from cryptoml.data import repair
    from cryptoml.data.tables import read_table
    from cryptoml.data.timestamps import NOT_A_TIME, open_times

    source = str(path)
    table = read_table(Path(path), columns)
    times, repaired = open_times(source, table)
    frame = pd.DataFrame({"time": times, "row": np.arange(len(times))})
    for name in PRICES:
        frame[name] = _numbers(source, table, name)
    has_volume = "volume" in table.frame
    frame["volume"] = _numbers(source, table, "volume") if has_volume else 0.0
    rows = repair.Rows(source, frame, table.where, on_bad_rows)
    for kind, mask in repaired.items():
        rows.note(kind, "repaired", mask)
    if not has_volume:
        rows.findings.append(Finding("no volume column, 0 used", "noted", len(frame)))
    rows.drop_or_fail("row without a time", times == NOT_A_TIME)
    repair.drop_impossible(rows, has_volume=has_volume)
    _need_rows(rows, 1)
    repair.one_candle_a_time(rows)
    _need_rows(rows, 2)
    step = parse_interval(interval) if interval else _interval(rows)
    repair.drop_off_grid(rows, step.seconds)
    if has_volume:
        repair.drop_made_up(rows)
    repair.drop_spikes(rows)
    clock = pd.Timestamp.now(tz="UTC") if now is None else now
    last = rows.frame["time"].to_numpy()
    rows.drop("unfinished last candle", last + step.seconds * NANOSECONDS > clock.as_unit("ns").value)
    _need_rows(rows, 2)
    kept = rows.frame
    index = pd.DatetimeIndex(kept["time"].to_numpy().view("datetime64[ns]"), tz="UTC", name="timestamp")
    clean = kept[[*PRICES, "volume"]].set_index(index)
    name = symbol or _symbol_of(table, Path(path))
    report = _report(source, name, step, len(frame), clean, tuple(rows.findings), max_no_trade_candles)
    return Candles(clean, name, step, report)


def write_candles(frame: pd.DataFrame, path: Path) -> None:
    """Write candles as CSV, CSV.gz or Parquet by the ending of `path`; written whole or not at all.

    CSV has ISO times (UTC), columns in the frame's order after `timestamp`; the same frame gives the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix in (".parquet", ".pq"):
            frame.to_parquet(partial)
        else:
            compression = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
            frame.to_csv(partial, date_format="%Y-%m-%dT%H:%M:%SZ", compression=compression)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _numbers(source: str, table: Table, name: str) -> pd.Series[float]:
    import pandas as pd

    column = table.frame[name]
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    text = numbers.isna() & column.notna()
    if text.any():
        places = text.to_numpy().nonzero()[0]
        shown = "; ".join(f"{table.where(int(row))}: {str(column.iloc[int(row)])[:40]!r}" for row in places[:5])
        raise DataError(
            f"{source}, column {name}: {len(places):,} values are not numbers: {shown}.",
            mend="correct them in the file",
        )
    return numbers


def _need_rows(rows: object, least: int) -> None:
    from cryptoml.data.repair import Rows

    assert isinstance(rows, Rows)
    if len(rows.frame) < least:
        dropped = ", ".join(f"{one.count:,} x {one.kind}" for one in rows.findings if one.action == "dropped")
        raise DataError(
            f"{rows.source}: no usable rows are left" + (f" ({dropped})." if dropped else "."),
            mend="look at the file, or at what was dropped",
        )


def _interval(rows: object) -> Interval:
    """The most common step between candles."""
    import numpy as np

    from cryptoml.data.repair import Rows

    assert isinstance(rows, Rows)
    steps = np.diff(rows.frame["time"].to_numpy()) // NANOSECONDS
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    if len(values) == 0:
        raise DataError(f"{rows.source}: the interval cannot be told.", mend="name it, --set data.interval=1h")
    return interval_of(int(values[np.argmax(counts)]))


def _symbol_of(table: Table, path: Path) -> str:
    if "symbol" in table.frame:
        names = table.frame["symbol"].dropna().astype(str).str.strip().unique()
        if len(names) > 1:
            raise DataError(
                f"{path}: holds {len(names)} symbols ({', '.join(names[:5])}).", mend="split it into one file a symbol"
            )
        if len(names):
            return re.sub(r"[/_\-\s:]", "", names[0]).upper()
    words = re.split(r"[_\-.\s]", path.name)
    markets = [word for word in words if re.fullmatch(r"[A-Z0-9]{2,12}(USDT|USDC|USD|BUSD|EUR|BTC|ETH|GBP|JPY)", word)]
    return markets[0] if markets else "UNKNOWN"


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

    longest = default_max_no_trade(interval) if max_no_trade_candles is None else max_no_trade_candles
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
