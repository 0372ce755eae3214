"""The processed data set: validated candles with their features and target in one Parquet file.

Its metadata distinguishes it from raw candles for `train --data`. Training uses only the candles and computes features
by its own config; the features in the file are for other tools.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.data.candles import Candles, QualityReport, write_candles
from cryptoml.data.interval import parse_interval
from cryptoml.data.symbols import normalize_symbol
from cryptoml.errors import DataError
from cryptoml.system.files import replacing

if TYPE_CHECKING:
    import pandas as pd

CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")
_KEY = b"cryptoml.processed"
TARGET_COLUMN = "target_log_return"


def write_processed(
    path: Path, candles: Candles, features: pd.DataFrame, target: pd.Series[float], *, about: dict[str, Any]
) -> None:
    """Write one row per candle: OHLCV, features (float32, NaN if a window is incomplete), target.

    `features` and `target` are aligned to the candles. The same input gives the same bytes. The file is written
    atomically. A path that ends in .csv or .csv.gz gets the same table without metadata, for other tools.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = candles.frame.join(features.reindex(candles.frame.index))
    frame[TARGET_COLUMN] = target.reindex(frame.index)
    if path.name.endswith((".csv", ".csv.gz")):
        write_candles(frame.assign(symbol=candles.symbol), path)
        return
    table = pa.Table.from_pandas(frame.reset_index(), preserve_index=False)
    document = {
        "symbol": candles.symbol,
        "interval": candles.interval.label,
        "quality": candles.report.to_dict(),
        **about,
    }
    metadata = {_KEY: json.dumps(document, sort_keys=True).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        # With the checksums `read_processed` detects damaged pages.
        pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd", write_page_checksum=True)


def is_processed(path: Path) -> bool:
    """Return whether `path` was written by `write_processed`; False for files that are not Parquet."""
    return path.suffix.lower() in (".parquet", ".pq") and _about(path) is not None


def read_processed(path: Path, *, symbol: str | None = None, interval: str | None = None) -> Candles:
    """Read the validated candles of a processed file.

    Raises DataError, also if the symbol or interval differs from the given one.
    """
    import pyarrow.parquet as pq

    about = _about(path)
    if about is None:
        raise DataError(f"{path}: is not a processed data set.", hint="create one with cryptoml transform-data")
    columns = ["timestamp", *CANDLE_COLUMNS]
    again = "create it again with cryptoml transform-data"
    try:
        table = pq.read_table(path, columns=columns, partitioning=None, page_checksum_verification=True)
        candles = Candles(
            frame=table.select(columns).to_pandas().set_index("timestamp"),
            symbol=about["symbol"],
            interval=parse_interval(about["interval"]),
            report=QualityReport.from_dict(about["quality"]),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: was written by another version of cryptoml.", hint=again) from error
    except (OSError, ValueError) as error:
        fact = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: is damaged: {fact}.", hint=again) from error
    if symbol is not None and normalize_symbol(symbol) != candles.symbol:
        raise DataError(
            f"{path}: contains {candles.symbol}, not {normalize_symbol(symbol)}.",
            hint=f"use another file, or --symbol {candles.symbol}",
        )
    if interval is not None and parse_interval(interval) != candles.interval:
        raise DataError(
            f"{path}: its candles are {candles.interval.label} apart, not {interval}.",
            hint=f"leave the interval out, or --interval {candles.interval.label}",
        )
    return candles


def _about(path: Path) -> dict[str, Any] | None:
    """Read the metadata of a processed file (empty if damaged); None for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    if _KEY not in metadata:
        return None
    try:
        about = json.loads(metadata[_KEY])
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}
