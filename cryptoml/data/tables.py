"""Files as tables: CSV, CSV.gz, Parquet, Feather and JSON arrays, with their columns named by role."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close")
NULLS = ("", "NULL", "null", "NaN", "nan", "NA", "N/A", "None", "none", "-")
_ALIASES = {
    "open": ("open", "o", "open_price", "price_open"),
    "high": ("high", "h", "high_price", "price_high", "max"),
    "low": ("low", "l", "low_price", "price_low", "min"),
    "close": ("close", "c", "close_price", "price_close", "last"),
    "epoch": ("unix", "epoch", "unix_timestamp", "unix timestamp", "ts"),
    "date": ("timestamp", "date", "datetime", "open_time", "open time", "opentime", "date_time", "gmt time",
             "local time", "start", "time_period_start", "index", "open_timestamp", "candle_time"),
    "clock": ("time", "hour"),
    "symbol": ("symbol", "pair", "ticker", "market", "instrument"),
    "volume": ("volume", "v", "vol", "vol.", "volume_traded", "base_volume", "volume base", "amount"),
}  # fmt: skip
_EXCHANGE_DUMP = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades",
    "taker_base_volume", "taker_quote_volume", "ignore",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A file's rows with columns by role (epoch, date, clock, open ... volume, symbol); all others are left out.

    first_line: the file's line of row 0, None where lines mean nothing (Parquet, Feather, JSON).
    """

    frame: pd.DataFrame
    first_line: int | None

    def where(self, row: int) -> str:
        """The row's place for people."""
        return f"line {row + self.first_line}" if self.first_line is not None else f"row {row + 1}"


def read_table(path: Path, columns: Sequence[str] | Mapping[str, str] | None = None) -> Table:
    """Read a file by its ending (and its first bytes); raises DataError in words."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder.", mend="name a file of candles")
    try:
        head = path.open("rb").read(4)
    except FileNotFoundError:
        raise DataError(
            f"{path}: there is no such file.", mend="check the path, or get it with cryptoml pull-data"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    if not head:
        raise DataError(f"{path}: is empty.", mend="get the file again")
    name = path.name.lower().removesuffix(".gz")
    try:
        if head == b"PAR1" or head.startswith((b"FEA1", b"ARRO")):
            return _columnar(path, columns, parquet=head == b"PAR1")
        data = gzip.decompress(path.read_bytes()) if head[:2] == b"\x1f\x8b" else path.read_bytes()
        if name.endswith(".json") or data[:64].lstrip().startswith((b"[[", b"[{")):
            return _json(path, data, columns)
        return _csv(path, data, columns)
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is damaged or cut short.", mend="get the file again") from error


def _columnar(path: Path, columns: Any, *, parquet: bool) -> Table:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path) if parquet else pd.read_feather(path)
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is damaged: {str(error).splitlines()[0]}.", mend="get the file again") from error
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=frame.index.name or "timestamp")
    return Table(_by_role(path, frame, columns), None)


def _json(path: Path, data: bytes, columns: Any) -> Table:
    import pandas as pd

    try:
        rows = json.loads(data)
    except ValueError as error:
        raise DataError(f"{path}: is not valid JSON: {error}.", mend="get the file again") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(
            f"{path}: a JSON array of candles was expected.",
            mend="as freqtrade writes them: [[ms, o, h, l, c, v], ...]",
        )
    if isinstance(rows[0], dict):
        return Table(_by_role(path, pd.DataFrame(rows), columns), None)
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(widths) > 1 or widths < {5}:
        raise DataError(
            f"{path}: the candles are not all of one length.", mend="[[ms, o, h, l, c, v], ...] was expected"
        )
    names = list(columns) if columns and not isinstance(columns, Mapping) else list(_EXCHANGE_DUMP)
    width = widths.pop()
    frame = pd.DataFrame([row[: len(names)] for row in rows], columns=names[:width])
    return Table(_by_role(path, frame, None if not isinstance(columns, Mapping) else columns), None)


def _csv(path: Path, data: bytes, columns: Any) -> Table:
    import pyarrow as pa
    from pyarrow import csv

    if b"\x00" in data[:4096]:
        raise DataError(f"{path}: is not a text file.", mend="give CSV, CSV.gz, Parquet, Feather or JSON")
    data = data.removeprefix(b"\xef\xbb\xbf")
    lines = data[: 1 << 16].decode("utf-8", errors="replace").splitlines()
    delimiter = max(",;\t|", key=lambda mark: sum(line.count(mark) for line in lines[:5]))
    skipped, names = _header(path, lines, delimiter, columns)
    reading = csv.ReadOptions(column_names=names, skip_rows=skipped, block_size=1 << 24)
    parsing = csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=True)
    lenient = csv.ConvertOptions(null_values=list(NULLS), strings_can_be_null=True)
    try:
        table = csv.read_csv(io.BytesIO(data), reading, parsing, lenient)
    except pa.ArrowInvalid as error:
        if "Expected" in str(error):
            raise DataError(
                f"{path}: {str(error).splitlines()[0][:160]}.", mend="every line needs the same columns"
            ) from error
        # A column changed its kind further down: take everything as text and convert by role.
        lenient.column_types = dict.fromkeys(names, pa.string())
        table = csv.read_csv(io.BytesIO(data), reading, parsing, lenient)
    if table.num_rows == 0:
        raise DataError(f"{path}: has a header and no rows.", mend="get the file again")
    mapping = columns if isinstance(columns, Mapping) else None
    return Table(_by_role(path, table.to_pandas(), mapping), skipped + 1)


def _header(path: Path, lines: list[str], delimiter: str, columns: Any) -> tuple[int, list[str]]:
    """How many lines come before the rows, and the columns' names."""
    for place, line in enumerate(lines[:5]):
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        lowered = [cell.lower() for cell in cells]
        known = sum(any(cell in _ALIASES[role] for cell in lowered) for role in PRICES)
        mapped = isinstance(columns, Mapping) and set(columns.values()) & set(cells)
        if known == 4 or mapped:
            return place + 1, [cell or f"column_{number}" for number, cell in enumerate(cells, 1)]
    width = len(lines[0].split(delimiter)) if lines else 0
    if columns and not isinstance(columns, Mapping):
        if len(columns) != width:
            raise DataError(
                f"{path}: {len(columns)} columns are named and the file has {width}.",
                mend="name each of them, in order",
            )
        return 0, list(columns)
    if width in (12, 16) and lines[0].split(delimiter)[0].isdigit():
        return 0, [*_EXCHANGE_DUMP, "a", "b", "c", "d"][:width]
    found = ", ".join(cell.strip() for cell in (lines[0] if lines else "").split(delimiter)[:8])
    raise DataError(
        f"{path}: these are not candles: open, high, low and close were looked for, the first line has {found[:120]}.",
        mend="name the columns in order, --set data.columns=timestamp,open,high,low,close,volume",
    )


