"""The raw file of `extract-data`: finds where it ends, and appends candles atomically."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.data.candles import write_candles
from cryptoml.data.exchange.source import Candle, Timeframe
from cryptoml.data.symbols import normalize_symbol
from cryptoml.errors import DataError
from cryptoml.system.files import replacing

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("open", "high", "low", "close", "volume", "symbol")
HEADER = ",".join(("timestamp", *COLUMNS))
ENDINGS = (".csv", ".csv.gz")


@dataclass(frozen=True)
class Extent:
    """First and last open time in a file (ms, UTC), and whether a truncated last line was dropped."""

    first_ms: int
    last_ms: int
    truncated: bool


def read_extent(path: Path, *, symbol: str, timeframe: Timeframe) -> Extent | None:
    """Read the extent of an existing file; None if it does not exist or contains no candle.

    Raises DataError for a file that was not written by extract-data, or has another symbol or interval.
    """
    import numpy as np
    import pandas as pd

    from cryptoml.data.reading.tables import read_table
    from cryptoml.data.reading.timestamps import open_times

    if _is_new(path):
        return None
    if _head(path)[:1] != [HEADER]:
        raise _not_extendable(path, "it was not written by extract-data")
    is_truncated = _truncated_at(path) is not None
    if is_truncated:
        _drop_truncated_line(path)
    if len(_head(path)) < 2:
        return None
    table = read_table(path)
    markets = sorted({normalize_symbol(str(name)) for name in table.frame["symbol"].unique()})
    if markets != [normalize_symbol(symbol)]:
        raise _not_extendable(path, f"it contains {', '.join(markets)}, not {normalize_symbol(symbol)}")
    times = open_times(str(path), table).times
    milliseconds = np.asarray(times, dtype=np.int64) // 1_000_000
    steps = np.diff(milliseconds)
    if (steps <= 0).any():
        at = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise _not_extendable(path, f"{table.where(at)}: {pd.Timestamp(times[at])} is not after the line before it")
    if steps.size and (steps % timeframe.milliseconds).any():
        raise _not_extendable(path, f"its candles are not {timeframe.name} apart")
    if steps.size > 1 and int(steps.min()) != timeframe.milliseconds:
        raise _not_extendable(path, f"its candles are {steps.min() // 60_000:,} minutes apart, not {timeframe.name}")
    return Extent(int(milliseconds[0]), int(milliseconds[-1]), is_truncated)


def append_candles(path: Path, candles: Sequence[Candle], *, symbol: str) -> None:
    """Append candles to `path` atomically.

    Raises DataError if it cannot be written.
    """
    if not candles:
        return
    if _is_new(path):
        write_candles(_frame(candles, symbol), path)
        return
    lines = _frame(candles, symbol).to_csv(header=False, date_format="%Y-%m-%dT%H:%M:%SZ", lineterminator="\n")
    data = lines.encode()
    with _replacing(path) as part:
        shutil.copyfile(path, part)
        with part.open("ab") as file:
            # Gzip members can be concatenated.
            file.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _frame(candles: Sequence[Candle], symbol: str) -> pd.DataFrame:
    import pandas as pd

    index = pd.to_datetime([candle[0] for candle in candles], unit="ms", utc=True).rename("timestamp")
    frame = pd.DataFrame([candle[1:] for candle in candles], columns=list(COLUMNS[:5]), index=index)
    return frame.assign(symbol=normalize_symbol(symbol))


def _is_new(path: Path) -> bool:
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _head(path: Path) -> list[str]:
    """Return the first two lines, without empty ones."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            return [line for line in (file.readline().strip(), file.readline().strip()) if line]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise _not_extendable(path, "it cannot be read") from error


def _truncated_at(path: Path) -> int | None:
    """Return the offset of a truncated last line (no line end), as after a crash; None if there is none."""
    if path.suffix == ".gz" or not path.is_file() or path.stat().st_size == 0:
        return None
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - 4096)
        file.seek(start)
        tail = file.read()
    return None if tail.endswith(b"\n") or b"\n" not in tail else start + tail.rindex(b"\n") + 1


def _drop_truncated_line(path: Path) -> None:
    """Remove the truncated last line from the file."""
    end = _truncated_at(path)
    with _replacing(path) as part:
        shutil.copyfile(path, part)
        os.truncate(part, end or 0)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    try:
        # A fixed name, so that the next call overwrites the file of a killed process. There is only one writer.
        with replacing(path, part=path.with_name(f".{path.name}.partial")) as part:
            yield part
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {error.strerror}.", hint="choose a writable folder with enough free space"
        ) from error


def _not_extendable(path: Path, fact: str) -> DataError:
    return DataError(f"{path}: candles cannot be added to this file: {fact}.", hint="name another file with -o")