def _by_role(path: Path, frame: pd.DataFrame, columns: Any) -> pd.DataFrame:
    import pandas as pd

    names = {str(name).strip().lower(): name for name in frame.columns}
    if isinstance(columns, Mapping):
        names.update({role: given for role, given in columns.items() if given in frame.columns})
    found: dict[str, Any] = {}
    for role, aliases in _ALIASES.items():
        for alias in aliases:
            if alias in names:
                found[role] = frame[names[alias]]
                break
    if "date" not in found and "epoch" not in found and "clock" in found:
        found["date"] = found.pop("clock")
    missing = [role for role in PRICES if role not in found]
    if "date" not in found and "epoch" not in found:
        missing.append("timestamp")
    if missing:
        raise DataError(
            f"{path}: these are not candles: no column for {', '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns[:12]))}.",
            mend="name the columns in order, --set data.columns=timestamp,open,high,low,close,volume",
        )
    if "volume" not in found:
        sided = [name for lower, name in names.items() if lower.startswith(("volume ", "volume_"))]
        if len(sided) == 1:
            found["volume"] = frame[sided[0]]
        elif sided:
            found["volume"] = _base_volume([frame[name] for name in sided], found["close"])
    return pd.DataFrame(found)


def _base_volume(candidates: list[Any], close: Any) -> Any:
    """The volume in the base currency: the one that times the price gives the other, whatever they are called."""
    import numpy as np
    import pandas as pd

    price = pd.to_numeric(close, errors="coerce").to_numpy(dtype=float)
    first, second = (pd.to_numeric(one, errors="coerce").to_numpy(dtype=float) for one in candidates[:2])
    with np.errstate(divide="ignore", invalid="ignore"):
        as_named = np.nanmedian(np.abs(np.log(second / (first * price))[(first > 0) & (second > 0)]))
        swapped = np.nanmedian(np.abs(np.log(first / (second * price))[(first > 0) & (second > 0)]))
    return candidates[1] if swapped < as_named else candidates[0]
